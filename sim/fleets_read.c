/* SPDX-License-Identifier: MIT */
#include "sim/fleets_read.h"

/* What is refused of a fleet, and why. */
static int check_fleet(const struct scenario *s, size_t step, const struct fleet_said *said, size_t pool,
                       struct error *err)
{
    struct json patience = json_member(&said->admission, "give_up_s");
    bool pairs = s->cluster.pools[pool].tied > 1 && s->pools[pool].parallel.stages == 1;
    if (pairs && (said->failures.node || said->scaling.node))
        return json_complain(said->failures.node ? &said->failures : &said->scaling,
                             "no failures and no autoscaling with redundant_kv, whose pairs always are two", err);
    if (patience.node && s->cluster.delays_before > 0)
        return json_complain(&patience,
                             "no \"give_up_s\" with pools of a kind other than \"replica\" before those that serve",
                             err);
    return step > 0 && patience.node && said->sheds_itself
               ? json_complain(&patience,
                               "no \"give_up_s\" in a pool that decodes: its requests have been in a batch before", err)
               : 0;
}

/* Replicas of a pool: all its ranks, or stages, are one. */
static size_t replicas_of(const struct pool_config *p)
{
    return p->stations / p->ranks;
}

/* The fleet of the next pools. */
static int read_fleet(struct scenario *s, const struct json *cluster, size_t step, size_t pool, size_t replicas,
                      struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct fleet_config *f = &c->fleets[c->fleet_count];
    struct fleet_said said = fleet_said_of(&s->pools[pool].at, cluster);
    f->first = c->fleet_count > 0 ? f[-1].first + f[-1].count : 0;
    f->count = 0;
    for (size_t i = pool; i < pool + f->pools; i++)
        f->count += replicas_of(&c->pools[i]);
    c->fleet_count++;
    return check_fleet(s, step, &said, pool, err) || fleet_read(f, &said, replicas, err) ? -1 : 0;
}

/* The pools of a step are one fleet, unless a request decides its pool, or one of them says something itself. */
static bool is_one_fleet(const struct scenario *s, const struct json *cluster, size_t step, size_t pool)
{
    const struct router_config *router = &s->cluster.routers[step];
    bool one = router->choice.by == CHOOSE_ANY;
    for (size_t i = pool; i < pool + router->pools; i++)
        one &= !fleet_said_of(&s->pools[i].at, cluster).says_itself;
    return one;
}

int fleets_read(struct scenario *s, const struct json *cluster, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct json nothing = {0};
    struct fleet_said common = fleet_said_of(&nothing, cluster);
    bool asked = common.failures.node || common.scaling.node || common.admission.node;
    size_t replicas = 0;
    for (size_t i = 0; i < c->pool_count; i++) {
        asked |= fleet_said_of(&s->pools[i].at, cluster).says_itself;
        replicas += replicas_of(&c->pools[i]);
    }
    for (size_t step = 0, pool = 0; asked && step < c->step_count; step++) {
        size_t end = pool + c->routers[step].pools;
        bool one = is_one_fleet(s, cluster, step, pool);
        for (; pool < end; pool += one ? end - pool : 1) {
            c->fleets[c->fleet_count].pools = one ? end - pool : 1;
            if (read_fleet(s, cluster, step, pool, replicas, err))
                return -1;
        }
    }
    return 0;
}
