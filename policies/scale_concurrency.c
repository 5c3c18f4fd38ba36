/* SPDX-License-Identifier: MIT */
#include "policies/scaling.h"

static const struct param_spec params[] = {
    {"target", PARAM_NUMBER, "requests", 32, 1e-3, 1e6, "outstanding requests that a replica should have", NULL, NULL},
    {0},
};

static size_t wanted(const struct scaling_view *view)
{
    return scaling_round_up((double)view->outstanding / param_number(view->params, "target"));
}

const struct scaling_policy scaling_concurrency = {
    .name = "concurrency",
    .summary = "as many as keep each at a number of outstanding requests",
    .source = "Knative Serving's autoscaler (KPA), metric concurrency",
    .params = params,
    .wanted = wanted,
};
