/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {{0}};

static double key(const struct param_set *set, const struct request *r)
{
    (void)set;
    return -(double)r->predicted_tokens / r->prompt_tokens;
}

const struct order_policy order_decode_ratio = {
    .name = "decode_ratio",
    .summary = "largest predicted output over prompt first, so that decodes are there for later prompts to join",
    .source = "BatchLLM (Zheng et al. 2024, arXiv 2412.03594, section 4.2)",
    .params = params,
    .key = key};
