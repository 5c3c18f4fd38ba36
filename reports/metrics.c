/* SPDX-License-Identifier: MIT */
#include "reports/metrics.h"

#include <stdlib.h>
#include <string.h>

const char *const metric_names[METRIC_COUNT] = {"queue_s", "ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s"};
const char *const time_part_names[PART_COUNT] = {
    "queue",        "prefill_own", "prefill_stall", "decode_own", "decode_interference",
    "decode_stall", "preempted",   "transfer",      "route"};

/* Gaps between tokens are grouped by time, at first in windows of 134 ms; all other metrics by count of requests. */
static const uint64_t gap_window = 1 << 27;

int run_metrics_init(struct run_metrics *m, const struct scenario *s, struct error *err)
{
    *m = (struct run_metrics){.slo = &s->slo,
                              .replica_count = s->cluster.replicas,
                              .keep_requests = s->keep_requests,
                              .timeseries = s->timeseries};
    for (enum metric i = 0; i < METRIC_COUNT; i++)
        samples_init(&m->samples[i], i == METRIC_ITL ? gap_window : 5);
    m->replicas = calloc(m->replica_count, sizeof *m->replicas);
    return m->replicas ? 0 : error_no_memory(err);
}

void run_metrics_release(struct run_metrics *m)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        samples_release(&m->samples[i]);
    free(m->replicas);
    m->replicas = NULL;
}

struct request_metrics request_metrics_of(const struct request *r)
{
    struct request_metrics q;
    q.at[METRIC_QUEUE] = r->first_scheduled - r->arrival;
    q.at[METRIC_TTFT] = r->first_token - r->arrival;
    q.at[METRIC_TPOT] = r->output_tokens > 1 ? (r->last_token - r->first_token) / (r->output_tokens - 1) : -1;
    q.at[METRIC_ITL] = -1;
    q.at[METRIC_E2E] = r->last_token - r->arrival;
    q.at[METRIC_NORMALIZED] = (r->last_token - r->arrival) / r->output_tokens;
    return q;
}

static void station_enter(struct station *s, sim_time now)
{
    if (s->arrivals > 0) {
        double gap = sim_time_to_s(now - s->last_arrival);
        s->gap_sum += gap;
        s->gap_squares += gap * gap;
    }
    s->last_arrival = now;
    s->arrivals++;
    s->arrival_times += (uint64_t)now;
}

static void station_leave(struct station *s, sim_time now, sim_time stay, double service_s)
{
    s->departures++;
    s->departure_times += (uint64_t)now;
    s->stay += (uint64_t)stay;
    s->service_sum += service_s;
    s->service_squares += service_s * service_s;
}

static uint64_t present(const struct station *s)
{
    return s->arrivals - s->departures;
}

