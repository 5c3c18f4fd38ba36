/* SPDX-License-Identifier: MIT */
/* stamps.h — when things happened to every request that finished in a run, to hold two runs of one workload against
 * each other. */
#ifndef TANDEM_ENGINE_REF_STAMPS_H
#define TANDEM_ENGINE_REF_STAMPS_H

#include "sim/observer.h"

struct request_stamps {
    uint64_t id;
    sim_time arrival, first_scheduled, first_token, last_token, taken_over;
    sim_time parts[PART_COUNT];
    uint32_t output_tokens, preemptions;
};

/* In order of finishing. All 0 at first. */
struct stamps {
    struct request_stamps *items; /* [count], owned */
    size_t count, capacity;
    bool out_of_memory; /* some are missing */
};

void stamps_release(struct stamps *s);

/* Must listen to the run. */
struct observer stamps_observer(struct stamps *s);

/* The largest difference of any stamp of any request, in nanoseconds; SIM_TIME_NEVER where the requests, their order,
 * tokens or preemptions are not the same. */
sim_time stamps_difference(const struct stamps *a, const struct stamps *b);

#endif
