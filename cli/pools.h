/* SPDX-License-Identifier: MIT */
/* pools.h — who runs a command's trials: threads, or the ranks of the MPI job that this process is one of. */
#ifndef TANDEM_CLI_POOLS_H
#define TANDEM_CLI_POOLS_H

#include "planner/pool.h"

/* Joins the job, where a launcher has started this process as one of several. *worked is true when it was not rank 0
 * and has done its work: the command is done. Call pool_leave in the end, also on errors. */
int pool_join(bool *worked, struct error *err);
void pool_leave(void);

/* `threads` is what -j says, or NULL for all processors; ranks run one trial each. */
int pool_open(const char *threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err);

#endif
