/* SPDX-License-Identifier: MIT */
#include "reports/stats/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"

const char *const time_part_names[PART_COUNT] = {
    "queue",        "prefill_own", "prefill_stall", "decode_own", "decode_interference",
    "decode_stall", "preempted",   "transfer",      "route",      "delay",
    "after",        "kv_load"};

/* Gaps between tokens are grouped by time, at first in windows of 134 ms; all other metrics by their request's place in
 * the order of arrival. */
static const uint64_t gap_window = 1 << 27, requests_in_group = 5;

enum { GAPS_AHEAD = 64 }; /* kept apart before anybody looks whether they have ended */

static void set_station(const struct scenario *s, size_t station, struct replica_metrics *out)
{
    const struct pool_config *pool = cluster_pool_of(&s->cluster, (struct station_id){station});
    out->servers = (unsigned)pool->tied; /* batches that it can have in flight */
    out->estimated = s->pools[pool - s->cluster.pools].cost.estimated;
}

int run_metrics_init(struct run_metrics *m, const struct scenario *s, struct error *err)
{
    *m = (struct run_metrics){.replica_count = cluster_stations(&s->cluster),
                              .fleet = s->cluster.fleet_count > 0,
                              .finish_elsewhere = delays_may_finish(&s->cluster),
                              .keep_below = (uint64_t)(s->keep_requests * (double)((uint64_t)1 << 53)),
                              .timeseries = s->timeseries,
                              .iterations_kept = s->iterations,
                              .sections = {.width = requests_in_group},
                              .sustainable_per_s = NAN,
                              .serving_per_s = NAN};
    for (enum metric i = 0; i < METRIC_COUNT; i++)
        (i == METRIC_ITL ? samples_init_sectioned : samples_init)(&m->samples[i],
                                                                  i == METRIC_ITL ? gap_window : requests_in_group);
    for (size_t i = 0; i < s->cluster.pool_count; i++) {
        m->told_ahead |= s->cluster.pools[i].replica.schedule_ahead || s->cluster.pools[i].stage_executors;
        m->sources |= !s->pools[i].cost.estimated;
    }
    if (attainment_init(&m->attainment, &s->slo, err))
        return -1;
    m->replicas = calloc(m->replica_count, sizeof *m->replicas);
    for (size_t i = 0; m->replicas && i < m->replica_count; i++)
        set_station(s, i, &m->replicas[i]);
    return m->replicas ? 0 : error_no_memory(err);
}

void run_metrics_release(struct run_metrics *m)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        samples_release(&m->samples[i]);
    for (size_t i = 0; i < SECTIONS_MAX; i++) {
        bands_release(&m->sums[i].ttft_bands);
        bands_release(&m->sums[i].e2e_bands);
    }
    attainment_release(&m->attainment);
    session_stats_release(&m->sessions);
    free(m->replicas);
    free(m->gaps_ahead);
    m->replicas = NULL;
    m->gaps_ahead = NULL;
}

static void add_gap(struct station_sums *s, sim_time now)
{
    double gap = sim_time_to_s(now - s->last_arrival);
    s->gap_sum += gap;
    s->gap_squares += gap * gap;
}

static void station_enter(struct station_sums *s, sim_time now)
{
    if (s->arrivals > 0)
        add_gap(s, now);
    s->last_arrival = now;
    s->arrivals++;
    s->arrival_times += (uint64_t)now;
}

static void station_leave(struct station_sums *s, sim_time now, sim_time stay, sim_time service)
{
    s->departures++;
    s->departure_times += (uint64_t)now;
    s->stay += (uint64_t)stay;
    s->service += (uint64_t)service;
    s->service_squares += (wide_sum)(uint64_t)service * (uint64_t)service;
}

static uint64_t present(const struct station_sums *s)
{
    return s->arrivals - s->departures;
}

