/* SPDX-License-Identifier: MIT */
#include "sim/cluster.h"

#include <stdlib.h>

#include "base/random.h"
#include "sim/cluster_state.h"

enum { EVENTS_PER_TICK = 1 << 16 };

#define LATEST ((sim_time)4 * 1000000000000000000) /* 127 years */

static struct pipeline *pipeline_of(const struct cluster *c, const struct replica *r)
{
    struct pipeline *p = &station_of(c, r)->pipeline;
    return p->stages > 0 ? p : NULL;
}

static bool keeps_in_pair(void *owner, const struct replica *r, struct request *q, sim_time now)
{
    pair_copy(&station_of(owner, r)->pair, r, q, now);
    return true;
}

/* Ranks step together. */
static bool is_busy(const struct cluster *c, const struct replica *r)
{
    const struct station *s = station_of(c, r);
    bool busy = replica_is_busy(r);
    for (size_t i = 0; c->has_ranks && s->pool->ranks > 1 && i < s->pool->ranks; i++)
        busy |= replica_is_busy(s->ranks[i]);
    return busy;
}

size_t cluster_running_on(const struct station *s)
{
    size_t count = s->pipeline.prompts.count;
    for (size_t i = 0; i < s->pool->tied; i++)
        count += replica_running(s->replicas[i]);
    return count;
}

/* Requests whose KV has arrived join the batch that is formed for `at`; micro-batches take equal shares. */
static void join_arrived(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    const struct station *s = station_of(c, r);
    struct request_list *arrived = &c->transfers.arrived[replica_station(r).index];
    size_t tied = s->pool->tied, share = (cluster_running_on(s) + arrived->count + tied - 1) / tied;
    for (struct request *q; (tied == 1 || replica_running(r) < share) && (q = arrived->head);) {
        request_list_remove(arrived, q);
        if (replica_take_over(r, q, at))
            c->out_of_memory = true;
    }
}

/* Between two iterations of a station that decodes: requests whose KV has arrived join, unless the next batch is formed
 * already, and more is pulled while it fits. */
static void receive(struct cluster *c, struct replica *r, sim_time now)
{
    struct kv_transfers *t = &c->transfers;
    const struct station *s = station_of(c, r);
    const size_t to = replica_station(r).index, most = s->pool->max_sequences * s->pool->tied;
    if (!replica_has_formed_next(r))
        join_arrived(c, r, now);
    while (t->queued[to].count > 0 && cluster_running_on(s) + t->under_way[to] + t->arrived[to].count < most &&
           replica_reserve_inbound(r, t->queued[to].head, now))
        if (kv_transfers_start(t, replica_station(r), now)) {
            c->out_of_memory = true;
            return;
        }
    replica_await_blocks(r, t->queued[to].count > 0);
    set_event(c, slot_of_transfers(c), kv_transfers_next(t));
}

static bool awaits(const struct cluster *c, const struct replica *r)
{
    const struct station *s = station_of(c, r);
    if (s->pair.members)
        return pair_awaits(&s->pair, r);
    size_t to = replica_station(r).index;
    return s->decodes && (c->transfers.queued[to].count > 0 || c->transfers.arrived[to].count > 0);
}

/* At the shared queue. A request that is preempted goes back to it: to the others in a stretch it is an arrival. */
static void has_looked(struct cluster *c, const struct replica *r, sim_time now)
{
    cluster_listen(c, r, now);
    if (replica_has_preempted(r))
        cluster_tell_lookers(c, now);
}

static void start_group(struct cluster *c, const struct station *s, sim_time now)
{
    size_t ranks = s->pool->ranks;
    for (size_t i = 0; s->decodes && i < ranks; i++)
        receive(c, s->ranks[i], now);
    await_replica(c, s->ranks[0], replica_start_group(s->ranks, ranks, now));
    for (size_t i = 0; c->queue_is_shared && i < ranks; i++)
        has_looked(c, s->ranks[i], now);
}

/* Whether chunks of a prompt follow each other through the stages. */
static bool passes_prompts(const struct station *s)
{
    return s->pipeline.stages > 0 && s->pool->replica.batching->chunks_follow;
}

/* A micro-batch starts when the first stage has let the one before go. The others of the same replica that could take
 * from its queue look again then. */
