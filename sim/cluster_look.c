/* SPDX-License-Identifier: MIT */
/* Who looks at a cluster from outside while it runs: probes, and routers that read what they know. */
#include "sim/cluster_state.h"

static void count_up(const struct cluster *c, struct cluster_state *state)
{
    for (size_t i = 0; i < c->station_count; i++)
        if (state_of(&c->stations[i]) == REPLICA_UP) {
            state->replicas_up++;
            state->batches_up += c->stations[i].pool->tied;
        }
}

/* Everything before this instant has been applied when it is told. */
static void probe(struct cluster *c)
{
    struct cluster_state state = {.at = c->next_probe};
    count_up(c, &state);
    for (size_t i = 0; i < c->replica_count; i++) {
        replica_catch_up(c->replicas[i], c->next_probe);
        state.busy_more += replica_busy_more(c->replicas[i], c->next_probe);
        state.tokens_less += replica_tokens_less(c->replicas[i], c->next_probe);
        state.kv_used_blocks += replica_own_blocks_in_use(c->replicas[i]);
    }
    tell_probed(c->observer, &state);
    c->next_probe += c->config->probe_interval;
}

/* When a probe is due, or a router reads what is to be known next. */
sim_time cluster_next_look(const struct cluster *c)
{
    sim_time next = c->config->probe_interval > 0 ? c->next_probe : SIM_TIME_NEVER;
    for (size_t step = 0; step < c->config->step_count; step++) {
        const struct signals *s = &c->routers[step].signals;
        if (s->of && s->next_reading < next)
            next = s->next_reading;
        if (s->of && s->next_hearing < next)
            next = s->next_hearing;
    }
    return next;
}

/* Probes and routers look at what was until then, in order of time. */
void cluster_look(struct cluster *c, sim_time until)
{
    sim_time due = cluster_signals_due(c, until);
    if (c->config->probe_interval > 0 && c->next_probe <= due && c->next_probe <= until)
        probe(c);
    else
        cluster_refresh_signals(c, due);
    c->next_look = cluster_next_look(c);
}
