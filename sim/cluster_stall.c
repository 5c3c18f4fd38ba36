/* SPDX-License-Identifier: MIT */
/* A run in which nothing can happen any more although requests are unfinished: the sentence that says which request
 * waits, where, and for what. Policies accept only what they can serve, so this is a fault of a policy or of ours. */
#include "sim/cluster_state.h"

static int complain(const struct request *r, sim_time now, const struct replica *at, const char *what,
                    struct error *err)
{
    return error_set(err, ERROR_RUN,
                     "nothing can happen any more at %.6f s, and request %llu (%u prompt tokens, at most %u output "
                     "tokens) waits %s of replica %zu (%llu of %llu KV blocks are free, %zu requests run)",
                     sim_time_to_s(now), (unsigned long long)r->id, r->prompt_tokens, r->max_output_tokens, what,
                     replica_station(at).index, (unsigned long long)replica_free_blocks(at),
                     (unsigned long long)replica_total_blocks(at), replica_running(at));
}

bool cluster_can_go_on(const struct cluster *c)
{
    bool only_looks = c->fleet_count > 0 && c->more != 1 && c->delays.next == SIM_TIME_NEVER;
    for (size_t i = 0; only_looks && i < c->fleet_count; i++)
        only_looks = !fleet_awaits_change(&c->fleets[i]);
    for (size_t i = 0; only_looks && i <= slot_of_transfers(c).index; i++)
        only_looks = min_index_key(&c->events, i) == MIN_INDEX_NONE;
    only_looks &= tiers_next(&c->tiers) == SIM_TIME_NEVER;
    return !only_looks;
}

int cluster_stalled(const struct cluster *c, struct error *err)
{
    sim_time now = c->totals.end;
    for (size_t i = 0; i < c->replica_count; i++) {
        const struct replica *r = c->replicas[i];
        if (replica_waiting(r) > 0)
            return complain(replica_first_waiting(r), now, r, "for the batching policy", err);
        if (replica_running(r) > 0)
            return complain(replica_first_running(r), now, r, "to be in a batch", err);
        const struct station *s = station_of(c, r);
        if (s->pipeline.prompts.count > 0)
            return complain(s->pipeline.prompts.head, now, r, "for its next chunk", err);
        if (s->pair.members && s->pair.inbound[r != s->replicas[0]].count > 0)
            return complain(s->pair.inbound[r != s->replicas[0]].head, now, r, "to go on at the other one", err);
        if (s->decodes && c->transfers.queued[replica_station(r).index].count > 0)
            return complain(c->transfers.queued[replica_station(r).index].head, now, r,
                            "for its KV to be pulled into the pool", err);
    }
    return error_set(err, ERROR_RUN, "nothing can happen any more at %.6f s, and %llu requests wait for a replica",
                     sim_time_to_s(now), (unsigned long long)c->in_flight);
}
