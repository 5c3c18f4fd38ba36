/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {
    {"aging_s", PARAM_NUMBER, "s", 0, 0, 1e9,
     "waiting so long raises a request by one priority, so that none starves; 0: never", NULL, NULL},
    {0},
};

/* One that waits rises evenly with time, so who stands before whom follows from the arrivals alone. */
static double key(const struct param_set *set, const struct request *r)
{
    double aging = param_number(set, "aging_s");
    return aging > 0 ? sim_time_to_s(r->arrival) + aging * r->origin.priority : r->origin.priority;
}

const struct order_policy order_priority = {.name = "priority",
                                            .summary = "smallest priority number first; equals as they came",
                                            .source = "Cobham 1954 (without aging); vLLM's priority scheduling policy",
                                            .params = params,
                                            .key = key,
                                            .ranks_preempted = true};
