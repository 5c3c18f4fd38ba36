/* SPDX-License-Identifier: MIT */
/* names.h — what a scenario may name, one after another: for its tables (base/fields.h), `list` and `describe`. */
#ifndef TANDEM_SIM_NAMES_H
#define TANDEM_SIM_NAMES_H

#include "base/fields.h"

/* The one at an index; false after the last. */
bool batching_policy_at(size_t index, struct named *out);
bool order_policy_at(size_t index, struct named *out);
bool predictor_at(size_t index, struct named *out);
bool routing_policy_at(size_t index, struct named *out);
bool scaling_policy_at(size_t index, struct named *out);

/* Shipped files, which have no summary. */
bool model_at(size_t index, struct named *out);
bool device_at(size_t index, struct named *out);
bool engine_at(size_t index, struct named *out);
bool technique_at(size_t index, struct named *out);

/* What is not shipped is a path: the pattern of one. */
#define PATH_TO_JSON "/|\\.json"

#endif
