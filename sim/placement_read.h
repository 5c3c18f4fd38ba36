/* SPDX-License-Identifier: MIT */
/* placement_read.h — the short form of a cluster: replicas that are alike, and where they prefill and decode. */
#ifndef TANDEM_SIM_PLACEMENT_READ_H
#define TANDEM_SIM_PLACEMENT_READ_H

#include "sim/scenario.h"

extern const struct field short_fields[];

/* Reads it: a pool that serves, or one that prefills and one that decodes. What it says of all replicas goes to
 * `usual`. */
int placement_read(struct scenario *s, const struct json *at, struct pool *usual, bool *layerwise, struct error *err);

#endif
