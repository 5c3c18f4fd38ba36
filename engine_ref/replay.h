/* SPDX-License-Identifier: MIT */
/* replay.h — what the iterations of a served run took, kept one by one, and an executor that returns them again in
 * turn. The simulator driven by it must reproduce every stamp of the served run: the two differ in their costs alone.
 */
#ifndef TANDEM_ENGINE_REF_REPLAY_H
#define TANDEM_ENGINE_REF_REPLAY_H

#include "base/error.h"
#include "sim/executor.h"

struct logged_iteration {
    sim_time start;             /* on the loop's clock */
    uint64_t tokens, decode_kv; /* of the batch: what tells it from another one */
    uint32_t decodes;
    struct iteration_cost cost; /* what the loop was told */
    int64_t wall_ns;            /* that it took on the wall clock */
};

/* Iterations of one executor, in the order in which the loop asked for them. All 0 at first. */
struct iteration_log {
    struct logged_iteration *items; /* [count], owned */
    size_t count, capacity;
};

void iteration_log_release(struct iteration_log *log);

/* Returns 0, or -1 when memory is short. */
int iteration_log_add(struct iteration_log *log, const struct batch *batch, const struct iteration_cost *cost,
                      int64_t wall_ns);

/* Goes through a log; `log` stays the caller's and must outlive it. */
struct replay {
    const struct iteration_log *log;
    size_t next;       /* iterations returned so far */
    size_t mismatches; /* batches that are not the ones served at their place, or that come after the last one */
};

/* A batch that was not served costs one nanosecond. */
struct executor replay_executor(struct replay *r);

#endif
