/* SPDX-License-Identifier: MIT */
/* delay_read.h — pools of kind "delay", as a scenario writes them. */
#ifndef TANDEM_SIM_DELAY_READ_H
#define TANDEM_SIM_DELAY_READ_H

#include "base/fields.h"
#include "sim/scenario.h"

extern const struct field delay_fields[];

/* Whether a pool is one. Fails where its "kind" is none that there is. */
int delay_is(const struct json *pool, bool *is, struct error *err);

/* Reads such a pool into the cluster, after those that are there. */
int delay_read(struct cluster_config *c, const struct json *pool, const char *name, struct error *err);

/* Puts them in order of the flow, and says how many of them are before the steps that serve. */
int delay_read_flow(struct cluster_config *c, const struct json *flow, struct error *err);

#endif
