/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {
    {"ttft_slo_s", PARAM_NUMBER, "s", 1, 0, 1e6, "allowed for every request's first token", NULL, NULL},
    {"per_prompt_token_s", PARAM_NUMBER, "s", 0, 0, 1, "allowed on top for each prompt token", NULL, NULL},
    {0},
};

static double key(const struct param_set *set, const struct request *r)
{
    return sim_time_to_s(r->arrival) + param_number(set, "ttft_slo_s") +
           param_number(set, "per_prompt_token_s") * r->prompt_tokens;
}

const struct order_policy order_edf = {.name = "edf",
                                       .summary =
                                           "earliest deadline first: arrival and what is allowed for the first token",
                                       .source = "Liu and Layland 1973",
                                       .params = params,
                                       .key = key,
                                       .ranks_preempted = true};
