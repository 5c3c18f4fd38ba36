/* SPDX-License-Identifier: MIT */
/* pools.h — what a scenario says of its cluster: how many replicas of which kind, on what, placed and parallel how. */
#ifndef TANDEM_SIM_POOLS_H
#define TANDEM_SIM_POOLS_H

#include "sim/scenario.h"

/* Reads "model", "device", "engine", "techniques" and "cluster" into the scenario: its pools, but for their policies.
 */
int pools_read(struct scenario *s, struct error *err);

void pools_release(struct scenario *s);

#endif
