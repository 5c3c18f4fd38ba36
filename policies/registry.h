/* SPDX-License-Identifier: MIT */
/* registry.h — every policy of every axis by its name: those that are built in, then those of plug-ins. */
#ifndef TANDEM_POLICIES_REGISTRY_H
#define TANDEM_POLICIES_REGISTRY_H

#include "policies/batching.h"
#include "policies/ordering.h"
#include "policies/predicting.h"
#include "policies/routing.h"
#include "policies/scaling.h"

enum policy_axis { AXIS_BATCHING, AXIS_ORDER, AXIS_ROUTING, AXIS_PREDICTOR, AXIS_AUTOSCALING, POLICY_AXES };

extern const char *const policy_axis_names[POLICY_AXES]; /* "batching", … */

/* The policy at an index, NULL after the last; and by its name, NULL where there is none. */
const void *policy_at(enum policy_axis axis, size_t index);
const void *policy_find(enum policy_axis axis, const char *name);

/* The name of a policy of any axis. */
const char *policy_name(const void *policy);

/* Whether it is a path to a shared object, which no policy may be called. */
bool policy_name_is_path(const char *name);

/* Says that there is no policy of the name that was found at a place, and what may have been meant. Returns -1. */
int policy_complain(const struct json *at, enum policy_axis axis, const char *found, struct error *err);

#endif
