/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {
    {"prompt_weight", PARAM_NUMBER, "", 0, 0, 1000, "of a prompt token against an output token in a request's size",
     NULL, NULL},
    {0},
};

static double key(const struct param_set *set, const struct request *r)
{
    return r->predicted_tokens + param_number(set, "prompt_weight") * r->prompt_tokens;
}

const struct order_policy order_sjf = {.name = "sjf",
                                       .summary = "shortest job first, by predicted output tokens",
                                       .source = "Schrage and Miller 1966; with predictions: Mitzenmacher 2020",
                                       .params = params,
                                       .key = key};