static void start_micro_batch(struct cluster *c, struct replica *r, sim_time now)
{
    const struct station *s = station_of(c, r);
    struct pipeline *p = pipeline_of(c, r);
    bool waited_for = replica_running(r) + replica_waiting(r) + p->prompts.count > 0 || awaits(c, r);
    if (p->free_at[0] > now) {
        replica_forget_preemptions(r);
        await_replica(c, r, waited_for ? p->free_at[0] : SIM_TIME_NEVER);
        return;
    }
    p->now = now;
    replica_wait(r, now);
    if (s->decodes)
        receive(c, r, now);
    if (replica_take_prompts(r, &p->prompts))
        c->out_of_memory = true;
    sim_time next = replica_start(r, now);
    bool busy = replica_is_busy(r);
    if (passes_prompts(s) && busy)
        replica_pass_prompts(r, &p->prompts, now, next);
    await_replica(c, r, next);
    bool more = replica_waiting(r) + p->prompts.count > 0 || awaits(c, r);
    for (size_t i = 0; busy && more && i < p->stages; i++)
        if (!replica_is_busy(s->replicas[i]))
            await_replica(c, s->replicas[i], p->free_at[0]);
}

/* Before a batch of one of a pair is formed for `at`. */
static void settle_pair(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    struct pair *p = &station_of(c, r)->pair;
    int gave = pair_settle(p, r, at);
    if (gave < 0)
        c->out_of_memory = true;
    else if (gave && !replica_is_busy(pair_other(p, r)))
        await_replica(c, pair_other(p, r), at);
}

/* The other one looks again where somebody waits: there may be blocks for a prompt now. */
static void start_member(struct cluster *c, struct replica *r, sim_time now)
{
    struct pair *p = &station_of(c, r)->pair;
    if (!replica_has_formed_next(r))
        settle_pair(c, r, now);
    sim_time next = replica_start(r, now);
    bool busy = replica_is_busy(r);
    await_replica(c, r, busy ? next : pair_next(p, r, next));
    if (busy && !replica_is_busy(pair_other(p, r)) && replica_waiting(r) > 0)
        cluster_touch(c, replica_id(pair_other(p, r)));
}

static void start_one(struct cluster *c, const struct station *s, struct replica *r, sim_time now)
{
    if (s->plain) {
        await_replica(c, r, replica_start(r, now));
    } else if (s->pipeline.stages > 0) {
        start_micro_batch(c, r, now);
    } else if (s->pair.members) {
        start_member(c, r, now);
    } else {
        if (s->decodes)
            receive(c, r, now);
        await_replica(c, r, replica_start(r, now));
    }
}

static void start(struct cluster *c, struct replica *r, sim_time now)
{
    const struct station *s = station_of(c, r);
    enum replica_state state = state_of(s);
    if (state != REPLICA_UP && state != REPLICA_DRAINING) {
        await_replica(c, r, SIM_TIME_NEVER);
        return;
    }
    if (c->has_ranks && s->pool->ranks > 1) {
        start_group(c, s, now);
        return;
    }
    start_one(c, s, r, now);
    if (c->queue_is_shared)
        has_looked(c, r, now);
}

void cluster_wake(struct cluster *c, struct replica *r, sim_time now)
{
    bool waited_for = replica_waiting(r) > 0 || awaits(c, r) || replica_has_loaded(r);
    if (!is_busy(c, r) && waited_for)
        start(c, r, now);
}

/* Idle replicas look at what has arrived once all arrivals of the instant are in. */
void cluster_wake_touched(struct cluster *c, sim_time now, struct replica_id after)
{
    while (c->touched_count > 0) {
        struct replica_id replica = c->touched[c->touched_first];
        c->touched_first = (c->touched_first + 1) % c->replica_count;
        c->touched_count--;
        c->is_touched[replica.index] = false;
        cluster_wake(c, c->replicas[replica.index], now);
    }
    if (c->queue_is_shared)
        cluster_look_at_queue(c, now, after);
}

/* Looks at every event: one that an engine serves may take a second. */
static bool asks_to_stop(struct cluster *c, const struct run_control *control)
{
    if (control->tick && ++c->events_seen % EVENTS_PER_TICK == 0)
        control->tick(control->state, &c->totals);
    c->totals.stopped = control->stop && *control->stop;
    return c->totals.stopped;
}

/* When somebody arrives next, or leaves a delay station. */
static sim_time next_arrival(const struct cluster *c)
{
    return c->more == 1 && c->next.at < c->delays.next ? c->next.at : c->delays.next;
}

/* All arrivals of this instant, and the one after them; and who leaves delay stations now: a client whose request
 * is shed then, or whose answer comes then, may send its next one at once. */