static void on_probe(void *state, const struct cluster_state *cluster)
{
    struct run_metrics *m = state;
    if (!m->sink.state)
        return;
    double interval = sim_time_to_s(m->timeseries), up = (double)cluster->batches_up;
    sim_time busy = (sim_time)m->system.busy_ns + cluster->busy_more;
    uint64_t tokens = m->heads - cluster->tokens_less;
    uint64_t delayed = 0;
    for (size_t i = 0; i < MOST_DELAYS; i++)
        delayed += present(&m->delays[i].system);
    const struct {
        const char *series;
        double value;
    } points[] = {
        {"waiting", (double)present(&m->queue)},
        {"running", (double)(present(&m->system) - present(&m->queue) - delayed)},
        {"kv_used_blocks", (double)cluster->kv_used_blocks},
        {"requests_per_s", (double)(m->system.departures - m->point_finished) / interval},
        {"output_tokens_per_s", (double)(tokens - m->point_tokens) / interval},
        {"busy",
         up > 0 ? fmax(fmin(sim_time_to_s(busy - m->point_busy) / (interval * up), 1), 0) : 0}, /* up may change */
        {"replicas_up", (double)cluster->replicas_up},
    };
    size_t count = sizeof points / sizeof *points - !m->fleet; /* else the last one says nothing */
    for (size_t i = 0; i < count; i++)
        m->sink.add_point(m->sink.state, points[i].series, cluster->at, points[i].value);
    m->point_finished = m->system.departures;
    m->point_tokens = tokens;
    m->point_busy = busy;
}

static void merge_sums(struct request_sums *into, struct request_sums *from)
{
    into->arrived += from->arrived;
    into->finished += from->finished;
    into->prompt_tokens += from->prompt_tokens;
    into->output_tokens += from->output_tokens;
    into->prefix_cached_tokens += from->prefix_cached_tokens;
    into->early_prompt_tokens += from->early_prompt_tokens;
    bands_take(&into->ttft_bands, &from->ttft_bands);
    bands_take(&into->e2e_bands, &from->e2e_bands);
}

static void merge_sections(struct run_metrics *m)
{
    for (size_t i = 0; i < SECTIONS_MAX / 2; i++) {
        struct request_sums left = m->sums[2 * i], right = m->sums[2 * i + 1];
        m->sums[2 * i] = m->sums[2 * i + 1] = (struct request_sums){0};
        merge_sums(&left, &right);
        m->sums[i] = left;
    }
    sections_merge(&m->sections);
    attainment_merge_sections(&m->attainment);
}

static void keep(struct run_metrics *m, enum metric metric, uint64_t position, int64_t value, uint64_t count)
{
    if (value >= 0 && samples_add(&m->samples[metric], position, value, count))
        m->out_of_memory = true;
}

static void take_gaps(struct run_metrics *m, const struct gap_ahead *g)
{
    if (g->run.count == 0)
        keep(m, METRIC_ITL, (uint64_t)g->end, g->gap, g->count);
    else if (samples_add_run(&m->samples[METRIC_ITL], (uint64_t)g->end, &g->run))
        m->out_of_memory = true;
}

/* Takes in the gaps told ahead that end until then. */
static void settle_gaps(struct run_metrics *m, sim_time until)
{
    size_t left = 0;
    for (size_t i = 0; i < m->gaps_ahead_count; i++)
        if (m->gaps_ahead[i].end <= until)
            take_gaps(m, &m->gaps_ahead[i]);
        else
            m->gaps_ahead[left++] = m->gaps_ahead[i];
    m->gaps_ahead_count = left;
}

void run_metrics_settle(struct run_metrics *m)
{
    settle_gaps(m, SIM_TIME_NEVER);
}

/* Scheduling ahead, or in a pipeline, gaps are told before they end, and not in order. */
static void keep_for_later(struct run_metrics *m, const struct gap_ahead *g)
{
    struct gap_ahead *grown =
        array_grow(m->gaps_ahead, &m->gaps_ahead_capacity, m->gaps_ahead_count + 1, sizeof *grown);
    if (!grown) {
        m->out_of_memory = true;
        return;
    }
    m->gaps_ahead = grown;
    grown[m->gaps_ahead_count++] = *g;
}

