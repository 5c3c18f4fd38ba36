/* SPDX-License-Identifier: MIT */
/* pool_read.h — what both forms of a cluster are made of: a pool as it is written, who routes to it, and links. */
#ifndef TANDEM_SIM_POOL_READ_H
#define TANDEM_SIM_POOL_READ_H

#include "sim/scenario.h"

/* How a pool's replicas are made. */
struct shape_said {
    long long replicas, tensor, stages, data, expert;
    double imbalance;
};

#define ROUTING(NAME, PRESET, OTHERWISE, HELP)                                                                         \
    {                                                                                                                  \
        .is = {.name = NAME, .preset_text = PRESET, .help = HELP}, .kind = FIELD_NAMED, .otherwise = OTHERWISE,        \
        .names = routing_policy_at, .listed = "policies", .name_key = "policy", .title = "routing_policy"              \
    }

/* Ended by one without a name: how a pool's replicas are made, the link that KV goes over, Splitwise's thresholds,
 * links of a replica's own, all links of named pools, and what both forms of a cluster say. */
extern const struct field shape_fields[], wire_fields[], apart_wire_fields[], mixed_fields[], own_links_fields[],
    links_fields[], cluster_fields[];

/* Makes room for so many pools, each as `usual` until it says otherwise. */
int pools_make(struct scenario *s, size_t count, const struct pool *usual, struct error *err);

struct shape_said pool_shape_of(const struct pool *p);
int pool_shape_set(struct pool *p, const struct shape_said *said, const struct json *at, struct error *err);

/* What a pool does not say is as the cluster says. */
int pool_read(const struct json *at, struct pool *p, struct error *err);

/* Who chooses among the stations of a step: as `at` says, or by the policy `name`. */
int router_read(struct scenario *s, size_t step, const struct json *at, const char *name, struct error *err);

/* How KV goes from one pool to the other: the wire of a pair, or (apart_wire_fields) between steps, which is checked
 * once the routers are there. */
int wire_read(const struct json *at, const struct field *table, struct kv_wire *wire, bool *layerwise,
              struct error *err);
int wire_check(const struct scenario *s, const struct json *at, struct error *err);

/* Thresholds of a mixed pool, which stand among what `table` has. */
int mixed_pool_read(const struct json *at, const struct field *table, struct mixed_pool *m, struct error *err);

/* Links of a replica's own: between the GPUs of a stage, which may stand in "link", too, and between stages. */
int links_read(const struct json *cluster, bool named, struct pool *usual, struct error *err);

#endif
