/* SPDX-License-Identifier: MIT */
#include "sim/pool_kinds.h"

#include "sim/cache_station.h"
#include "sim/plain_delay.h"
#include "sim/pools_read.h"

#define REPLICA_KIND                                                                                                   \
    {                                                                                                                  \
        "replica", POOL_REPLICA, "replicas of a model, which batch their requests", NULL                               \
    }

const struct choice replica_kind[] = {REPLICA_KIND, {0}};

const struct choice pool_kinds[] = {REPLICA_KIND, PLAIN_DELAY_KIND, CACHE_KIND, {0}};

const struct field pool_forms[] = {PLAIN_DELAY_FORM,
                                   CACHE_FORM,
                                   {.is = {.name = "REPLICAS",
                                           .help = "replicas: what it does not say is as the scenario says"},
                                    .kind = FIELD_OBJECT,
                                    .members = pool_fields,
                                    .title = "pool"},
                                   {.is.name = NULL}};

const struct delay_kind *delay_kind_of(enum pool_kind kind)
{
    static const struct delay_kind *const kinds[] = {[POOL_DELAY] = &plain_delay, [POOL_CACHE] = &cache_station};
    return kinds[kind];
}
