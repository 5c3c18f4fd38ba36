/* SPDX-License-Identifier: MIT */
/* tiers_read.h — tiers below GPU memory, as a scenario writes them. */
#ifndef TANDEM_SIM_TIERS_READ_H
#define TANDEM_SIM_TIERS_READ_H

#include "base/fields.h"
#include "sim/scenario.h"

/* What a cluster says of them, and what a pool does. */
extern const struct field tiers_fields[], pool_tiers_fields[];

/* Reads the tiers of the cluster, and which pools use them. Models, policies and blocks must have been read. */
int tiers_read(struct scenario *s, struct error *err);

#endif
