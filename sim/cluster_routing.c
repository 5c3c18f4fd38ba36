/* SPDX-License-Identifier: MIT */
/* Which station a router sends a request to, and what it knows of stations then. */
#include "sim/cluster_state.h"

static size_t station_at(const struct span_of_stations *span, size_t index)
{
    return span->only ? span->only[index] : span->first + index;
}

/* Those that are up, of the span's. */
static void narrow(const struct router *router, struct span_of_stations *span)
{
    size_t end = span->first + span->count, from = 0, count = 0;
    while (from < router->open_count && router->open[from] < span->first)
        from++;
    while (from + count < router->open_count && router->open[from + count] < end)
        count++;
    span->only = &router->open[from];
    span->count = count;
}

struct span_of_stations cluster_stations_for(struct router *router, const struct request *r)
{
    const struct flow_choice *choice = &router->config->choice;
    if (choice->by == CHOOSE_ANY)
        return (struct span_of_stations){router->first, router->count, NULL, &router->cursors[0]};
    size_t pool = flow_choice_of(choice, r), first = router->pool_first[pool];
    size_t end = pool + 1 < choice->pools ? router->pool_first[pool + 1] : router->first + router->count;
    return (struct span_of_stations){first, end - first, NULL, &router->cursors[pool]};
}

/* Stations that a routing policy chooses among. */
struct routed {
    struct cluster *c;
    struct router *router;
    const struct span_of_stations *span;
    sim_time now;
};

static struct station *routed_station(void *replicas, size_t index)
{
    const struct routed *r = replicas;
    return &r->c->stations[station_at(r->span, index)];
}

/* Its place among those that the router has signals of. */
static size_t signalled(void *replicas, size_t index)
{
    const struct routed *r = replicas;
    return station_at(r->span, index) - r->router->first;
}

static void catch_up(const struct station *s, sim_time now)
{
    for (size_t i = 0; i < s->pool->tied; i++)
        replica_catch_up(s->replicas[i], now);
}

static const struct replica_load *load_of(void *replicas, size_t index)
{
    return station_load(routed_station(replicas, index));
}

/* The first replica of a station stands for it. */
uint32_t cluster_cached_tokens(struct cluster *c, size_t step, const struct station *s, const struct request *r,
                               sim_time now)
{
    const struct router *router = &c->routers[step];
    if (router->signals.keeps_index)
        return signals_cached(&router->signals, id_of(c, s).index - router->first, r, s->pool->replica.kv_block_tokens);
    catch_up(s, now);
    return replica_cached_tokens(s->replicas[0], r);
}

static uint32_t cached_tokens_of(void *replicas, size_t index, const struct request *r)
{
    const struct routed *routed = replicas;
    size_t step = (size_t)(routed->router - routed->c->routers);
    return cluster_cached_tokens(routed->c, step, routed_station(replicas, index), r, routed->now);
}

static uint64_t kv_tokens_of(void *replicas, size_t index)
{
    return replica_kv_tokens(routed_station(replicas, index)->replicas[0]);
}

static uint64_t waiting_at(const struct cluster *c, const struct station *s)
{
    return replica_waiting(s->replicas[0]) + (s->decodes ? c->transfers.queued[id_of(c, s).index].count : 0);
}

static uint64_t waiting_of(void *replicas, size_t index)
{
    const struct routed *r = replicas;
    return r->router->signals.refresh > 0 ? r->router->signals.of[signalled(replicas, index)].waiting
                                          : waiting_at(r->c, routed_station(replicas, index));
}

static double kv_used_at(const struct station *s)
{
    const struct replica *first = s->replicas[0];
    return 1 - (double)replica_free_blocks(first) / (double)replica_total_blocks(first);
}

static double kv_used_of(void *replicas, size_t index)
{
    const struct routed *r = replicas;
    const struct station *s = routed_station(replicas, index);
    if (r->router->signals.refresh > 0)
        return r->router->signals.of[signalled(replicas, index)].kv_used;
    catch_up(s, r->now);
    return kv_used_at(s);
}

static uint64_t prefill_tokens_of(void *replicas, size_t index)
{
    const struct routed *r = replicas;
    return signals_prefill(&r->router->signals, signalled(replicas, index));
}

static bool session_here(void *replicas, size_t index, const struct request *r)
{
    const struct routed *routed = replicas;
    return signals_session_here(&routed->router->signals, signalled(replicas, index), r);
}

static uint32_t block_tokens_of(void *replicas, size_t index)
{
    return routed_station(replicas, index)->pool->replica.kv_block_tokens;
}

/* What the policy sees. */
static struct routing_view view_of(struct routed *routed)
{
    struct signals *s = &routed->router->signals;
    return (struct routing_view){.params = routed->router->config->params,
                                 .load = load_of,
                                 .cached_tokens = cached_tokens_of,
                                 .kv_tokens = kv_tokens_of,
                                 .replicas = routed,
                                 .waiting = waiting_of,
                                 .kv_used = kv_used_of,
                                 .prefill_tokens = prefill_tokens_of,
                                 .session_here = session_here,
                                 .block_tokens = block_tokens_of,
                                 .match_blocks = s->asked.match_blocks,
                                 .values = s->values};
}

