/* SPDX-License-Identifier: MIT */
#include "sim/cluster.h"

#include <stdlib.h>

#include "base/random.h"
#include "sim/cluster_state.h"

enum { EVENTS_PER_LOOK = 1 << 8, EVENTS_PER_TICK = 1 << 16 };

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
    bool busy = r->busy;
    for (size_t i = 0; c->has_ranks && s->pool->ranks > 1 && i < s->pool->ranks; i++)
        busy |= s->leader[i].busy;
    return busy;
}

static void cut_station(struct cluster *c, const struct station *s, sim_time from)
{
    for (size_t i = 0; i < s->pool->tied; i++)
        cluster_cut_short(c, s->replicas[i].index, from);
}

static void on_hand_over(void *owner, struct replica *from, struct request *r, sim_time now)
{
    struct cluster *c = owner;
    struct kv_transfers *t = &c->transfers;
    size_t to = cluster_choose_decoder(c, r);
    struct replica_load *load = c->stations[to].replicas->load;
    (void)from;
    load->outstanding_requests++;
    load->outstanding_tokens += r->max_output_tokens;
    load->predicted_kv_tokens += (uint64_t)r->prompt_tokens + r->predicted_tokens;
    bool first = t->queued[to].count == 0; /* else the first one cannot be pulled yet */
    request_list_insert(&t->queued[to], r, NULL);
    if (first)
        cut_station(c, &c->stations[to], now);
}

static size_t running_on(const struct station *s)
{
    size_t count = s->pipeline.prompts.count;
    for (size_t i = 0; i < s->pool->tied; i++)
        count += s->replicas[i].running.count;
    return count;
}