bool run_metrics_passes(struct run_metrics *m, uint64_t id, sim_time at)
{
    while (sections_full(&m->sections, id))
        merge_sections(m);
    if (!sections_arrive(&m->sections, id, at))
        return false;
    attainment_begin_section(&m->attainment);
    settle_gaps(m, at);
    samples_begin_section(&m->samples[METRIC_ITL], (uint64_t)at);
    return true;
}

/* Every request has its place in a section, also one that is rejected. */
static size_t enter_section(struct run_metrics *m, const struct request *r)
{
    run_metrics_passes(m, r->id, r->arrival);
    size_t section = section_of(&m->sections, r->id);
    m->sums[section].arrived++;
    attainment_arrived(&m->attainment, section, r);
    return section;
}

static inline void enter_queue(struct run_metrics *m, struct station_id station, const struct request *r)
{
    if (station.index == ROUTER_QUEUE.index)
        queue_growth_arrive(&m->queue_growth, present(&m->queue));
    station_enter(&m->queue, r->queued);
    if (station.index == ROUTER_QUEUE.index)
        return;
    struct replica_metrics *of = &m->replicas[station.index];
    queue_growth_arrive(&of->growth, present(&of->queue));
    station_enter(&of->system, r->queued);
    station_enter(&of->queue, r->queued);
}

static void on_arrival(void *state, struct station_id station, const struct request *r)
{
    struct run_metrics *m = state;
    enter_section(m, r);
    station_enter(&m->system, r->arrival);
    if (station.index != DELAY_STATIONS.index)
        enter_queue(m, station, r);
}

static void on_queued(void *state, struct station_id station, const struct request *r)
{
    enter_queue(state, station, r);
}

static void on_delayed(void *state, size_t delay, const struct request *r)
{
    struct delay_metrics *of = &((struct run_metrics *)state)->delays[delay];
    queue_growth_arrive(&of->growth, present(&of->queue));
    station_enter(&of->system, r->entered);
    station_enter(&of->queue, r->entered);
}

static void on_delay_ended(void *state, size_t delay, const struct request *r, sim_time at)
{
    struct delay_metrics *of = &((struct run_metrics *)state)->delays[delay];
    sim_time waited = r->admitted - r->entered, service = at - r->admitted;
    station_leave(&of->queue, r->admitted, waited, 0);
    queue_growth_serve(&of->growth, r->id, r->entered, waited);
    station_leave(&of->system, at, at - r->entered, service);
    of->system.busy_ns += (uint64_t)service;
}

static void on_answered(void *state, size_t delay, const struct request *r)
{
    struct run_metrics *m = state;
    m->delays[delay].answered++;
    m->sums[section_of(&m->sections, r->id)].early_prompt_tokens += r->prompt_tokens;
}

static void on_load_began(void *state, size_t tier, const struct request *r, sim_time at)
{
    (void)r;
    station_enter(&((struct run_metrics *)state)->tiers[tier].reads, at);
}

static void on_load_ended(void *state, size_t tier, const struct request *r, sim_time at)
{
    sim_time stay = at - r->load_began;
    station_leave(&((struct run_metrics *)state)->tiers[tier].reads, at, stay, stay);
}

static void on_rejection(void *state, const struct request *r, const char *reason)
{
    struct run_metrics *m = state;
    m->reject_reason = m->reject_reason ? m->reject_reason : reason;
    attainment_refused(&m->attainment, enter_section(m, r), reason);
}

static void on_scheduled(void *state, struct station_id station, const struct request *r)
{
    struct run_metrics *m = state;
    station_leave(&m->queue, r->first_scheduled, r->first_scheduled - r->queued, 0);
    struct replica_metrics *of = &m->replicas[station.index];
    if (present(&of->queue) > 0) {
        station_leave(&of->queue, r->first_scheduled, r->first_scheduled - r->entered, 0);
        queue_growth_serve(&of->growth, r->id, r->entered, r->first_scheduled - r->entered);
    } else /* under central routing it waited elsewhere */
        queue_growth_serve(&m->queue_growth, r->id, r->queued, r->first_scheduled - r->queued);
}

