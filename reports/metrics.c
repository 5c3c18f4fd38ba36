/* SPDX-License-Identifier: MIT */
#include "reports/metrics.h"

#include <stdlib.h>
#include <string.h>

const char *const metric_names[METRIC_COUNT] = {"queue_s", "ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s"};
const char *const time_part_names[PART_COUNT] = {
    "queue",        "prefill_own", "prefill_stall", "decode_own", "decode_interference",
    "decode_stall", "preempted",   "transfer",      "route"};

void run_metrics_init(struct run_metrics *m, const struct slo *slo)
{
    *m = (struct run_metrics){.slo = slo};
    for (int i = 0; i < METRIC_COUNT; i++)
        samples_init(&m->samples[i]);
}

void run_metrics_release(struct run_metrics *m)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        samples_release(&m->samples[i]);
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

static void station_change(struct station *s, sim_time now, int change)
{
    s->area += s->present * (now - s->changed);
    s->changed = now;
    s->present += change;
}

static void on_arrival(void *state, const struct request *r)
{
    struct run_metrics *m = state;
    if (m->system.arrivals > 0) {
        double gap = sim_time_to_s(r->arrival - m->last_arrival);
        m->gap_sum += gap;
        m->gap_squares += gap * gap;
    }
    m->last_arrival = r->arrival;
    m->system.arrivals++;
    m->queue.arrivals++;
    station_change(&m->system, r->arrival, 1);
    station_change(&m->queue, r->arrival, 1);
}

static void on_rejection(void *state, const struct request *r, const char *reason)
{
    struct run_metrics *m = state;
    m->reject_reason = reason;
    m->system.arrivals--;
    m->queue.arrivals--;
    station_change(&m->system, r->arrival, -1);
    station_change(&m->queue, r->arrival, -1);
}

static void on_scheduled(void *state, size_t replica, const struct request *r)
{
    struct run_metrics *m = state;
    (void)replica;
    station_change(&m->queue, r->first_scheduled, -1);
    m->queue.departures++;
    m->queue.stay += r->first_scheduled - r->arrival;
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
    m->iterations++;
    m->busy_ns += ns;
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
    keep(state, METRIC_ITL, gap, count);
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
        m->parts[i] += r->parts[i];
        sum += r->parts[i];
    }
    m->parts_error += llabs(sum - q.at[METRIC_E2E]);
    station_change(&m->system, r->last_token, -1);
    m->system.departures++;
    m->system.stay += q.at[METRIC_E2E];
    double service = sim_time_to_s(r->last_token - r->first_scheduled);
    m->system.service_sum += service;
    m->system.service_squares += service * service;
    if (m->sink.add)
        m->sink.add(m->sink.state, replica, r);
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