static size_t choose_by_policy(struct cluster *c, struct router *router, const struct request *r,
                               const struct span_of_stations *span, sim_time now)
{
    struct routed routed = {.c = c, .router = router, .span = span, .now = now};
    struct routing_view view = view_of(&routed);
    size_t chosen = router->config->policy->choose(span->cursor, span->count, r, &view);
    if (chosen >= span->count) {
        c->misrouted = router->config->policy; /* the run ends with this event */
        chosen = 0;
    }
    if (router->signals.of)
        signals_send(&router->signals, signalled(&routed, chosen), r,
                     replica_id(routed_station(&routed, chosen)->replicas[0]).index,
                     cached_tokens_of(&routed, chosen, r), block_tokens_of(&routed, chosen));
    c->out_of_memory |= router->signals.out_of_memory;
    return station_at(span, chosen);
}

/* The station of least rank, the first of several. */
static size_t least_of_rank(const struct cluster *c, const struct router *router, const struct span_of_stations *span)
{
    size_t least = station_at(span, 0);
    for (size_t i = 1; i < span->count; i++) {
        size_t station = station_at(span, i);
        if (router->config->policy->rank(station_load(&c->stations[station])) <
            router->config->policy->rank(station_load(&c->stations[least])))
            least = station;
    }
    return least;
}

struct station *cluster_choose(struct cluster *c, size_t step, const struct request *r, sim_time now)
{
    struct router *router = &c->routers[step];
    struct span_of_stations span = cluster_stations_for(router, r);
    if (step == 0 && c->source->routed)
        return &c->stations[r->source.index];
    if (step == 0 && c->queue_is_shared)
        return &c->stations[span.first];
    bool all = span.count == router->count;
    if (router->open)
        narrow(router, &span);
    if (span.count == 0 || (span.count == 1 && !router->signals.of))
        return span.count ? &c->stations[station_at(&span, 0)] : NULL;
    if (!router->config->policy->rank)
        return &c->stations[choose_by_policy(c, router, r, &span, now)];
    return &c->stations[step == 0 && all ? (size_t)min_index_first(&c->ranks).slot : least_of_rank(c, router, &span)];
}

struct fleet *cluster_fleet_of(struct cluster *c, size_t step, const struct request *r)
{
    return c->stations[cluster_stations_for(&c->routers[step], r).first].fleet;
}

size_t cluster_unrouted(struct cluster *c, const struct fleet *f)
{
    const struct station *first = c->fleet_stations[f->config->first];
    size_t step = first->decodes, station = (size_t)(first - c->stations), count = 0;
    for (const struct request *r = c->routers[step].unrouted.head; r; r = r->next) {
        struct span_of_stations span = cluster_stations_for(&c->routers[step], r);
        count += span.first <= station && station < span.first + span.count;
    }
    return count;
}

int cluster_prepare_signals(struct cluster *c)
{
    for (size_t step = 0; step < c->config->step_count; step++) {
        struct router *router = &c->routers[step];
        struct routing_signals asked;
        if (!router->config->policy->signals)
            continue;
        router->config->policy->signals(router->config->params, &asked);
        if (signals_init(&router->signals, &asked, router->count))
            return -1;
        for (size_t i = 0; router->signals.index_refresh > 0 && i < router->count; i++)
            replica_note_changes(c->stations[router->first + i].replicas[0]);
    }
    return 0;
}

void cluster_release_signals(struct cluster *c)
{
    for (size_t step = 0; step < MOST_STEPS; step++)
        signals_release(&c->routers[step].signals);
}

/* Everything before `at` has happened there. */
static void refresh(struct cluster *c, struct router *router, sim_time at)
{
    struct signals *s = &router->signals;
    bool reads = signals_reads(s, at), hears = signals_hears(s, at);
    for (size_t i = 0; (reads || hears) && i < router->count; i++) {
        const struct station *station = &c->stations[router->first + i];
        catch_up(station, at);
        if (reads) {
            s->of[i].waiting = waiting_at(c, station);
            s->of[i].kv_used = kv_used_at(station);
        }
        if (hears) {
            size_t count;
            const struct kv_change *changes = replica_take_changes(station->replicas[0], &count);
            signals_hear(s, i, changes, count);
        }
    }
    signals_advance(s, at);
    c->out_of_memory |= s->out_of_memory;
}

sim_time cluster_signals_due(const struct cluster *c, sim_time until)
{
    sim_time due = SIM_TIME_NEVER;
    for (size_t step = 0; step < c->config->step_count; step++) {
        const struct signals *s = &c->routers[step].signals;
        sim_time own = s->of ? signals_due(s, until) : SIM_TIME_NEVER;
        due = own < due ? own : due;
    }
    return due;
}

void cluster_refresh_signals(struct cluster *c, sim_time at)
{
    for (size_t step = 0; step < c->config->step_count; step++)
        if (c->routers[step].signals.of)
            refresh(c, &c->routers[step], at);
}
