/* SPDX-License-Identifier: MIT */
/* scaling.h — decides how many replicas there should be. */
#ifndef TANDEM_POLICIES_SCALING_H
#define TANDEM_POLICIES_SCALING_H

#include <stddef.h>
#include <stdint.h>

#include "base/param.h"

/* What a controller next to the router can count, now and since it looked last. */
struct scaling_view {
    const struct param_set *params; /* the policy's */
    size_t up, coming;              /* replicas that serve, and that are being started */
    uint64_t outstanding, waiting;  /* requests; those among them that have not been in a batch yet */
    uint64_t arrived;               /* since the last look */
    double interval_s;              /* between looks */
};

/* What it wants is kept between the scenario's limits, and is held against a sudden fall by sim/fleet.h. */
struct scaling_policy {
    const char *name, *summary, *source;
    const struct param_spec *params;
    size_t (*wanted)(const struct scaling_view *view);
};

/* The smallest whole number at or above x, at least 0. */
size_t scaling_round_up(double x);

/* NULL-ended, those that are built in; find returns NULL for an unknown name. */
extern const struct scaling_policy *const scaling_policies[];
const struct scaling_policy *scaling_policy_find(const char *name);

#endif