static void on_probe(void *state, const struct cluster_state *cluster)
{
    struct run_metrics *m = state;
    if (!m->sink.state)
        return;
    double interval = sim_time_to_s(m->timeseries);
    const struct {
        const char *series;
        double value;
    } points[] = {
        {"waiting", (double)present(&m->queue)},
        {"running", (double)(present(&m->system) - present(&m->queue))},
        {"kv_used_blocks", (double)cluster->kv_used_blocks},
        {"requests_per_s", (double)(m->system.departures - m->point_finished) / interval},
        {"output_tokens_per_s", (double)(m->heads - m->point_tokens) / interval},
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        m->sink.add_point(m->sink.state, points[i].series, cluster->at, points[i].value);
    m->point_finished = m->system.departures;
    m->point_tokens = m->heads;
}

static void on_arrival(void *state, size_t replica, const struct request *r)
{
    struct run_metrics *m = state;
    station_enter(&m->system, r->arrival);
    station_enter(&m->queue, r->arrival);
    if (replica == ROUTER_QUEUE)
        return;
    station_enter(&m->replicas[replica].system, r->arrival);
    station_enter(&m->replicas[replica].queue, r->arrival);
}

static void on_rejection(void *state, const struct request *r, const char *reason)
{
    (void)r;
    ((struct run_metrics *)state)->reject_reason = reason;
}

static void on_scheduled(void *state, size_t replica, const struct request *r)
{
    struct run_metrics *m = state;
    sim_time wait = r->first_scheduled - r->arrival;
    station_leave(&m->queue, r->first_scheduled, wait, 0);
    struct replica_metrics *of = &m->replicas[replica];
    if (present(&of->queue) > 0) /* under central routing it waited elsewhere */
        station_leave(&of->queue, r->first_scheduled, wait, 0);
}

static void on_preemption(void *state, size_t replica, const struct request *r)
{
    (void)replica, (void)r;
    ((struct run_metrics *)state)->preemptions++;
}

static void keep(struct run_metrics *m, enum metric metric, uint64_t position, int64_t value, uint64_t count)
{
    if (value >= 0 && samples_add(&m->samples[metric], position, value, count))
        m->out_of_memory = true;
}

static void on_gap(void *state, sim_time at, sim_time gap, uint64_t count)
{
    keep(state, METRIC_ITL, (uint64_t)at, gap, count);
}

/* Iterations from `first` on as gaps between tokens of `times` requests, piece by piece where they go over the end
 * of a window of time. */
static void keep_gaps(struct run_metrics *m, const struct stretch *s, uint64_t first, uint64_t times)
{
    struct samples *gaps = &m->samples[METRIC_ITL];
    for (uint64_t i = first, next; i < s->count; i = next) {
        sim_time at = stretch_end(s, i + 1);
        sim_time window_end = (sim_time)samples_group_end(gaps, (uint64_t)at);
        next = stretch_end(s, s->count) < window_end ? s->count : stretch_ends_by(s, window_end) - 1;
        struct sample_run run = {.first = s->first + i * s->growth,
                                 .growth = s->growth,
                                 .count = next - i,
                                 .times = times};
        if (samples_add_run(gaps, (uint64_t)stretch_end(s, next), &run))
            m->out_of_memory = true;
    }
}

/* Sums over iterations 0 … n − 1 of what grows by a constant. */
static wide_sum sum_growing(wide_sum first, wide_sum growth, uint64_t n)
{
    return n * first + growth * ((wide_sum)n * (n - 1) / 2);
}

/* Tokens, attention scores and output heads of real requests: the work that counts for MFU. */
static void count_work(struct run_metrics *m, const struct batch *b, uint64_t n)
{
    uint64_t tokens = b->decodes, heads = b->decodes;
    wide_sum scores = 2 * sum_growing(b->decode_kv + b->decodes, b->decodes, n);
    for (size_t i = 0; i < b->count; i++) {
        uint64_t new_tokens = b->items[i].new_tokens, before = b->items[i].req->computed;
        tokens += new_tokens;
        scores += new_tokens * (2 * before + new_tokens + 1);
        heads += new_tokens == request_uncomputed(b->items[i].req);
    }
    m->real_tokens += n * tokens;
    m->padded_tokens += n * (b->layout == BATCH_RAGGED ? tokens : (uint64_t)b->rows * b->row_tokens);
    m->scores += scores;
    m->heads += n * heads;
}

static void on_iteration(void *state, const struct iteration_record *i)
{
    struct run_metrics *m = state;
    uint64_t ns = (uint64_t)(i->end - i->stretch.start), n = i->stretch.count;
    m->iterations += n;
    m->system.busy_ns += ns;
    m->replicas[i->replica].system.busy_ns += ns;
    m->outside += sum_growing(i->cost->outside, i->cost->outside_growth, n);
    m->sequence_ns += (wide_sum)ns * batch_sequences(i->batch);
    count_work(m, i->batch, n);
    if (i->batch->decodes == 0)
        return;
    if (i->steady == i->batch->decodes) {
        keep_gaps(m, &i->stretch, 0, i->steady);
        return;
    }
    struct stretch first = i->stretch;
    first.count = 1;
    if (i->steady > 0)
        keep_gaps(m, &first, 0, i->steady);
    if (n > 1)
        keep_gaps(m, &i->stretch, 1, i->batch->decodes);
}

static double metric_limit_s(const struct slo *slo, enum metric metric)
{
    double limit = -1; /* the loosest, when several percentiles are limited */
    for (size_t i = 0; i < slo->count; i++)
        if (strcmp(slo->limits[i].metric, metric_names[metric]) == 0 && slo->limits[i].limit_s > limit)
            limit = slo->limits[i].limit_s;
    return limit;
}

static bool meets_slo(const struct slo *slo, const struct request_metrics *q)
{
    for (enum metric i = METRIC_TTFT; i < METRIC_COUNT; i++) {
        double limit = i == METRIC_ITL ? -1 : metric_limit_s(slo, i);
        if (limit >= 0 && sim_time_to_s(q->at[i]) > limit)
            return false;
    }
    return true;
}

static void on_finish(void *state, size_t replica, const struct request *r)
{
    struct run_metrics *m = state;
    struct request_metrics q = request_metrics_of(r);
    for (enum metric i = 0; i < METRIC_COUNT; i++)
        keep(m, i, m->system.departures, q.at[i], 1);
    m->prompt_tokens += r->prompt_tokens;
    m->output_tokens += r->output_tokens;
    m->recomputed_tokens += r->recomputed_tokens;
    m->met_slo += meets_slo(m->slo, &q);
    int64_t sum = 0;
    for (int i = 0; i < PART_COUNT; i++) {
        m->parts_ns[i] += (double)r->parts[i];
        sum += r->parts[i];
    }
    m->parts_error += llabs(sum - q.at[METRIC_E2E]);
    double service_s = sim_time_to_s(r->last_token - r->first_scheduled);
    station_leave(&m->system, r->last_token, q.at[METRIC_E2E], service_s);
    struct replica_metrics *of = &m->replicas[replica];
    if (present(&of->system) > 0)
        station_leave(&of->system, r->last_token, q.at[METRIC_E2E], service_s);
    if (m->sink.state && m->keep_requests)
        m->sink.add_request(m->sink.state, replica, r);
}

struct observer run_metrics_observer(struct run_metrics *m)
{
    return (struct observer){.state = m,
                             .arrived = on_arrival,
                             .rejected = on_rejection,
                             .scheduled = on_scheduled,
                             .preempted = on_preemption,
                             .iterated = on_iteration,
                             .gap = on_gap,
                             .finished = on_finish,
                             .probed = on_probe};
}
