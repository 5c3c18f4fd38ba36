/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/prefix_groups.h"

static const struct param_spec params[] = {{0}};

/* Whether somebody has come since the queue was last sorted. */
static int create(void **state, const struct param_set *set, struct error *err)
{
    (void)set;
    bool *changed = *state = calloc(1, sizeof *changed);
    return changed ? 0 : error_no_memory(err);
}

static int joins(void *state, struct request *r)
{
    (void)r;
    *(bool *)state = true;
    return 0;
}

static double rank(const struct group_work *group)
{
    return -group->output_tokens / group->prompt_tokens;
}

static void arrange(void *state, struct request_list *waiting)
{
    bool *changed = state;
    if (*changed)
        prefix_groups_arrange(waiting, rank);
    *changed = false;
}

const struct order_policy order_decode_ratio = {
    .name = "decode_ratio",
    .summary =
        "prefix group by prefix group, largest predicted output over prompt first, so that decodes are there for "
        "later prompts to join",
    .source = "BatchLLM (Zheng et al. 2024, arXiv 2412.03594, sections 4.1 and 4.2)",
    .params = params,
    .create = create,
    .destroy = free,
    .joins = joins,
    .arrange = arrange};