static int take_arrivals(struct cluster *c, sim_time now, struct replica_id after, struct error *err)
{
    do {
        while (c->more == 1 && c->next.at <= now) {
            if (cluster_arrive(c, &c->next, after, err))
                return -1;
            c->more = c->source->next(c->source->state, &c->next, err);
        }
        enum delay_exit to = DELAY_TO_ROUTER;
        for (struct request *r; (r = delays_take(&c->delays, now, &to));)
            if (cluster_come_from_delays(c, r, to, now, after, err))
                return -1;
        if (c->delays.count > 0 && c->more == SOURCE_WAITS)
            c->more = c->source->next(c->source->state, &c->next, err);
    } while (c->more == 1 && c->next.at <= now);
    return c->more < 0 ? -1 : 0;
}

static int arrive_together(struct cluster *c, struct error *err)
{
    sim_time now = c->totals.end = next_arrival(c);
    if (take_arrivals(c, now, NOBODY, err))
        return -1;
    cluster_wake_touched(c, now, NOBODY);
    return 0;
}

/* Clients of a closed loop whose requests have finished may send their next ones at this very instant: the replica can
 * have them in its next batch. */
int cluster_hear_from_clients(struct cluster *c, struct replica_id replica, sim_time now, struct error *err)
{
    if (c->more != SOURCE_WAITS)
        return 0;
    c->more = c->source->next(c->source->state, &c->next, err);
    return take_arrivals(c, now, replica, err);
}

static int act(struct cluster *c, struct replica_id replica, sim_time now, struct error *err)
{
    struct replica **group = &c->replicas[replica.index], *r = *group;
    size_t ranks = c->has_ranks ? station_of(c, r)->pool->ranks : 1;
    c->totals.end = now;
    for (size_t i = 0; i < ranks; i++)
        if (replica_is_busy(group[i]))
            replica_finish(group[i], now);
    bool idle = cluster_settle_fleet(c, station_of(c, r), now);
    if (cluster_hear_from_clients(c, replica, now, err))
        return -1;
    if (!idle)
        start(c, r, now);
    for (size_t i = 0; c->rank && i < ranks; i++)
        cluster_rank(c, group[i]);
    cluster_wake_touched(c, now, replica);
    return 0;
}

/* A fleet's events go on without end. Where rows of requests that had ended are still computed, the run lasts until
 * then, as it does without a fleet. */
static void end_with_last_iteration(struct cluster *c)
{
    for (size_t i = 0; i < c->replica_count; i++) {
        sim_time more = -replica_busy_more(c->replicas[i], c->totals.end);
        c->totals.end += more > 0 ? more : 0;
    }
}

static struct fleet *fleet_at(struct cluster *c, struct event_slot slot)
{
    return &c->fleets[slot.index - slot_of_transfers(c).index - 1];
}

static int other_event(struct cluster *c, struct event_slot slot, sim_time now, struct error *err)
{
    if (slot.index == slot_of_transfers(c).index)
        cluster_end_transfers(c, now);
    else if (slot.index == slot_of_tiers(c).index)
        cluster_end_loads(c, now);
    else
        return cluster_step_fleet(c, fleet_at(c, slot), now, err);
    if (c->more != SOURCE_WAITS)
        return 0;
    if (cluster_hear_from_clients(c, EVERYBODY, now, err))
        return -1;
    cluster_wake_touched(c, now, EVERYBODY);
    return 0;
}

/* Everything that is to come but writes to tiers: the run has ended when they do not count. */
static bool only_writes(const struct cluster *c, struct event_slot slot)
{
    return slot.index == slot_of_tiers(c).index && c->in_flight == 0 && c->more != 1;
}

uint32_t cluster_generated(const struct cluster *c, const struct request *r, sim_time *last_token)
{
    uint32_t generated = r->generated;
    *last_token = r->last_token;
    for (size_t i = 0; r->decode.in && i < c->replica_count; i++)
        if (replica_decodes(c->replicas[i], r, &generated, last_token))
            break;
    return generated;
}

uint64_t cluster_kv_in_use(const struct cluster *c)
{
    uint64_t blocks = 0;
    for (size_t i = 0; i < c->replica_count; i++)
        blocks += replica_own_blocks_in_use(c->replicas[i]);
    return blocks;
}

/* Whether the source may have another request before the next event. */
static bool hears_of_more(struct cluster *c, const struct run_control *control, sim_time next, struct error *err)
{
    if (!control || !control->wait || !control->wait(control->state, c, next) || c->more != SOURCE_WAITS)
        return false;
    c->more = c->source->next(c->source->state, &c->next, err);
    return true;
}