/* Requests whose KV has arrived join the batch that is formed for `at`; micro-batches take equal shares. */
static void join_arrived(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    const struct station *s = station_of(c, r);
    struct request_list *arrived = &c->transfers.arrived[r->station];
    size_t tied = s->pool->tied, share = (running_on(s) + arrived->count + tied - 1) / tied;
    for (struct request *q; (tied == 1 || r->running.count < share) && (q = arrived->head);) {
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
    size_t to = r->station, most = s->pool->max_sequences * s->pool->tied;
    if (!r->next_formed)
        join_arrived(c, r, now);
    while (t->queued[to].count > 0 && running_on(s) + t->under_way[to] + t->arrived[to].count < most &&
           replica_reserve_inbound(r, t->queued[to].head, now))
        if (kv_transfers_start(t, to, now)) {
            c->out_of_memory = true;
            return;
        }
    r->blocks_awaited = t->queued[to].count > 0;
    set_event(c, slot_of_transfers(c), kv_transfers_next(t));
}

static bool awaits(const struct cluster *c, const struct replica *r)
{
    const struct station *s = station_of(c, r);
    if (s->pair.members)
        return pair_awaits(&s->pair, r);
    return s->decodes && (c->transfers.queued[r->station].count > 0 || c->transfers.arrived[r->station].count > 0);
}

static void start_group(struct cluster *c, const struct station *s, sim_time now)
{
    struct replica *leader = s->leader;
    size_t ranks = s->pool->ranks;
    for (size_t i = 0; s->decodes && i < ranks; i++)
        receive(c, &leader[i], now);
    set_event(c, leader->index, replica_start_group(leader, ranks, now));
    for (size_t i = 0; c->queue_is_shared && i < ranks; i++) {
        cluster_listen(c, &leader[i]);
        if (leader[i].view.evicted > 0)
            cluster_notice_all(c, now, leader[i].index);
    }
}

/* A micro-batch starts when the first stage has let the one before go. The others of the same replica that could take
 * from its queue look again then. */
static void start_micro_batch(struct cluster *c, struct replica *r, sim_time now)
{
    const struct station *s = station_of(c, r);
    struct pipeline *p = pipeline_of(c, r);
    bool waited_for = r->running.count + r->view.waiting->count + p->prompts.count > 0 || awaits(c, r);
    if (p->free_at[0] > now) {
        r->view.evicted = 0; /* it has not looked yet */
        set_event(c, r->index, waited_for ? p->free_at[0] : SIM_TIME_NEVER);
        return;
    }
    p->now = now;
    replica_wait(r, now);
    if (s->decodes)
        receive(c, r, now);
    if (replica_take_prompts(r, &p->prompts))
        c->out_of_memory = true;
    sim_time next = replica_start(r, now);
    if (r->passes_prompts && r->busy)
        replica_pass_prompts(r, &p->prompts, now, next);
    set_event(c, r->index, next);
    bool more = r->view.waiting->count + p->prompts.count > 0 || awaits(c, r);
    for (size_t i = 0; r->busy && more && i < p->stages; i++)
        if (!s->replicas[i].busy)
            set_event(c, s->replicas[i].index, p->free_at[0]);
}

/* Before a batch of one of a pair is formed for `at`. */
static void settle_pair(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    struct pair *p = &station_of(c, r)->pair;
    int gave = pair_settle(p, r, at);
    if (gave < 0)
        c->out_of_memory = true;
    else if (gave && !pair_other(p, r)->busy)
        set_event(c, pair_other(p, r)->index, at);
}

/* The other one looks again where somebody waits: there may be blocks for a prompt now. */
static void start_member(struct cluster *c, struct replica *r, sim_time now)
{
    struct pair *p = &station_of(c, r)->pair;
    if (!r->next_formed)
        settle_pair(c, r, now);
    sim_time next = replica_start(r, now);
    set_event(c, r->index, r->busy ? next : pair_next(p, r, next));
    if (r->busy && !pair_other(p, r)->busy && r->view.waiting->count > 0)
        cluster_touch(c, pair_other(p, r)->index);
}

static void start_one(struct cluster *c, const struct station *s, struct replica *r, sim_time now)
{
    if (s->plain) {
        set_event(c, r->index, replica_start(r, now));
    } else if (s->pipeline.stages > 0) {
        start_micro_batch(c, r, now);
    } else if (s->pair.members) {
        start_member(c, r, now);
    } else {
        if (s->decodes)
            receive(c, r, now);
        set_event(c, r->index, replica_start(r, now));
    }
}

/* A request that is preempted goes back to the shared queue: to the others in a stretch it is an arrival. */
static void start(struct cluster *c, struct replica *r, sim_time now)
{
    const struct station *s = station_of(c, r);
    if (!serves(c, r->index) && c->fleet.states[r->index] != REPLICA_DRAINING) {
        set_event(c, r->index, SIM_TIME_NEVER);
        return;
    }
    if (c->has_ranks && s->pool->ranks > 1) {
        start_group(c, s, now);
        return;
    }
    start_one(c, s, r, now);
    if (!c->queue_is_shared)
        return;
    cluster_listen(c, r);
    if (r->view.evicted > 0)
        cluster_notice_all(c, now, r->index);
}

/* Idle replicas look at what has arrived once all arrivals of the instant are in. */
void cluster_wake_touched(struct cluster *c, sim_time now)
{
    while (c->touched_count > 0) {
        size_t replica = c->touched[c->touched_first];
        c->touched_first = (c->touched_first + 1) % c->replica_count;
        c->touched_count--;
        c->is_touched[replica] = false;
        struct replica *r = &c->replicas[replica];
        bool waited_for = r->view.waiting->count > 0 || awaits(c, r);
        if (!is_busy(c, r) && waited_for)
            start(c, r, now);
    }
}

/* Everything before this instant has been applied when it is told. */
static void probe(struct cluster *c)
{
    struct cluster_state state = {.at = c->next_probe,
                                  .replicas_up = c->config->fleet.asked ? c->fleet.serving_count : c->replica_count};
    for (size_t i = 0; i < c->replica_count; i++) {
        replica_catch_up(&c->replicas[i], c->next_probe);
        state.busy_more += replica_busy_more(&c->replicas[i], c->next_probe);
        state.tokens_less += replica_tokens_less(&c->replicas[i], c->next_probe);
        state.kv_used_blocks += c->replicas[i].own_kv.total_blocks - c->replicas[i].own_kv.free_blocks;
    }
    tell_probed(c->observer, &state);
    c->next_probe += c->config->probe_interval;
}

static bool asks_to_stop(struct cluster *c, const struct run_control *control)
{
    if (++c->events_seen % EVENTS_PER_LOOK != 0)
        return false;
    if (control->tick && c->events_seen % EVENTS_PER_TICK == 0)
        control->tick(control->state, &c->totals);
    c->totals.stopped = control->stop && *control->stop;
    return c->totals.stopped;
}

/* When somebody arrives next, or leaves a delay station. */
static sim_time next_arrival(const struct cluster *c)
{
    return c->more == 1 && c->next.at < c->delays.next ? c->next.at : c->delays.next;
}

/* All arrivals of this instant, and the one after them; and who leaves the delay stations now. */
static int take_arrivals(struct cluster *c, sim_time now, size_t after, struct error *err)
{
    while (c->more == 1 && c->next.at <= now) {
        if (cluster_arrive(c, &c->next, after, err))
            return -1;
        c->more = c->source->next(c->source->state, &c->next, err);
    }
    for (struct request *r; (r = delays_take(&c->delays, now));)
        if (cluster_come_from_delays(c, r, now, after, err))
            return -1;
    return c->more < 0 ? -1 : 0;
}

static int arrive_together(struct cluster *c, struct error *err)
{
    sim_time now = c->totals.end = next_arrival(c);
    if (take_arrivals(c, now, NOBODY, err))
        return -1;
    cluster_wake_touched(c, now);
    return 0;
}

/* Clients of a closed loop whose requests have finished may send their next ones at this very instant: the replica can
 * have them in its next batch. */
int cluster_hear_from_clients(struct cluster *c, size_t replica, sim_time now, struct error *err)
{
    if (c->more != SOURCE_WAITS)
        return 0;
    c->more = c->source->next(c->source->state, &c->next, err);
    return take_arrivals(c, now, replica, err);
}

/* Transfers that end now: the source has its blocks again, the request decodes from the next iteration on. Replicas
 * that had something to do at this instant have done it. */
static void end_transfers(struct cluster *c, sim_time now)
{
    struct kv_transfers *t = &c->transfers;
    size_t to = 0;
    c->totals.end = now;
    for (struct request *r; (r = kv_transfers_take(t, now, &to));) {
        struct station *source = &c->stations[r->source];
        replica_catch_up(source->replicas, now + 1); /* what it took before is counted before */
        replica_release_source(source->replicas, r, now);
        cut_station(c, source, now + 1);
        cut_station(c, &c->stations[to], now + 1);
    }
    set_event(c, slot_of_transfers(c), kv_transfers_next(t));
    cluster_wake_touched(c, now);
}

static int act(struct cluster *c, size_t replica, sim_time now, struct error *err)
{
    struct replica *r = &c->replicas[replica];
    size_t ranks = c->has_ranks ? station_of(c, r)->pool->ranks : 1;
    c->totals.end = now;
    for (size_t i = 0; i < ranks; i++)
        if (r[i].busy)
            replica_finish(&r[i], now);
    bool idle = cluster_settle_fleet(c, r, now);
    if (cluster_hear_from_clients(c, replica, now, err))
        return -1;
    if (!idle)
        start(c, r, now);
    for (size_t i = 0; c->rank && i < ranks; i++)
        cluster_rank(c, &r[i]);
    cluster_wake_touched(c, now); /* idle ones, where somebody was preempted to the shared queue, or has just arrived */
    return 0;
}

/* A fleet's events go on without end. Where rows of requests that had ended are still computed, the run lasts until
 * then, as it does without a fleet. */
static void end_with_last_iteration(struct cluster *c)
{
    for (size_t i = 0; i < c->replica_count; i++) {
        sim_time more = -replica_busy_more(&c->replicas[i], c->totals.end);
        c->totals.end += more > 0 ? more : 0;
    }
}

/* At one instant probes come first, then arrivals, then ends of delays, then replicas in order of index: a batch formed
 * then can hold what has just arrived. */
static int loop(struct cluster *c, const struct run_control *control, struct error *err)
{
    c->more = c->source->next(c->source->state, &c->next, err);
    while (c->more >= 0) {
        struct min_index_node event = min_index_first(&c->events);
        sim_time event_at = event.key == MIN_INDEX_NONE ? SIM_TIME_NEVER : (sim_time)event.key;
        sim_time arrives_at = next_arrival(c);
        bool arrival = arrives_at <= event_at && arrives_at != SIM_TIME_NEVER;
        sim_time earliest = arrival ? arrives_at : event_at;
        if (earliest == SIM_TIME_NEVER || (c->config->fleet.asked && c->more != 1 && c->in_flight == 0)) {
            end_with_last_iteration(c);
            return c->in_flight > 0 ? cluster_stalled(c, err) : 0;
        }
        if (earliest > LATEST)
            return error_set(err, ERROR_INPUT, "simulated time goes beyond %.0f years",
                             sim_time_to_s(LATEST) / 31557600);
        if (control && asks_to_stop(c, control))
            return 0;
        while (c->config->probe_interval > 0 && c->next_probe <= earliest)
            probe(c);
        if (!arrival && event.slot == slot_of_transfers(c))
            end_transfers(c, event_at);
        else if (arrival                          ? arrive_together(c, err)
                 : event.slot == slot_of_fleet(c) ? cluster_step_fleet(c, event_at, err)
                                                  : act(c, event.slot, event_at, err))
            return -1;
        if (c->out_of_memory)
            return error_no_memory(err);
    }
    return -1;
}

/* What a replica asks its cluster, by what its station is. */
static void connect(struct cluster *c, struct replica *r, const struct station *s)
{
    bool hands_over = c->config->step_count > 1 && !s->decodes;
    r->step |= c->config->step || s->pair.members; /* any iteration of one may change what the other has */
    r->hand_over = hands_over ? on_hand_over : NULL;
    r->keeps = c->config->mixed.asked && hands_over ? cluster_keeps_in_mixed_pool
               : s->pair.members                    ? keeps_in_pair
                                                    : NULL;
    r->view.decodes_elsewhere = r->hand_over && !r->keeps;
    r->receive = s->decodes ? join_arrived : s->pair.members ? settle_pair : NULL;
    r->passes_prompts = s->pipeline.stages > 0 && r->batching->chunks_follow;
    r->fails_at = c->config->fleet.asked ? fleet_fails_at(&c->fleet, r->index) : SIM_TIME_NEVER;
    r->recycle = cluster_recycle;
    r->owner = c;
}

static int prepare_station(struct cluster *c, struct station *s, struct error *err)
{
    const struct pool_config *pool = s->pool;
    size_t first = (size_t)(s->replicas - c->replicas);
    if (pool->stage_executors && pipeline_init(&s->pipeline, pool->tied, pool->stage_executors, &pool->stage_link))
        return error_no_memory(err);
    if (!pool->stage_executors && pool->tied > 1)
        s->pair = (struct pair){.members = s->replicas, .wire = &c->config->wire, .most = pool->max_sequences};
    for (size_t i = 0; i < pool->tied; i++) {
        struct replica *r = &s->replicas[i];
        if (replica_init(r, first + i, &pool->replica,
                         s->pipeline.stages > 0 ? pipeline_executor(&s->pipeline) : pool->executor,
                         c->queue_is_shared && !s->decodes ? &c->central : NULL, i > 0 ? s->replicas : NULL,
                         c->observer, err))
            return -1;
        r->station = (size_t)(s - c->stations);
        connect(c, r, s);
        cluster_rank(c, r);
        cluster_listen(c, r);
    }
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
            for (size_t i = 0; i < p->stations; i++, station++, replica += p->tied)
                c->stations[station] = (struct station){.pool = p,
                                                        .replicas = &c->replicas[replica],
                                                        .leader = &c->replicas[replica - i % p->ranks],
                                                        .decodes = step > 0,
                                                        .plain = step == 0 && p->tied == 1 && !p->stage_executors};
        }
        router->count = station - router->first;
    }
    for (size_t i = 0; i < c->station_count; i++)
        if (prepare_station(c, &c->stations[i], err))
            return -1;
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
    c->listening = calloc((count + 63) / 64, sizeof *c->listening);
    if (min_index_init(&c->events, count + 2) || min_index_init(&c->ranks, c->station_count) || !c->replicas ||
        !c->stations || !c->touched || !c->is_touched || !c->listening)
        return error_no_memory(err);
    if (c->config->fleet.asked) {
        if (fleet_init(&c->fleet, &c->config->fleet, count, c->config->seed))
            return error_no_memory(err);
        set_event(c, slot_of_fleet(c), fleet_next(&c->fleet));
    }
    if (delays_init(&c->delays, c->config->delays, c->config->delay_count, c->config->seed, c->observer))
        return error_no_memory(err);
    if (c->config->step_count > 1 && kv_transfers_init(&c->transfers, &c->config->wire, c->station_count))
        return error_no_memory(err);
    return prepare_stations(c, err);
}

