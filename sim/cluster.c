/* SPDX-License-Identifier: MIT */
#include "sim/cluster.h"

#include <assert.h>
#include <stdlib.h>

#include "base/random.h"
#include "sim/cluster_state.h"

enum { EVENTS_PER_LOOK = 1 << 8, EVENTS_PER_TICK = 1 << 16 };

#define LATEST ((sim_time)4 * 1000000000000000000) /* 127 years */

static struct pipeline *pipeline_of(const struct cluster *c, const struct replica *r)
{
    return c->pipelines && c->pipelines[r->station].stages > 0 ? &c->pipelines[r->station] : NULL;
}

static struct pair *pair_of(const struct cluster *c, const struct replica *r)
{
    return &c->pairs[r->station];
}

static bool keeps_in_pair(void *owner, const struct replica *r, struct request *q, sim_time now)
{
    pair_copy(pair_of(owner, r), r, q, now);
    return true;
}

static struct replica *leader_of(struct cluster *c, size_t replica)
{
    return &c->replicas[replica - replica % c->config->group];
}

/* Ranks step together; the events of all are their leader's. */
static bool group_is_busy(struct cluster *c, size_t replica)
{
    const struct replica *leader = leader_of(c, replica);
    for (size_t i = 0; i < c->config->group; i++)
        if (leader[i].busy)
            return true;
    return false;
}

static void cut_station(struct cluster *c, size_t station, sim_time from)
{
    size_t first = station_first(c, station);
    for (size_t i = 0; i < tied_to(c, first); i++)
        cluster_cut_short(c, first + i, from);
}

static void on_hand_over(void *owner, struct replica *from, struct request *r, sim_time now)
{
    struct cluster *c = owner;
    struct kv_transfers *t = &c->transfers;
    size_t to = cluster_choose_decoder(c, r);
    struct replica_load *load = c->replicas[station_first(c, t->sources + to)].load;
    (void)from;
    load->outstanding_requests++;
    load->outstanding_tokens += r->max_output_tokens;
    load->predicted_kv_tokens += (uint64_t)r->prompt_tokens + r->predicted_tokens;
    bool first = t->queued[to].count == 0; /* else the first one cannot be pulled yet */
    request_list_insert(&t->queued[to], r, NULL);
    if (first)
        cut_station(c, t->sources + to, now);
}

/* Requests that run on a replica: in all of its micro-batches. */
static size_t running_on(const struct cluster *c, const struct replica *r)
{
    size_t first = first_tied(c, r->index), count = 0;
    for (size_t i = 0; i < tied_to(c, r->index); i++)
        count += c->replicas[first + i].running.count;
    return count + (pipeline_of(c, r) ? pipeline_of(c, r)->prompts.count : 0);
}

/* Requests whose KV has arrived join the batch that is formed for `at`; micro-batches take equal shares. */
static void join_arrived(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    struct request_list *arrived = &c->transfers.arrived[r->station - c->transfers.sources];
    size_t tied = tied_to(c, r->index), share = (running_on(c, r) + arrived->count + tied - 1) / tied;
    for (struct request *q; (tied == 1 || r->running.count < share) && (q = arrived->head);) {
        request_list_remove(arrived, q);
        if (replica_take_over(r, q, at))
            c->out_of_memory = true;
    }
}

/* Between two iterations of a decode replica: requests whose KV has arrived join, unless the next batch is formed
 * already, and more is pulled while it fits. */
static void receive(struct cluster *c, size_t replica, sim_time now)
{
    struct kv_transfers *t = &c->transfers;
    struct replica *r = &c->replicas[replica];
    size_t to = r->station - t->sources, most = c->config->decode_max_sequences * c->config->decode_tied;
    if (!r->next_formed)
        join_arrived(c, r, now);
    while (t->queued[to].count > 0 && running_on(c, r) + t->under_way[to] + t->arrived[to].count < most &&
           replica_reserve_inbound(r, t->queued[to].head, now))
        if (kv_transfers_start(t, to, now)) {
            c->out_of_memory = true;
            return;
        }
    r->blocks_awaited = t->queued[to].count > 0;
    set_event(c, c->config->replicas, kv_transfers_next(t));
}

