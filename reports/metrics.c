/* SPDX-License-Identifier: MIT */
#include "reports/metrics.h"

#include <stdlib.h>
#include <string.h>

const char *const metric_names[METRIC_COUNT] = {"queue_s", "ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s"};
const char *const time_part_names[PART_COUNT] = {
    "queue",        "prefill_own", "prefill_stall", "decode_own", "decode_interference",
    "decode_stall", "preempted",   "transfer",      "route"};

int run_metrics_init(struct run_metrics *m, const struct scenario *s, struct error *err)
{
    *m = (struct run_metrics){.slo = &s->slo,
                              .replica_count = s->cluster.replicas,
                              .keep_requests = s->keep_requests,
                              .timeseries = s->timeseries,
                              .next_point = s->timeseries};
    for (int i = 0; i < METRIC_COUNT; i++)
        samples_init(&m->samples[i]);
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

static void add_time(struct exact_time *sum, int64_t times, sim_time t)
{
    enum { NS_PER_S = 1000000000 };
    int64_t ns = sum->ns + times * (t % NS_PER_S);
    sum->s += times * (t / NS_PER_S) + ns / NS_PER_S;
    sum->ns = ns % NS_PER_S;
}

static void station_change(struct station *s, sim_time now, int change)
{
    add_time(&s->area, s->present, now - s->changed);
    s->changed = now;
    s->present += change;
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
    station_change(s, now, 1);
}

static void station_leave(struct station *s, sim_time now, sim_time stay, double service_s)
{
    station_change(s, now, -1);
    s->departures++;
    add_time(&s->stay, 1, stay);
    s->service_sum += service_s;
    s->service_squares += service_s * service_s;
}

static void take_point(struct run_metrics *m, sim_time at)
{
    double interval = sim_time_to_s(m->timeseries), kv = 0;
    for (size_t i = 0; i < m->replica_count; i++)
        kv += (double)m->replicas[i].kv_used_blocks;
    const struct {
        const char *series;
        double value;
    } points[] = {
        {"waiting", (double)m->queue.present},
        {"running", (double)(m->system.present - m->queue.present)},
        {"kv_used_blocks", kv},
        {"requests_per_s", (double)(m->system.departures - m->point_finished) / interval},
        {"output_tokens_per_s", (double)(m->tokens_so_far - m->point_tokens) / interval},
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        m->sink.add_point(m->sink.state, points[i].series, at, points[i].value);
    m->point_finished = m->system.departures;
    m->point_tokens = m->tokens_so_far;
}

/* Points of the time series that are due before what happens at `now`. */
static void advance(struct run_metrics *m, sim_time now)
{
    for (; m->timeseries > 0 && m->sink.state && m->next_point <= now; m->next_point += m->timeseries)
        take_point(m, m->next_point);
}

static void on_arrival(void *state, size_t replica, const struct request *r)
{
    struct run_metrics *m = state;
    advance(m, r->arrival);
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
    advance(m, r->first_scheduled);
    station_leave(&m->queue, r->first_scheduled, wait, 0);
    struct replica_metrics *of = &m->replicas[replica];
    if (of->queue.present > 0) /* under central routing it waited elsewhere */
        station_leave(&of->queue, r->first_scheduled, wait, 0);
}

static void on_preemption(void *state, size_t replica, const struct request *r)
{
    (void)replica, (void)r;
    ((struct run_metrics *)state)->preemptions++;
}

static void on_iteration(void *state, const struct iteration_record *i)
{
    struct run_metrics *m = state;
    double ns = (double)(i->end - i->start);
    advance(m, i->start);
    m->iterations++;
    m->system.busy_ns += ns;
    m->replicas[i->replica].system.busy_ns += ns;
    m->replicas[i->replica].kv_used_blocks = i->kv_used_blocks;
    m->outside_ns += i->cost.outside_ns;
    m->flops += i->cost.flops;
    m->real_tokens += (double)batch_real_tokens(i->batch);
    m->padded_tokens += (double)batch_padded_tokens(i->batch);
    m->sequence_time += ns * (double)i->batch->count;
    m->waiting_time += ns * (double)i->waiting;
    m->kv_time += ns * (double)i->kv_used_blocks / (double)i->kv_total_blocks;
}

static void keep(struct run_metrics *m, enum metric metric, int64_t value, uint64_t count)
{
    if (value >= 0 && samples_add(&m->samples[metric], value, count))
        m->out_of_memory = true;
}

static void on_gap(void *state, sim_time gap, uint64_t count)
{
    struct run_metrics *m = state;
    keep(m, METRIC_ITL, gap, count);
    m->tokens_so_far += count;
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
        keep(m, i, q.at[i], 1);
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
    advance(m, r->last_token);
    m->tokens_so_far++; /* the first one, which has no gap before it */
    station_leave(&m->system, r->last_token, q.at[METRIC_E2E], service_s);
    struct replica_metrics *of = &m->replicas[replica];
    if (of->system.present > 0)
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
                             .finished = on_finish};
}
