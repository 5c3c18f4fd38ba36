/* SPDX-License-Identifier: MIT */
/* ranks.h — trials on the ranks of a job: rank 0 hands them out one by one as others come free, and is the only one
 * that writes; the others run them. A rank that does not answer in time is taken for dead: its trials are run again by
 * others, and if it answers after all, the answer is as good as any. */
#ifndef TANDEM_PLANNER_RANKS_H
#define TANDEM_PLANNER_RANKS_H

#include "planner/pool.h"
#include "planner/transport.h"

/* Runs what rank 0 hands out until it says that there is no more. `unfit`: why this rank cannot, a sentence that rank 0
 * fails with; NULL: it can. */
int ranks_work(struct transport *t, const char *unfit, struct error *err);

/* Rank 0's side. The transport and the watch must outlive it; ends the others' work when destroyed. Fails when a rank
 * is of another version, cannot work, or has not loaded the same plug-ins as this one. */
int ranks_pool_create(struct transport *t, const struct planner_watch *watch, struct trial_pool *out,
                      struct error *err);

/* Tells the others that there is no work, where no pool was made. */
void ranks_dismiss(struct transport *t);

#endif
