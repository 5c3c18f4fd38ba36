/* SPDX-License-Identifier: MIT */
/* drift.h — how much longer a served run's iterations took on the wall clock than the run was told, second by second:
 * what a machine that changes its speed, or is shared with others, would have added. A simulation with and without it
 * says what drift alone is worth. */
#ifndef TANDEM_VALIDATION_DRIFT_H
#define TANDEM_VALIDATION_DRIFT_H

#include "engine_ref/replay.h"

/* All 0 at first: no drift. */
struct drift {
    double *factors; /* [count], owned: of iterations that start in that second of the run's clock */
    size_t count, capacity;
};

void drift_release(struct drift *d);

/* Adds up what all iterations took in every second; a second in which none started is like the one before. Returns 0,
 * or -1 when memory is short. */
int drift_read(struct drift *d, const struct iteration_log *logs, size_t log_count, struct error *err);

/* An executor whose iterations take as much longer as the drift says; beyond its end as in its last second. */
struct drifting {
    struct executor inner;
    const struct drift *drift;
};

struct executor drifting_executor(struct drifting *d);

#endif