static bool awaits(const struct cluster *c, size_t replica)
{
    const struct replica *r = &c->replicas[replica];
    if (c->pairs)
        return pair_awaits(pair_of(c, r), r);
    size_t to = r->station - c->transfers.sources;
    return receives(c, replica) && (c->transfers.queued[to].count > 0 || c->transfers.arrived[to].count > 0);
}

static void start_group(struct cluster *c, size_t replica, sim_time now)
{
    struct replica *leader = leader_of(c, replica);
    set_event(c, leader->index, replica_start_group(leader, c->config->group, now));
    for (size_t i = 0; c->config->routing->central && i < c->config->group; i++) {
        cluster_listen(c, &leader[i]);
        if (leader[i].view.evicted > 0)
            cluster_notice_all(c, now, leader[i].index);
    }
}

/* A micro-batch starts when the first stage has let the one before go. The others of the same replica that could take
 * from its queue look again then. */
static void start_micro_batch(struct cluster *c, size_t replica, sim_time now)
{
    size_t first = first_tied(c, replica);
    struct replica *r = &c->replicas[replica];
    struct pipeline *p = pipeline_of(c, r);
    bool waited_for = r->running.count + r->view.waiting->count + p->prompts.count > 0 || awaits(c, replica);
    if (p->free_at[0] > now) {
        r->view.evicted = 0; /* it has not looked yet */
        set_event(c, replica, waited_for ? p->free_at[0] : SIM_TIME_NEVER);
        return;
    }
    p->now = now;
    replica_wait(r, now);
    if (receives(c, replica))
        receive(c, replica, now);
    if (replica_take_prompts(r, &p->prompts))
        c->out_of_memory = true;
    sim_time next = replica_start(r, now);
    if (r->passes_prompts && r->busy)
        replica_pass_prompts(r, &p->prompts, now, next);
    set_event(c, replica, next);
    bool more = r->view.waiting->count + p->prompts.count > 0 || awaits(c, replica);
    for (size_t i = first; r->busy && more && i < first + p->stages; i++)
        if (!c->replicas[i].busy)
            set_event(c, i, p->free_at[0]);
}

/* Before a batch of one of a pair is formed for `at`. */
static void settle_pair(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    struct pair *p = pair_of(c, r);
    int gave = pair_settle(p, r, at);
    if (gave < 0)
        c->out_of_memory = true;
    else if (gave && !pair_other(p, r)->busy)
        set_event(c, pair_other(p, r)->index, at);
}

/* The other one looks again where somebody waits: there may be blocks for a prompt now. */
static void start_member(struct cluster *c, size_t replica, sim_time now)
{
    struct replica *r = &c->replicas[replica];
    struct pair *p = pair_of(c, r);
    if (!r->next_formed)
        settle_pair(c, r, now);
    sim_time next = replica_start(r, now);
    set_event(c, replica, r->busy ? next : pair_next(p, r, next));
    if (r->busy && !pair_other(p, r)->busy && r->view.waiting->count > 0)
        cluster_touch(c, pair_other(p, r)->index);
}

static void start_one(struct cluster *c, size_t replica, sim_time now)
{
    if (pipeline_of(c, &c->replicas[replica]))
        start_micro_batch(c, replica, now);
    else if (c->pairs)
        start_member(c, replica, now);
    else
        set_event(c, replica, replica_start(&c->replicas[replica], now));
}

