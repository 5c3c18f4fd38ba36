/* SPDX-License-Identifier: MIT */
/* level_run.h — simulations of measured load levels. */
#ifndef TANDEM_VALIDATION_LEVEL_RUN_H
#define TANDEM_VALIDATION_LEVEL_RUN_H

#include "validation/levels.h"

/* Levels that one scenario serves, and where their requests are written meanwhile. */
struct level_runs {
    const struct levels *levels;
    char folder[LEVEL_TRACE]; /* "" until level_runs_open */
    int *places;              /* [levels->count + 1] among temporaries; owned */
};

/* Writes the traces of levels whose requests are known into a folder that nobody else can write in; a signal removes
 * them, too. Close it also after a failure. */
int level_runs_open(struct level_runs *runs, const struct levels *levels, struct error *err);
void level_runs_close(struct level_runs *runs);

/* The trace of a level, or NULL where its requests are not known; valid until `out` is. */
const char *level_runs_trace(const struct level_runs *runs, size_t level, char out[LEVEL_TRACE + 32]);

/* Gives a level's run a seed of its own, and another one `later`. Fails when memory is short. */
int level_add_seed(cJSON *root, size_t level, uint64_t later, struct error *err);

/* Simulates a scenario of a level, which it owns also on failure. *out holds *count requests in order of arrival, the
 * caller's to free. A request that is not served is an error: the server took it. */
int level_simulate(cJSON *scenario, const char *name, struct level_request **out, size_t *count, struct error *err);

#endif