static void on_evicted(void *state, struct station_id station, const struct request *r, sim_time at)
{
    struct run_metrics *m = state;
    if (station.index == KV_TRANSFERS.index) {
        m->taken_over++; /* it waits to decode no more */
        return;
    }
    struct replica_metrics *of = &m->replicas[station.index];
    if (present(&of->system) > 0)
        station_leave(&of->system, at, at - (r->taken_over > 0 ? r->taken_over : r->entered), 0);
    if (!r->scheduled && present(&of->queue) > 0)
        station_leave(&of->queue, at, at - r->entered, 0);
}

static void on_routed(void *state, struct station_id station, const struct request *r, sim_time at)
{
    struct replica_metrics *of = &((struct run_metrics *)state)->replicas[station.index];
    station_enter(&of->system, at);
    if (r->scheduled)
        return;
    queue_growth_arrive(&of->growth, present(&of->queue));
    station_enter(&of->queue, at);
}

static void on_lost(void *state, const struct request *r, sim_time at, const char *reason)
{
    struct run_metrics *m = state;
    m->lose_reason = m->lose_reason ? m->lose_reason : reason;
    attainment_refused(&m->attainment, section_of(&m->sections, r->id), reason);
    station_leave(&m->system, at, at - r->arrival, 0);
    if (!r->scheduled)
        station_leave(&m->queue, at, at - r->queued, 0);
}

static void on_preemption(void *state, struct station_id station, const struct request *r)
{
    (void)station, (void)r;
    ((struct run_metrics *)state)->preemptions++;
}

static void on_gap(void *state, sim_time at, sim_time gap, uint64_t count)
{
    struct run_metrics *m = state;
    if (m->told_ahead)
        keep_for_later(m, &(struct gap_ahead){.end = at, .gap = gap, .count = count});
    else
        keep(m, METRIC_ITL, (uint64_t)at, gap, count);
}

/* Iterations `first` … `last` − 1 as gaps between tokens of `times` requests, which all end in one window of time and
 * in one section. */
static void keep_run(struct run_metrics *m, const struct stretch *s, uint64_t first, uint64_t last, sim_time end,
                     uint64_t times)
{
    struct sample_run run = {.first = s->first + first * s->growth,
                             .growth = s->growth,
                             .count = last - first,
                             .times = times};
    if (m->told_ahead)
        keep_for_later(m, &(struct gap_ahead){.end = end, .run = run});
    else if (samples_add_run(&m->samples[METRIC_ITL], (uint64_t)end, &run))
        m->out_of_memory = true;
}

/* The same, piece by piece where they go over the end of a window or section. */
static void keep_gaps(struct run_metrics *m, const struct iteration_record *record, uint64_t first, uint64_t last,
                      uint64_t times)
{
    struct samples *gaps = &m->samples[METRIC_ITL];
    struct stretch s = *record->stretch;
    s.count = last;
    for (uint64_t next; first < last; first = next) {
        sim_time window_end = (sim_time)samples_group_end(gaps, (uint64_t)stretch_end(&s, first + 1));
        next = stretch_end(&s, last) < window_end ? last : stretch_ends_by(&s, window_end) - 1;
        keep_run(m, &s, first, next, stretch_end(&s, next), times);
    }
}

/* Rows of requests that had ended stand in batches of single iterations. */
static void discount_wasted(struct run_metrics *m, const struct batch *b)
{
    m->real_tokens -= b->wasted;
    m->heads -= b->wasted;
    m->scores -= 2 * (b->wasted_kv + b->wasted);
}