/* Nobody is served, and nobody comes: in real time, somebody may as long as the source waits. */
static bool has_served_all(const struct cluster *c, const struct run_control *control)
{
    return c->in_flight == 0 && c->more != 1 && !(c->more == SOURCE_WAITS && control && control->wait);
}

/* At one instant probes come first, then arrivals, then ends of delays, then replicas in order of index: a batch formed
 * then can hold what has just arrived. */
static int loop(struct cluster *c, const struct run_control *control, struct error *err)
{
    c->more = c->source->next(c->source->state, &c->next, err);
    while (c->more >= 0) {
        struct min_index_node event = min_index_first(&c->events);
        sim_time event_at = event.key == MIN_INDEX_NONE ? SIM_TIME_NEVER : (sim_time)event.key;
        struct event_slot slot = {event.slot};
        sim_time arrives_at = next_arrival(c);
        bool arrival = arrives_at <= event_at && arrives_at != SIM_TIME_NEVER;
        sim_time earliest = arrival ? arrives_at : event_at;
        if (hears_of_more(c, control, earliest, err))
            continue;
        if (earliest == SIM_TIME_NEVER || (c->fleet_count > 0 && has_served_all(c, control))) {
            end_with_last_iteration(c);
            return c->in_flight > 0 ? cluster_stalled(c, err) : 0;
        }
        if (earliest > LATEST)
            return error_set(err, ERROR_INPUT, "simulated time goes beyond %.0f years",
                             sim_time_to_s(LATEST) / 31557600);
        if (control && asks_to_stop(c, control))
            return 0;
        while (c->next_look <= earliest && !(!arrival && only_writes(c, slot)))
            cluster_look(c, earliest);
        if (arrival                          ? arrive_together(c, err)
            : slot.index >= c->replica_count ? other_event(c, slot, event_at, err)
                                             : act(c, (struct replica_id){slot.index}, event_at, err))
            return -1;
        if (c->tiers.count > 0)
            set_event(c, slot_of_tiers(c), tiers_next(&c->tiers));
        c->out_of_memory |= c->tiers.out_of_memory;
        if (c->out_of_memory || memory_has_failed())
            return error_no_memory(err);
        if (c->misrouted)
            return error_set(err, ERROR_RUN, "routing policy %s: chose a station that there is not",
                             c->misrouted->name);
    }
    return -1;
}

/* What a replica asks its cluster, by what its station is. */
static void connect(struct cluster *c, struct replica *r, const struct station *s)
{
    bool hands_over = c->config->step_count > 1 && !s->decodes, paired = s->pair.members;
    const struct replica_host host = {.owner = c,
                                      .finish = delays_may_finish(c->config) ? cluster_answer_later : cluster_finish,
                                      .hand_over = hands_over ? cluster_hand_over : NULL,
                                      .keeps = c->config->mixed.asked && hands_over ? cluster_keeps_in_mixed_pool
                                               : paired                             ? keeps_in_pair
                                                                                    : NULL,
                                      .receive = s->decodes ? join_arrived
                                                 : paired   ? settle_pair
                                                            : NULL,
                                      .tiers = cluster_tiers_of(c, s),
                                      .step = c->config->step ||
                                              paired, /* any iteration of one may change what the other has */
                                      .finds_received = s->decodes && c->config->wire.only_lacking,
                                      .tokens_later = hands_over && c->config->wire.first_token_later,
                                      .takes_back = hands_over && cluster_decoders_may_fail(c->config),
                                      .passes_prompts = passes_prompts(s)};
    replica_connect(r, &host);
    if (s->fleet)
        replica_set_failure(r, fleet_fails_at(s->fleet, s->fleet_place));
}

static int prepare_replica(struct cluster *c, const struct station *s, size_t index, bool leads, struct error *err)
{
    const struct replica_place place = {.id = {index},
                                        .station = id_of(c, s),
                                        .waiting = c->queue_is_shared && !s->decodes ? &c->central : NULL,
                                        .leader = leads ? NULL : s->replicas[0]};
    struct pipeline *p = s->pipeline.stages > 0 ? &c->stations[place.station.index].pipeline : NULL;
    struct executor executor = p ? pipeline_executor(p) : s->pool->executor;
    if (replica_create(&c->replicas[index], &place, &s->pool->replica, executor, c->observer, err))
        return -1;
    connect(c, c->replicas[index], s);
    cluster_rank(c, c->replicas[index]);
    cluster_listen(c, c->replicas[index], 0);
    return 0;
}

