/* SPDX-License-Identifier: MIT */
/* prefix_groups.h — orders that keep requests of a prefix group together and rank groups by what they ask for in sum
 * (offline serving: BatchLLM, BlendServe).
 *
 * A group's sum is over all its requests that have come since none of it waited. A request in no group, or one that was
 * preempted, is a group by itself. The first waiting request of each group, its leader, stands in an order by rank. */
#ifndef TANDEM_POLICIES_PREFIX_GROUPS_H
#define TANDEM_POLICIES_PREFIX_GROUPS_H

#include "policies/ordering.h"

/* What a group asks for: its common prefix is computed once. */
struct group_work {
    double prompt_tokens, output_tokens; /* to compute; predicted */
    double kv_reads;                     /* KV tokens that its decodes will read, Σ p·d + d²/2 over its requests */
};

struct prefix_groups {
    double (*rank)(const struct group_work *group); /* smallest first */
    struct ordered *leaders;                        /* by rank; groups of equal rank in order of arrival */
    struct ordered *by_number;                      /* groups with requests that wait */
};

/* A request waits now. Those that were preempted stand first. Returns -1 when memory is short. */
int prefix_groups_join(struct prefix_groups *groups, struct request *r);

/* It waits no longer. */
void prefix_groups_leave(struct prefix_groups *groups, struct request *r);

/* Frees what is left. */
void prefix_groups_release(struct prefix_groups *groups);

/* A single request as a group by itself. */
struct group_work group_work_of(const struct request *r);

#endif