/* Tokens, attention scores and output heads of real requests: the work that counts for MFU. */
static void count_work(struct run_metrics *m, const struct batch *b, uint64_t n, uint64_t ns)
{
    uint64_t tokens = b->decodes, heads = b->decodes, decodes = b->decodes;
    uint64_t scores = 2 * (n * (b->decode_kv + b->decodes) + b->decodes * (n * (n - 1) / 2));
    for (size_t i = 0; i < b->count; i++) {
        uint64_t new_tokens = b->items[i].new_tokens, before = b->items[i].req->computed;
        tokens += new_tokens;
        decodes += b->items[i].decode;
        scores += new_tokens * (n * (2 * before + new_tokens + 1) + new_tokens * n * (n - 1));
        heads += new_tokens == request_uncomputed(b->items[i].req);
    }
    uint64_t computed = b->layout == BATCH_RAGGED ? tokens : (uint64_t)b->rows * b->row_tokens;
    m->real_tokens += n * tokens;
    m->padded_tokens += n * computed;
    struct batch_cell *cell = batch_map_at(&m->batches, decodes, tokens - decodes);
    cell->iterations += n;
    cell->ns += ns;
    cell->tokens += n * tokens;
    cell->padded_tokens += n * computed;
    if (b->layout != BATCH_RAGGED && b->count > 0 && b->row_kv == 0) {
        m->row_prefills++;
        m->prefill_rows += b->rows;
        m->row_prompts += b->count;
    }
    m->scores += scores;
    m->heads += n * heads;
    if (b->wasted > 0)
        discount_wasted(m, b);
}

static void keep_iterations(struct run_metrics *m, const struct iteration_record *i)
{
    for (uint64_t k = 0; k < i->count; k++) {
        sim_time start = stretch_end(i->stretch, k);
        if (start >= m->iterations_kept.from && start < m->iterations_kept.to)
            m->sink.add_iteration(m->sink.state, i, k);
    }
}

/* Where the costs of n iterations come from. */
static void count_sources(struct run_metrics *m, const struct iteration_record *i)
{
    wide_sum n = (wide_sum)i->count, pairs = n * (n - 1) / 2;
    const struct iteration_cost *cost = i->cost;
    if (m->replicas[i->station.index].estimated)
        m->by_source[COST_ESTIMATED] += n * cost->total + cost->growth * pairs;
    else
        for (int k = 0; k < COST_SOURCES; k++)
            m->by_source[k] += n * cost->by[k] + cost->by_growth[k] * pairs;
}

static void on_iteration(void *state, const struct iteration_record *i)
{
    struct run_metrics *m = state;
    const struct samples *gaps = &m->samples[METRIC_ITL];
    uint64_t start = (uint64_t)i->stretch->start, ns = (uint64_t)i->end - start, n = i->count;
    m->iterations += n;
    m->system.busy_ns += ns;
    m->replicas[i->station.index].system.busy_ns += ns;
    m->sequence_ns += (wide_sum)ns * batch_sequences(i->batch);
    if (m->sources)
        count_sources(m, i);
    count_work(m, i->batch, n, ns);
    if (m->gaps_ahead_count > m->gaps_ahead_most) {
        settle_gaps(m, i->stretch->start);
        m->gaps_ahead_most = 2 * m->gaps_ahead_count + GAPS_AHEAD;
    }
    if (m->iterations_kept.to > m->iterations_kept.from && m->sink.state)
        keep_iterations(m, i);
    uint32_t decodes = i->batch->decodes - i->batch->wasted;
    if (decodes == 0)
        return;
    if (i->steady == decodes && start >= gaps->first && (uint64_t)i->end < gaps->next) {
        keep_run(m, i->stretch, 0, n, i->end, decodes);
        return;
    }
    if (i->steady > 0)
        keep_gaps(m, i, 0, 1, i->steady);
    keep_gaps(m, i, 1, n, decodes);
}

/* The lesser one, at least 0. */
static sim_time least_of(sim_time a, sim_time b)
{
    sim_time least = a < b ? a : b;
    return least > 0 ? least : 0;
}

/* Delay stations, queueing, loads and prefill come before the first token, but for what a preemption has loaded or
 * computed again, which is booked apart: what is left of the TTFT next to dispatch is a preemption before it. */
