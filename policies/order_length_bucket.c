/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "policies/ordering.h"

static const struct param_spec params[] = {
    {"growth", PARAM_NUMBER, "", 2, 1.01, 1000, "a bucket's longest prompt over the one's before it", NULL, NULL},
    {"smallest", PARAM_INTEGER, "tokens", 128, 1, 1e8, "longest prompt of the first bucket", NULL, NULL},
    {0},
};

static double key(const struct param_set *set, const struct request *r)
{
    double beyond = r->prompt_tokens / param_number(set, "smallest");
    return beyond <= 1 ? 0 : ceil(log(beyond) / log(param_number(set, "growth")) - 1e-9);
}

const struct order_policy order_length_bucket = {
    .name = "length_bucket",
    .summary = "prompts of like length together, shortest bucket first, so that padding is small",
    .source = "bucketing of sequence-to-sequence training and serving, TensorFlow",
    .params = params,
    .key = key};
