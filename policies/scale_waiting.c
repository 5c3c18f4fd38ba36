/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "policies/scaling.h"

static const struct param_spec params[] = {
    {"target", PARAM_NUMBER, "requests", 2, 1e-3, 1e6, "waiting requests for a replica", NULL, NULL},
    {"tolerance", PARAM_NUMBER, "", 0.1, 0, 10, "ratios so close to 1 change nothing", NULL, NULL},
    {0},
};

/* desired = ⌈current · metric / target⌉, unless the ratio is about 1; one step down at a time when nobody waits. */
static size_t wanted(const struct scaling_view *view)
{
    size_t current = view->up + view->coming;
    if (current == 0)
        return 1;
    double ratio = (double)view->waiting / (double)current / param_number(view->params, "target");
    if (fabs(ratio - 1) <= param_number(view->params, "tolerance"))
        return current;
    return view->waiting == 0 ? current - 1 : scaling_round_up((double)current * ratio);
}

const struct scaling_policy scaling_waiting = {
    .name = "waiting",
    .summary = "in proportion to how many wait for a replica, as Kubernetes scales on vllm:num_requests_waiting",
    .source = "Kubernetes' Horizontal Pod Autoscaler, its formula for average values",
    .params = params,
    .wanted = wanted,
};
