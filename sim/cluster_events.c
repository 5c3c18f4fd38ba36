/* SPDX-License-Identifier: MIT */
#include "sim/cluster_state.h"

void cluster_rank(struct cluster *c, const struct replica *r)
{
    if (c->rank && !station_of(c, r)->decodes)
        min_index_set(&c->ranks, replica_station(r).index,
                      state_of(station_of(c, r)) == REPLICA_UP ? c->rank(replica_load(r)) : MIN_INDEX_NONE);
}

void cluster_touch(struct cluster *c, struct replica_id replica)
{
    if (!c->is_touched[replica.index])
        c->touched[(c->touched_first + c->touched_count++) % c->replica_count] = replica;
    c->is_touched[replica.index] = true;
}

/* Somebody new stands in the replica's queue; an idle replica looks when the instant's arrivals are all in. */
void cluster_notice(struct cluster *c, struct replica *r, sim_time from)
{
    if (!replica_is_busy(r))
        cluster_touch(c, replica_id(r));
    else if (replica_can_be_cut(r))
        await_replica(c, r, replica_cut(r, from));
}

/* What runs on a replica ends with the first iteration that ends at `from` or later, since something has changed that
 * no policy foresaw: KV has come, or has gone. */
void cluster_cut_short(struct cluster *c, struct replica_id replica, sim_time from)
{
    struct replica *r = c->replicas[replica.index];
    replica_disturb(r);
    if (!replica_is_busy(r))
        cluster_touch(c, replica);
    else if (replica_runs_stretch(r))
        await_replica(c, r, replica_cut(r, from));
}