static void sum_up(struct cluster *c)
{
    struct cluster_totals *t = &c->totals;
    t->unfinished = t->arrived - t->finished - t->rejected - t->lost;
    for (size_t i = 0; i < c->replica_count; i++) {
        struct kv_pool *kv = &c->replicas[i].own_kv;
        if (c->replicas[i].running.count == 0)
            kv_pool_release_parked(kv, t->end);
        t->iterations += c->replicas[i].iterations;
        t->kv_allocated += kv->allocated;
        t->kv_freed += kv->freed;
        t->kv_held += kv->total_blocks - kv->free_blocks;
        t->kv_peak += kv->peak_blocks;
        t->kv_total += kv->total_blocks;
        t->kv_block_ns += kv_pool_block_ns(kv, t->end);
    }
    for (size_t i = 0; i < c->replica_count; i++) {
        size_t pool = (size_t)(station_of(c, &c->replicas[i])->pool - c->config->pools);
        t->held_s[pool] += sim_time_to_s(c->config->fleet.asked ? fleet_held(&c->fleet, i, t->end) : t->end);
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
        replica_release(&c->replicas[i]);
    cluster_free_requests(c);
    for (size_t i = 0; c->stations && i < c->station_count; i++)
        pipeline_release(&c->stations[i].pipeline);
    free(c->stations);
    free(c->replicas);
    free(c->touched);
    free(c->is_touched);
    free(c->listening);
    min_index_release(&c->events);
    min_index_release(&c->ranks);
    kv_transfers_release(&c->transfers);
    fleet_release(&c->fleet);
    delays_release(&c->delays);
    if (c->prediction_rng)
        gsl_rng_free(c->prediction_rng);
}

int cluster_run(const struct cluster_config *config, struct request_source *source, const struct observer *observer,
                const struct run_control *control, struct cluster_totals *totals, struct error *err)
{
    struct cluster c = {.config = config, .observer = observer, .source = source};
    int status = prepare(&c, err) || loop(&c, control, err) ? -1 : 0;
    if (status == 0)
        sum_up(&c);
    *totals = c.totals;
    release(&c);
    return status;
}