/* A request that is preempted goes back to the shared queue: to the others in a stretch it is an arrival. */
static void start(struct cluster *c, size_t replica, sim_time now)
{
    struct replica *r = &c->replicas[replica];
    if (!serves(c, replica) && c->fleet.states[replica] != REPLICA_DRAINING) {
        set_event(c, replica, SIM_TIME_NEVER);
        return;
    }
    if (c->config->group > 1) {
        start_group(c, replica, now);
        return;
    }
    if (receives(c, replica) && !pipeline_of(c, r))
        receive(c, replica, now);
    start_one(c, replica, now);
    if (!c->config->routing->central)
        return;
    cluster_listen(c, r);
    if (r->view.evicted > 0)
        cluster_notice_all(c, now, replica);
}

/* Idle replicas look at what has arrived once all arrivals of the instant are in. */
void cluster_wake_touched(struct cluster *c, sim_time now)
{
    while (c->touched_count > 0) {
        size_t replica = c->touched[c->touched_first];
        c->touched_first = (c->touched_first + 1) % c->config->replicas;
        c->touched_count--;
        c->is_touched[replica] = false;
        bool waited_for = c->replicas[replica].view.waiting->count > 0 || awaits(c, replica);
        if (!group_is_busy(c, replica) && waited_for)
            start(c, replica, now);
    }
}

/* Everything before this instant has been applied when it is told. */
static void probe(struct cluster *c)
{
    struct cluster_state state = {.at = c->next_probe,
                                  .replicas_up = c->config->fleet.asked ? c->fleet.serving_count : c->config->replicas};
    for (size_t i = 0; i < c->config->replicas; i++) {
        replica_catch_up(&c->replicas[i], c->next_probe);
        state.busy_more += replica_busy_more(&c->replicas[i], c->next_probe);
        state.tokens_less += replica_tokens_less(&c->replicas[i], c->next_probe);
        state.kv_used_blocks += c->replicas[i].own_kv.total_blocks - c->replicas[i].own_kv.free_blocks;
    }
    c->observer->probed(c->observer->state, &state);
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

/* All arrivals of this instant, and the one after them. */
static int take_arrivals(struct cluster *c, sim_time now, size_t after, struct error *err)
{
    while (c->more == 1 && c->next.at <= now) {
        if (cluster_arrive(c, &c->next, after, err))
            return -1;
        c->more = c->source->next(c->source->state, &c->next, err);
    }
    return c->more < 0 ? -1 : 0;
}

static int arrive_together(struct cluster *c, struct error *err)
{
    sim_time now = c->totals.end = c->next.at;
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
        struct replica *source = &c->replicas[station_first(c, r->source)];
        replica_catch_up(source, now + 1); /* what it took before is counted before */
        replica_release_source(source, r, now);
        cut_station(c, r->source, now + 1);
        cut_station(c, t->sources + to, now + 1);
    }
    set_event(c, c->config->replicas, kv_transfers_next(t));
    cluster_wake_touched(c, now);
}

static int act(struct cluster *c, size_t replica, sim_time now, struct error *err)
{
    struct replica *r = &c->replicas[replica];
    size_t ranks = c->config->group;
    c->totals.end = now;
    for (size_t i = 0; i < ranks; i++)
        if (r[i].busy)
            replica_finish(&r[i], now);
    bool idle = cluster_settle_fleet(c, r, now);
    if (cluster_hear_from_clients(c, replica, now, err))
        return -1;
    if (!idle)
        start(c, replica, now);
    for (size_t i = 0; i < ranks; i++)
        cluster_rank(c, &r[i]);
    cluster_wake_touched(c, now); /* idle ones, where somebody was preempted to the shared queue, or has just arrived */
    return 0;
}

/* A fleet's events go on without end. Where rows of requests that had ended are still computed, the run lasts until
 * then, as it does without a fleet. */
static void end_with_last_iteration(struct cluster *c)
{
    for (size_t i = 0; i < c->config->replicas; i++) {
        sim_time more = -replica_busy_more(&c->replicas[i], c->totals.end);
        c->totals.end += more > 0 ? more : 0;
    }
}

/* At one instant probes come first, then arrivals, then replicas in order of index: a batch formed then can hold
 * what has just arrived. */
