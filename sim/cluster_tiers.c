/* SPDX-License-Identifier: MIT */
/* KV that comes from tiers below GPU memory, and which store of a tier each station uses. */
#include <stdlib.h>

#include "sim/cluster_state.h"

struct tier_user *cluster_tiers_of(const struct cluster *c, const struct station *s)
{
    return c->tier_users && s->pool->tiers.count > 0 ? &c->tier_users[s - c->stations] : NULL;
}

/* Where stores are shared: a station's replica, which its ranks have in common, and that one's node. */
struct home {
    size_t replica, node;
};

/* Puts a replica of so many GPUs on nodes after `used` ones: one that fits a node lies on one alone. Returns its first
 * GPU. */
static uint64_t place_replica(uint64_t used, uint64_t gpus, uint64_t node)
{
    uint64_t left = node - used % node;
    return gpus <= node && gpus > left ? used + left : used;
}

/* Homes of all stations, in order. Returns how many there are of each. */
static struct home find_homes(const struct cluster *c, struct home *homes)
{
    uint64_t used = 0, node = c->config->node_gpus;
    struct home count = {0};
    for (size_t i = 0, station = 0; i < c->config->pool_count; i++) {
        const struct pool_config *pool = &c->config->pools[i];
        for (size_t k = 0; k < pool->stations; k++, station++) {
            if (k % pool->ranks == 0) {
                used = place_replica(used, pool->tiers.gpus, node);
                homes[station] = (struct home){count.replica++, used / node};
                count.node = used / node + 1;
                used += pool->tiers.gpus;
            } else {
                homes[station] = homes[station - 1];
            }
        }
    }
    return count;
}

static size_t which(enum tier_sharing by, const struct home *home, size_t cluster)
{
    return by == TIER_OF_REPLICA ? home->replica : by == TIER_OF_NODE ? home->node : cluster;
}

static void make_users(struct cluster *c, const struct home *homes)
{
    for (size_t i = 0; i < c->station_count; i++) {
        const struct pool_config *pool = c->stations[i].pool;
        struct tier_user *u = &c->tier_users[i];
        tier_user_init(u, &c->tiers, &pool->tiers, (struct station_id){i}, pool->replica.kv_block_tokens);
        for (size_t k = 0; k < pool->tiers.count; k++)
            u->stores[k] = which(c->config->tiers[pool->tiers.of[k]].shared_by, &homes[i], 0);
    }
}

int cluster_prepare_tiers(struct cluster *c)
{
    struct home *homes = calloc(c->station_count, sizeof *homes);
    size_t stores[MOST_TIERS];
    c->tier_users = calloc(c->station_count, sizeof *c->tier_users);
    if (!homes || !c->tier_users) {
        free(homes);
        return -1;
    }
    struct home count = find_homes(c, homes);
    for (size_t i = 0; i < c->config->tier_count; i++)
        stores[i] = which(c->config->tiers[i].shared_by, &count, 1);
    int status = tiers_init(&c->tiers, c->config->tiers, c->config->tier_count, stores, c->station_count, c->observer);
    if (status == 0)
        make_users(c, homes);
    free(homes);
    return status;
}

void cluster_release_tiers(struct cluster *c)
{
    for (size_t i = 0; c->tier_users && i < c->station_count; i++)
        tier_user_release(&c->tier_users[i]);
    free(c->tier_users);
    tiers_release(&c->tiers);
}

/* Replicas that had something to do at this instant have done it. */
void cluster_end_loads(struct cluster *c, sim_time now)
{
    struct station_id station = {0};
    for (struct request *q; (q = tiers_take(&c->tiers, now, &station));) {
        q->loaded = true;
        c->totals.end = now;
        cluster_cut_station(c, &c->stations[station.index], now + 1);
    }
    cluster_wake_touched(c, now, EVERYBODY);
}
