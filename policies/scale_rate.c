/* SPDX-License-Identifier: MIT */
#include "policies/scaling.h"

static const struct param_spec params[] = {
    {"rate_per_s", PARAM_NUMBER, "1/s", 1, 1e-9, 1e9, "arrivals that a replica should get", NULL, NULL},
    {0},
};

static size_t wanted(const struct scaling_view *view)
{
    double rate = (double)view->arrived / view->interval_s;
    return scaling_round_up(rate / param_number(view->params, "rate_per_s"));
}

const struct scaling_policy scaling_rate = {
    .name = "rate",
    .summary = "as many as the arrivals since the last look need, at a rate that each can take",
    .source = "Knative Serving's autoscaler (KPA), metric rps",
    .params = params,
    .wanted = wanted,
};
