/* SPDX-License-Identifier: MIT */
/* rerun.h — how to run by itself what a plan has tried: the same scenario as a command, to be copied. */
#ifndef TANDEM_PLANNER_RERUN_H
#define TANDEM_PLANNER_RERUN_H

#include "planner/plan.h"

/* "tandem run chat --set device=l40s --set cluster.replicas=3 --set workload.rate_scale=2 --set seed=1000": the first
 * replication of so many units. A scenario that the plan holds itself is called FILE. The caller's to free; NULL when
 * memory is short. */
char *rerun_command(const struct plan *plan, const struct family *family, size_t units);

#endif
