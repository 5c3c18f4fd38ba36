/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {{0}};

/* What is predicted to be left; who has had more than was predicted is taken to be about to finish. */
static double key(const struct param_set *set, const struct request *r)
{
    (void)set;
    return r->predicted_tokens > r->generated ? r->predicted_tokens - r->generated : 0;
}

const struct order_policy order_srpt = {
    .name = "srpt",
    .summary = "shortest predicted remaining output first; preempted requests are ranked by what they have left",
    .source = "Schrage 1968; among waiting requests, since running ones are not preempted for it",
    .params = params,
    .key = key,
    .ranks_preempted = true};