static int prepare_station(struct cluster *c, struct station *s, struct error *err)
{
    const struct pool_config *pool = s->pool;
    size_t first = (size_t)(s->replicas - c->replicas);
    if (pool->stage_executors && pipeline_init(&s->pipeline, pool->tied, pool->stage_executors, &pool->stage_link))
        return error_no_memory(err);
    if (!pool->stage_executors && pool->tied > 1)
        s->pair = (struct pair){.members = s->replicas, .wire = &c->config->wire, .most = pool->max_sequences};
    for (size_t i = 0; i < pool->tied; i++)
        if (prepare_replica(c, s, first + i, i == 0, err))
            return -1;
    return 0;
}

/* Replicas of fleets: each has as many stations as ranks. */
static int prepare_fleets(struct cluster *c)
{
    const struct pool_config *pool = c->config->pools;
    size_t station = 0, place = 0;
    if (c->config->fleet_count == 0)
        return 0;
    if (!(c->fleet_stations = calloc(c->station_count, sizeof *c->fleet_stations)))
        return -1;
    for (size_t i = 0; i < c->config->fleet_count; i++) {
        struct fleet *f = &c->fleets[i];
        const struct fleet_config *config = &c->config->fleets[i];
        c->fleet_count++;
        if (fleet_init(f, config, c->config->seed))
            return -1;
        await_fleet(c, f);
        for (const struct pool_config *end = pool + config->pools; pool < end; pool++)
            for (size_t k = 0; k < pool->stations; k++, station++) {
                if (k % pool->ranks == 0)
                    c->fleet_stations[place++] = &c->stations[station];
                c->stations[station].fleet = f;
                c->stations[station].fleet_place = place - 1 - config->first;
            }
    }
    for (size_t step = 0; step < c->config->step_count; step++)
        if (!(c->routers[step].open = calloc(c->routers[step].count, sizeof *c->routers[step].open)))
            return -1;
    for (size_t i = 0; i < c->fleet_count; i++)
        cluster_open_stations(c, &c->fleets[i]);
    return 0;
}

/* Stations, in order of pools and of steps. */
static int prepare_stations(struct cluster *c, struct error *err)
{
    size_t station = 0, pool = 0, replica = 0;
    for (size_t step = 0; step < c->config->step_count; step++) {
        struct router *router = &c->routers[step];
        *router = (struct router){.config = &c->config->routers[step], .first = station};
        for (size_t end = pool + router->config->pools; pool < end; pool++) {
            const struct pool_config *p = &c->config->pools[pool];
            router->pool_first[pool - (end - router->config->pools)] = station;
            for (size_t i = 0; i < p->stations; i++, station++, replica += p->tied)
                c->stations[station] = (struct station){.pool = p,
                                                        .replicas = &c->replicas[replica],
                                                        .ranks = &c->replicas[replica - i % p->ranks],
                                                        .decodes = step > 0,
                                                        .plain = step == 0 && p->tied == 1 && !p->stage_executors};
        }
        router->count = station - router->first;
    }
    if (prepare_fleets(c) || (c->config->tier_count > 0 && cluster_prepare_tiers(c)))
        return error_no_memory(err);
    for (size_t i = 0; i < c->station_count; i++)
        if (prepare_station(c, &c->stations[i], err))
            return -1;
    if (cluster_prepare_signals(c))
        return error_no_memory(err);
    c->next_look = cluster_next_look(c);
    return 0;
}

static int prepare(struct cluster *c, struct error *err)
{
    size_t count = c->replica_count = cluster_replicas(c->config);
    c->station_count = cluster_stations(c->config);
    c->queue_is_shared = c->config->routers[0].policy->central;
    c->rank = c->config->routers[0].policy->rank;
    for (size_t i = 0; i < c->config->pool_count; i++)
        c->has_ranks |= c->config->pools[i].ranks > 1;
    if (c->config->predictor && !(c->prediction_rng = random_stream_create(c->config->seed, "prediction noise")))
        return error_no_memory(err);
    c->next_probe = c->config->probe_interval;
    c->replicas = calloc(count, sizeof *c->replicas);
    c->stations = calloc(c->station_count, sizeof *c->stations);
    c->touched = calloc(count, sizeof *c->touched);
    c->is_touched = calloc(count, sizeof *c->is_touched);
    size_t slots = count + 1 + c->config->fleet_count + (c->config->tier_count > 0);
    if (min_index_init(&c->events, slots) || min_index_init(&c->ranks, c->station_count) || !c->replicas ||
        !c->stations || !c->touched || !c->is_touched || cluster_prepare_lookers(c))
        return error_no_memory(err);
    if (delays_init(&c->delays, c->config, c->observer, &c->out_of_memory))
        return error_no_memory(err);
    if (c->config->step_count > 1 && kv_transfers_init(&c->transfers, &c->config->wire, c->station_count))
        return error_no_memory(err);
    return prepare_stations(c, err);
}