static int add_to_ttft_bands(struct bands *bands, const struct request *r, sim_time ttft)
{
    sim_time parts[PART_COUNT] = {[PART_DELAY] = r->parts[PART_DELAY],
                                  [PART_QUEUE] = r->parts[PART_QUEUE],
                                  [PART_PREFILL_OWN] = r->parts[PART_PREFILL_OWN],
                                  [PART_PREFILL_STALL] = r->parts[PART_PREFILL_STALL]};
    sim_time rest = ttft - parts[PART_DELAY] - parts[PART_QUEUE] - parts[PART_PREFILL_OWN] - parts[PART_PREFILL_STALL];
    parts[PART_LOAD] = least_of(r->parts[PART_LOAD], rest);
    rest -= parts[PART_LOAD];
    if (r->taken_over > 0 && r->first_token > r->taken_over) /* its first token comes from where it decodes */
        parts[PART_TRANSFER] = least_of(r->parts[PART_TRANSFER], rest);
    rest -= parts[PART_TRANSFER];
    parts[PART_ROUTE] = least_of(r->parts[PART_ROUTE], rest);
    parts[PART_PREEMPTED] = rest > parts[PART_ROUTE] ? rest - parts[PART_ROUTE] : 0;
    return bands_add(bands, ttft, parts);
}

static void add_to_sums(struct run_metrics *m, const struct request *r, const struct request_metrics *q)
{
    struct request_sums *s = &m->sums[section_of(&m->sections, r->id)];
    int64_t sum = 0;
    s->finished++;
    s->prompt_tokens += r->prompt_tokens;
    s->output_tokens += r->output_tokens;
    s->prefix_cached_tokens += r->prefix_cached_tokens;
    for (int i = 0; i < PART_COUNT; i++)
        sum += r->parts[i];
    m->parts_error += llabs(sum - q->at[METRIC_E2E]);
    if (bands_add(&s->e2e_bands, q->at[METRIC_E2E], r->parts) ||
        add_to_ttft_bands(&s->ttft_bands, r, q->at[METRIC_TTFT]))
        m->out_of_memory = true;
}

/* It has its last token there. */
static void leave_replica(struct run_metrics *m, struct station_id station, const struct request *r)
{
    struct replica_metrics *of = &m->replicas[station.index];
    if (r->taken_over > 0) /* it came from the replica that prefilled it */
        station_leave(&of->system, r->last_token, r->last_token - r->taken_over, r->last_token - r->taken_over);
    else if (present(&of->system) > 0)
        station_leave(&of->system, r->last_token, r->last_token - r->entered, r->last_token - r->first_scheduled);
}

static void on_served(void *state, struct station_id station, const struct request *r)
{
    leave_replica(state, station, r);
}

static void on_answer(void *state, struct station_id station, const struct request *r)
{
    struct run_metrics *m = state;
    struct request_metrics q = request_metrics_of(r);
    for (enum metric i = 0; i < METRIC_COUNT; i++)
        if (q.at[i] >= 0 && samples_add_one(&m->samples[i], r->id, q.at[i]))
            m->out_of_memory = true;
    m->recomputed_tokens += r->recomputed_tokens;
    attainment_finished(&m->attainment, section_of(&m->sections, r->id), r, &q);
    add_to_sums(m, r, &q);
    station_leave(&m->system, r->arrival + q.at[METRIC_E2E], q.at[METRIC_E2E], r->last_token - r->first_scheduled);
    if (m->sink.state && random_mix(r->id) >> 11 < m->keep_below)
        m->sink.add_request(m->sink.state, station, r);
}

static void on_finish(void *state, struct station_id station, const struct request *r)
{
    on_answer(state, station, r);
    leave_replica(state, station, r);
}

static sim_time later(sim_time a, sim_time b)
{
    return a > b ? a : b;
}

static void on_handed_over(void *state, struct station_id station, const struct request *r)
{
    struct run_metrics *m = state;
    queue_growth_arrive(&m->decode_growth, m->handed_over++ - m->taken_over);
    if (present(&m->replicas[station.index].system) > 0)
        station_leave(&m->replicas[station.index].system, r->waiting_since, r->waiting_since - r->entered,
                      r->waiting_since - later(r->first_scheduled, r->entered));
}

