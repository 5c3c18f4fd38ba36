/* SPDX-License-Identifier: MIT */
/* pools.h — who runs a command's trials: threads, or the ranks of the MPI job that this process is one of. */
#ifndef TANDEM_CLI_POOLS_H
#define TANDEM_CLI_POOLS_H

#include "planner/pool.h"

/* `threads` is what -j says, or NULL for all processors. */
int pool_open(const char *threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err);

#endif