void cluster_add_up(struct cluster *c, sim_time end, struct cluster_totals *t)
{
    t->arrived += c->totals.arrived;
    t->finished += c->totals.finished;
    t->rejected += c->totals.rejected;
    t->lost += c->totals.lost;
    t->failures += c->totals.failures;
    t->unfinished = t->arrived - t->finished - t->rejected - t->lost;
    t->peak_in_flight = c->totals.peak_in_flight > t->peak_in_flight ? c->totals.peak_in_flight : t->peak_in_flight;
    t->stopped |= c->totals.stopped;
    t->end = end;
    for (size_t i = 0; i < c->replica_count; i++) {
        struct replica_totals own = replica_sum_up(c->replicas[i], end);
        t->iterations += own.iterations;
        t->kv_allocated += own.kv_allocated;
        t->kv_freed += own.kv_freed;
        t->kv_held += own.kv_held;
        t->kv_peak += own.kv_peak;
        t->kv_total += own.kv_total;
        t->kv_block_ns += own.kv_block_ns;
    }
    t->transfers = c->transfers.totals;
    for (size_t i = 0; i < c->tiers.count; i++)
        t->tiers[i] = tiers_sum_up(&c->tiers, i);
    for (size_t i = 0; i < c->replica_count; i++) {
        const struct station *s = station_of(c, c->replicas[i]);
        t->held_s[s->pool - c->config->pools] +=
            sim_time_to_s(s->fleet ? fleet_held(s->fleet, s->fleet_place, end) : end);
    }
    for (size_t i = 0; i < c->station_count; i++) {
        struct bubbles b = pipeline_bubbles(&c->stations[i].pipeline);
        t->bubbles.idle_s += b.idle_s;
        t->bubbles.active_s += b.active_s;
    }
}

static void release(struct cluster *c)
{
    for (size_t i = 0; c->replicas && i < c->replica_count; i++)
        replica_destroy(c->replicas[i]);
    cluster_free_requests(c);
    for (size_t i = 0; c->stations && i < c->station_count; i++)
        pipeline_release(&c->stations[i].pipeline);
    free(c->stations);
    free(c->replicas);
    free(c->touched);
    free(c->is_touched);
    cluster_release_lookers(c);
    min_index_release(&c->events);
    min_index_release(&c->ranks);
    kv_transfers_release(&c->transfers);
    cluster_release_tiers(c);
    cluster_release_signals(c);
    for (size_t i = 0; i < c->fleet_count; i++)
        fleet_release(&c->fleets[i]);
    for (size_t i = 0; i < MOST_STEPS; i++)
        free(c->routers[i].open);
    free(c->fleet_stations);
    delays_release(&c->delays);
    if (c->prediction_rng)
        gsl_rng_free(c->prediction_rng);
}

int cluster_open(const struct cluster_config *config, struct request_source *source, const struct observer *observer,
                 struct cluster **out, struct error *err)
{
    struct cluster *c = *out = malloc(sizeof *c);
    if (!c)
        return error_no_memory(err);
    *c = (struct cluster){.config = config, .observer = observer, .source = source};
    if (prepare(c, err) == 0)
        return 0;
    cluster_close(c);
    *out = NULL;
    return -1;
}

int cluster_replay(struct cluster *c, const struct run_control *control, struct error *err)
{
    return loop(c, control, err);
}

sim_time cluster_ended(const struct cluster *c)
{
    return c->totals.end;
}

void cluster_close(struct cluster *c)
{
    if (c)
        release(c);
    free(c);
}

int cluster_run(const struct cluster_config *config, struct request_source *source, const struct observer *observer,
                const struct run_control *control, struct cluster_totals *totals, struct error *err)
{
    struct cluster *c;
    *totals = (struct cluster_totals){0};
    if (cluster_open(config, source, observer, &c, err))
        return -1;
    int status = cluster_replay(c, control, err);
    if (status == 0)
        cluster_add_up(c, cluster_ended(c), totals);
    cluster_close(c);
    return status;
}
