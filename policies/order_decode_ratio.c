/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/prefix_groups.h"

static const struct param_spec params[] = {{0}};

static double rank(const struct group_work *group)
{
    return -group->output_tokens / group->prompt_tokens;
}

static int create(void **state, const struct param_set *set, struct error *err)
{
    (void)set;
    struct prefix_groups *groups = *state = calloc(1, sizeof *groups);
    if (!groups)
        return error_no_memory(err);
    groups->rank = rank;
    return 0;
}

static void destroy(void *state)
{
    prefix_groups_release(state);
    free(state);
}

static int joins(void *state, struct request *r)
{
    return prefix_groups_join(state, r);
}

static void admitted(void *state, struct request *r)
{
    prefix_groups_leave(state, r);
}

static void arrange(void *state, struct request_list *waiting)
{
    const struct prefix_groups *groups = state;
    order_bring_to_head(waiting, request_at(ordered_first(groups->leaders)));
}

const struct order_policy order_decode_ratio = {
    .name = "decode_ratio",
    .summary =
        "prefix group by prefix group, largest predicted output over prompt first, so that decodes are there for "
        "later prompts to join",
    .source = "BatchLLM (Zheng et al. 2024, arXiv 2412.03594, sections 4.1 and 4.2)",
    .params = params,
    .create = create,
    .destroy = destroy,
    .joins = joins,
    .admitted = admitted,
    .withdrawn = admitted,
    .arrange = arrange};
