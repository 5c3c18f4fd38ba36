/* SPDX-License-Identifier: MIT */
/* prefix_groups.h — orders that keep requests of a prefix group together and rank groups by what they ask for in sum
 * (offline serving: BatchLLM, BlendServe). */
#ifndef TANDEM_POLICIES_PREFIX_GROUPS_H
#define TANDEM_POLICIES_PREFIX_GROUPS_H

#include "policies/ordering.h"

/* What a group asks for: its common prefix is computed once. */
struct group_work {
    double prompt_tokens, output_tokens; /* to compute; predicted */
    double kv_reads;                     /* KV tokens that its decodes will read, Σ p·d + d²/2 over its requests */
};

/* Sets order_key of all that wait to their group's rank (a request in no group is a group by itself), and sorts them
 * by rank, group by group, each in order of arrival. Those that were preempted stand first. */
void prefix_groups_arrange(struct request_list *waiting, double (*rank)(const struct group_work *group));

/* A single request as a group by itself. */
struct group_work group_work_of(const struct request *r);

#endif
