/* SPDX-License-Identifier: MIT */
/* pools.h — what a scenario says of its cluster: how many replicas of which kind, on what, placed and parallel how. */
#ifndef TANDEM_SIM_POOLS_H
#define TANDEM_SIM_POOLS_H

#include "sim/scenario.h"

/* Replicas of one kind: all of them, or those that prefill, or those that decode. */
struct pool {
    struct json at; /* the object that describes it; node NULL where nothing does */
    long long replicas;
    const char *device;
    struct parallel parallel;
};

/* Reads "model", "device", "engine", "techniques" and "cluster" into the scenario, and what is left to say of both
 * pools' policies into the pools; `decode` is filled for disaggregated placement only. */
int pools_read(struct scenario *s, struct pool *prefill, struct pool *decode, struct error *err);

void stages_release(struct stages *s);

#endif