static int loop(struct cluster *c, const struct run_control *control, struct error *err)
{
    c->more = c->source->next(c->source->state, &c->next, err);
    while (c->more >= 0) {
        struct min_index_node event = min_index_first(&c->events);
        sim_time event_at = event.key == MIN_INDEX_NONE ? SIM_TIME_NEVER : (sim_time)event.key;
        bool arrival = c->more == 1 && c->next.at <= event_at;
        sim_time earliest = arrival ? c->next.at : event_at;
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
        if (!arrival && event.slot == c->config->replicas)
            end_transfers(c, event_at);
        else if (arrival                            ? arrive_together(c, err)
                 : event.slot > c->config->replicas ? cluster_step_fleet(c, event_at, err)
                                                    : act(c, event.slot, event_at, err))
            return -1;
        if (c->out_of_memory)
            return error_no_memory(err);
    }
    return -1;
}

static int prepare_pipelines(struct cluster *c)
{
    const struct cluster_config *config = c->config;
    size_t count = cluster_stations(config);
    if (!config->stage_executors && !config->decode_stage_executors)
        return 0;
    c->pipelines = calloc(count, sizeof *c->pipelines);
    for (size_t i = 0; c->pipelines && i < count; i++) {
        bool decodes = receives(c, station_first(c, i));
        const struct executor *stages = decodes ? config->decode_stage_executors : config->stage_executors;
        const struct pipeline_link *link = decodes ? &config->decode_stage_link : &config->stage_link;
        if (stages && pipeline_init(&c->pipelines[i], cluster_station_servers(config, i), stages, link))
            return -1;
    }
    return c->pipelines ? 0 : -1;
}

static int prepare_pairs(struct cluster *c)
{
    if (c->config->tied == 1 || c->config->stage_executors)
        return 0;
    c->pairs = calloc(c->config->replicas / 2, sizeof *c->pairs);
    for (size_t i = 0; c->pairs && i < c->config->replicas / 2; i++)
        c->pairs[i] = (struct pair){.members = &c->replicas[2 * i],
                                    .wire = &c->config->wire,
                                    .most = c->config->decode_max_sequences};
    return c->pairs ? 0 : -1;
}

static int prepare(struct cluster *c, struct executor executor, struct error *err)
{
    size_t count = c->config->replicas;
    if (c->config->predictor && !(c->prediction_rng = random_stream_create(c->config->seed, "prediction noise")))
        return error_no_memory(err);
    c->next_probe = c->config->probe_interval;
    c->replicas = calloc(count, sizeof *c->replicas);
    c->touched = calloc(count, sizeof *c->touched);
    c->is_touched = calloc(count, sizeof *c->is_touched);
    c->listening = calloc((count + 63) / 64, sizeof *c->listening);
    if (min_index_init(&c->events, count + 2) || min_index_init(&c->ranks, count) || !c->replicas || !c->touched ||
        !c->is_touched || !c->listening)
        return error_no_memory(err);
    if (c->config->fleet.asked) {
        if (fleet_init(&c->fleet, &c->config->fleet, count, c->config->seed))
            return error_no_memory(err);
        set_event(c, count + 1, fleet_next(&c->fleet));
    }
    size_t prefills = c->config->prefill_replicas, sources = prefills / c->config->tied;
    if (prefills && kv_transfers_init(&c->transfers, &c->config->wire, sources, cluster_stations(c->config) - sources))
        return error_no_memory(err);
    if (prepare_pipelines(c) || prepare_pairs(c))
        return error_no_memory(err);
    size_t station = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = first_tied(c, i);
        station += i > 0 && first == i;
        struct replica *leader = first < i ? &c->replicas[first] : NULL;
        struct pipeline *p = c->pipelines && c->pipelines[station].stages > 0 ? &c->pipelines[station] : NULL;
        bool decodes = receives(c, i);
        struct request_list *shared = c->config->routing->central && !decodes ? &c->central : NULL;
        if (replica_init(&c->replicas[i], i, decodes ? &c->config->decode : &c->config->replica,
                         p         ? pipeline_executor(p)
                         : decodes ? c->config->decode_executor
                                   : executor,
                         shared, leader, c->observer, err))
            return -1;
        c->replicas[i].station = station;
        c->replicas[i].step |= c->config->step || c->pairs; /* any iteration of one may change what the other has */
        c->replicas[i].hand_over = prefills && !decodes ? on_hand_over : NULL;
        c->replicas[i].keeps = c->config->mixed && !decodes ? cluster_keeps_in_mixed_pool
                               : c->pairs                   ? keeps_in_pair
                                                            : NULL;
        c->replicas[i].view.decodes_elsewhere = c->replicas[i].hand_over && !c->replicas[i].keeps;
        c->replicas[i].receive = decodes ? join_arrived : c->pairs ? settle_pair : NULL;
        c->replicas[i].passes_prompts = p && c->replicas[i].batching->chunks_follow;
        c->replicas[i].fails_at = c->config->fleet.asked ? fleet_fails_at(&c->fleet, i) : SIM_TIME_NEVER;
        c->replicas[i].recycle = cluster_recycle;
        c->replicas[i].owner = c;
        cluster_rank(c, &c->replicas[i]);
        cluster_listen(c, &c->replicas[i]);
    }
    return 0;
}

