/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

static const struct param_spec params[] = {{0}};

const struct order_policy order_fcfs = {.name = "fcfs",
                                        .summary = "first come, first served",
                                        .source = "none needed",
                                        .params = params};
