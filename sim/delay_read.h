/* SPDX-License-Identifier: MIT */
/* delay_read.h — pools of stations that requests go through one by one (delay.h), as a scenario writes them. */
#ifndef TANDEM_SIM_DELAY_READ_H
#define TANDEM_SIM_DELAY_READ_H

#include "sim/scenario.h"

/* The field for the number of servers, which is so many where nothing is said; "unlimited": as many as requests. */
#define DELAY_SERVERS(OTHERWISE)                                                                                       \
    {                                                                                                                  \
        .is = {.name = "servers", .help = "requests that are served at once, in order of arrival"},                    \
        .kind = FIELD_FORMS, .otherwise = OTHERWISE, .members = delay_server_forms                                     \
    }

extern const struct field delay_server_forms[];

/* Its value: 0 for "unlimited". */
int delay_read_servers(const struct json *pool, size_t otherwise, size_t *out, struct error *err);

/* The kind of station that a pool is of; NULL: it is of replicas. Fails where its "kind" is none that there is. */
int delay_kind_read(const struct json *pool, const struct delay_kind **kind, struct error *err);

/* Reads such a pool of a scenario into the cluster, after those that are there. */
int delay_read(struct cluster_config *c, const struct delay_kind *kind, const struct json *root,
               const struct json *pool, const char *name, struct error *err);

/* Puts them in order of the flow, and says how many of them are before the steps that serve. */
int delay_read_flow(struct cluster_config *c, const struct json *flow, struct error *err);

#endif