static void sum_up(struct cluster *c)
{
    struct cluster_totals *t = &c->totals;
    t->unfinished = t->arrived - t->finished - t->rejected - t->lost;
    for (size_t i = 0; i < c->config->replicas; i++) {
        struct kv_pool *kv = &c->replicas[i].own_kv;
        if (c->replicas[i].running.count == 0)
            kv_pool_release_parked(kv, t->end);
        t->iterations += c->replicas[i].iterations;
        t->held_s[receives(c, i)] += c->config->fleet.asked ? 0 : sim_time_to_s(t->end);
        t->kv_allocated += kv->allocated;
        t->kv_freed += kv->freed;
        t->kv_held += kv->total_blocks - kv->free_blocks;
        t->kv_peak += kv->peak_blocks;
        t->kv_total += kv->total_blocks;
        t->kv_block_ns += kv_pool_block_ns(kv, t->end);
    }
    if (c->config->fleet.asked)
        t->held_s[0] = sim_time_to_s(fleet_held(&c->fleet, t->end));
    for (size_t i = 0; c->pipelines && i < cluster_stations(c->config); i++) {
        struct bubbles b = pipeline_bubbles(&c->pipelines[i]);
        t->bubbles.idle_s += b.idle_s;
        t->bubbles.active_s += b.active_s;
    }
}

static void release(struct cluster *c)
{
    for (size_t i = 0; c->replicas && i < c->config->replicas; i++)
        replica_release(&c->replicas[i]);
    cluster_free_requests(c);
    for (size_t i = 0; c->pipelines && i < cluster_stations(c->config); i++)
        pipeline_release(&c->pipelines[i]);
    free(c->pipelines);
    free(c->pairs);
    free(c->replicas);
    free(c->touched);
    free(c->is_touched);
    free(c->listening);
    min_index_release(&c->events);
    min_index_release(&c->ranks);
    kv_transfers_release(&c->transfers);
    fleet_release(&c->fleet);
    if (c->prediction_rng)
        gsl_rng_free(c->prediction_rng);
}

int cluster_run(const struct cluster_config *config, struct executor executor, struct request_source *source,
                const struct observer *observer, const struct run_control *control, struct cluster_totals *totals,
                struct error *err)
{
    assert(config->group > 0 && config->replicas % config->group == 0);
    struct cluster c = {.config = config, .observer = observer, .source = source};
    assert(station_first(&c, cluster_stations(config)) == config->replicas);
    int status = prepare(&c, executor, err) || loop(&c, control, err) ? -1 : 0;
    if (status == 0)
        sum_up(&c);
    *totals = c.totals;
    release(&c);
    return status;
}
