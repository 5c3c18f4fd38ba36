/* SPDX-License-Identifier: MIT */
/* parallel.h — independent pieces of work on threads. Runs share compiled cost models, which are read only; each
 * has its own cluster, metrics and random streams, so that results do not depend on the number of threads. */
#ifndef TANDEM_PLANNER_PARALLEL_H
#define TANDEM_PLANNER_PARALLEL_H

#include <stddef.h>

#include "base/error.h"

/* Does piece `index` of a job; fills err and returns -1 on failure. Called on any thread, pieces in any order. */
typedef int (*parallel_work)(void *job, size_t index, struct error *err);

/* Does pieces 0 … count − 1 on up to `threads` threads, each taking the next piece when it has finished one. After a
 * failure no more pieces are started. Returns 0, or -1 with the error of the failed piece of lowest index. */
int parallel_run(parallel_work work, void *job, size_t count, unsigned threads, struct error *err);

/* Processors of this machine, at least 1. */
unsigned parallel_processors(void);

#endif