static void on_taken_over(void *state, struct station_id station, const struct request *r)
{
    struct run_metrics *m = state;
    m->taken_over++;
    queue_growth_serve(&m->decode_growth, r->id, r->waiting_since, r->taken_over - r->waiting_since);
    station_enter(&m->replicas[station.index].system, r->taken_over);
}

struct observer run_metrics_observer(struct run_metrics *m)
{
    return (struct observer){.state = m,
                             .arrived = on_arrival,
                             .delayed = on_delayed,
                             .delay_ended = on_delay_ended,
                             .queued = on_queued,
                             .rejected = on_rejection,
                             .scheduled = on_scheduled,
                             .preempted = on_preemption,
                             .iterated = on_iteration,
                             .gap = on_gap,
                             .answered = on_answered,
                             .served = m->finish_elsewhere ? on_served : NULL,
                             .finished = m->finish_elsewhere ? on_answer : on_finish,
                             .evicted = on_evicted,
                             .routed = on_routed,
                             .lost = on_lost,
                             .handed_over = on_handed_over,
                             .taken_over = on_taken_over,
                             .load_began = on_load_began,
                             .load_ended = on_load_ended,
                             .probed = on_probe};
}

static void see_gap(struct station_sums *s, uint64_t id, sim_time at)
{
    if (id > 0)
        add_gap(s, at);
    s->last_arrival = at;
}

bool run_metrics_sees(struct run_metrics *m, uint64_t id, sim_time at)
{
    see_gap(&m->system, id, at);
    see_gap(&m->queue, id, at);
    return run_metrics_passes(m, id, at);
}

/* All but the gaps between arrivals, which the whole has seen. */
static void absorb_station(struct station_sums *into, const struct station_sums *from)
{
    into->arrivals += from->arrivals;
    into->departures += from->departures;
    into->arrival_times += from->arrival_times;
    into->departure_times += from->departure_times;
    into->stay += from->stay;
    into->service += from->service;
    into->service_squares += from->service_squares;
    into->busy_ns += from->busy_ns;
}

static void absorb_batches(struct batch_map *into, const struct batch_map *from)
{
    for (int d = 0; d < DECODE_CELLS; d++)
        for (int p = 0; p < PROMPT_CELLS; p++) {
            struct batch_cell *cell = &into->cells[d][p];
            const struct batch_cell *more = &from->cells[d][p];
            cell->iterations += more->iterations;
            cell->ns += more->ns;
            cell->tokens += more->tokens;
            cell->padded_tokens += more->padded_tokens;
        }
}

static void absorb_counts(struct run_metrics *into, const struct run_metrics *part)
{
    into->preemptions += part->preemptions;
    into->recomputed_tokens += part->recomputed_tokens;
    into->row_prefills += part->row_prefills;
    into->prefill_rows += part->prefill_rows;
    into->row_prompts += part->row_prompts;
    into->parts_error += part->parts_error;
    for (int i = 0; i < COST_SOURCES; i++)
        into->by_source[i] += part->by_source[i];
    into->real_tokens += part->real_tokens;
    into->padded_tokens += part->padded_tokens;
    into->scores += part->scores;
    into->heads += part->heads;
    into->sequence_ns += part->sequence_ns;
    into->iterations += part->iterations;
    into->out_of_memory |= part->out_of_memory;
}

void run_metrics_absorb(struct run_metrics *into, struct run_metrics *part, struct station_id first)
{
    run_metrics_settle(part);
    while (part->sections.width < into->sections.width)
        merge_sections(part);
    for (int i = 0; i < METRIC_COUNT; i++)
        samples_absorb(&into->samples[i], &part->samples[i]);
    for (size_t i = 0; i < SECTIONS_MAX; i++)
        merge_sums(&into->sums[i], &part->sums[i]);
    attainment_absorb(&into->attainment, &part->attainment);
    absorb_station(&into->system, &part->system);
    absorb_station(&into->queue, &part->queue);
    for (size_t i = 0; i < part->replica_count; i++)
        into->replicas[first.index + i] = part->replicas[i];
    absorb_batches(&into->batches, &part->batches);
    absorb_counts(into, part);
}
