/* SPDX-License-Identifier: MIT */
#include "sim/cluster.h"

size_t cluster_replicas(const struct cluster_config *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->pool_count; i++)
        count += pool_replicas(&c->pools[i]);
    return count;
}

size_t cluster_stations(const struct cluster_config *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->pool_count; i++)
        count += c->pools[i].stations;
    return count;
}

const struct pool_config *cluster_pool_of(const struct cluster_config *c, struct station_id station)
{
    const struct pool_config *p = c->pools;
    for (; station.index >= p->stations; p++)
        station.index -= p->stations;
    return p;
}

bool cluster_scales(const struct cluster_config *c)
{
    bool scales = false;
    for (size_t i = 0; i < c->fleet_count; i++)
        scales |= c->fleets[i].scaling != NULL;
    return scales;
}

bool cluster_decoders_may_fail(const struct cluster_config *c)
{
    bool fails = false;
    for (size_t i = 0, pool = 0; c->step_count > 1 && i < c->fleet_count; pool += c->fleets[i++].pools)
        fails |= pool >= c->routers[0].pools && fleet_may_fail(&c->fleets[i]);
    return fails;
}

double cluster_held_s(const struct cluster_config *c, const struct cluster_totals *t)
{
    double held = 0;
    for (size_t i = 0; i < c->pool_count; i++)
        held += t->held_s[i];
    return held;
}

double cluster_replica_held_s(const struct cluster_config *c, const struct cluster_totals *t)
{
    double held = 0;
    for (size_t i = 0; i < c->pool_count; i++)
        held += t->held_s[i] / (double)(c->pools[i].stage_executors ? c->pools[i].tied : 1);
    return held;
}
