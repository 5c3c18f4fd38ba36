/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {
    {"short_tokens", PARAM_INTEGER, "tokens", 200, 1, 1e8, "predicted outputs up to this are short", NULL, NULL},
    {0},
};

/* The short ones as they came, then the long ones by what is predicted of them. */
static double key(const struct param_set *set, const struct request *r)
{
    return r->predicted_tokens <= param_number(set, "short_tokens") ? 0 : r->predicted_tokens;
}

const struct order_policy order_skip_predict = {
    .name = "skip_predict",
    .summary = "predicted short ones first, as they came; then long ones, shortest predicted output first",
    .source = "SkipPredict (Shahout and Mitzenmacher 2024, arXiv 2402.03564)",
    .params = params,
    .key = key};
