/* SPDX-License-Identifier: MIT */
/* From what was kept during a run to what is reported of it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/metrics.h"

static double scv(double sum, double squares, double count)
{
    double mean = sum / count;
    return count > 1 && mean > 0 ? (squares / count - mean * mean) / (mean * mean) : NAN;
}

static struct station_summary station_of(const struct station *s, unsigned servers, double duration_s)
{
    double n = (double)s->departures;
    uint64_t present = s->arrivals - s->departures, end = (uint64_t)llround(duration_s * 1e9);
    wide_sum area = s->departure_times + (wide_sum)present * end - s->arrival_times;
    struct station_summary out = {.servers = servers};
    out.arrival_rate = (double)s->arrivals / duration_s;
    out.number = (double)area * 1e-9 / duration_s;
    out.stay_s = n > 0 ? (double)s->stay * 1e-9 / n : 0;
    out.arrival_scv = scv(s->gap_sum, s->gap_squares, (double)s->arrivals - 1);
    out.service_rate = out.utilization = out.queue_number = out.wait_s = out.service_scv = NAN;
    wide_sum off = area > s->stay ? area - s->stay : s->stay - area; /* exact, then rounded once */
    out.little_residual = present ? NAN : s->stay > 0 ? (double)off / (double)s->stay : 0;
    return out;
}

/* A station with servers, whose waiting room is `queue`. */
static struct station_summary served_station(const struct station *s, const struct station *queue, unsigned servers,
                                             double duration_s)
{
    struct station_summary out = station_of(s, servers, duration_s);
    struct station_summary waiting = station_of(queue, 0, duration_s);
    out.utilization = (double)s->busy_ns * 1e-9 / (servers * duration_s);
    out.service_rate =
        s->busy_ns > 0 ? (double)s->departures / ((double)s->busy_ns * 1e-9) : NAN; /* of one, while busy */
    out.queue_number = waiting.number;
    out.wait_s = waiting.stay_s;
    out.service_scv = scv(s->service_sum, s->service_squares, (double)s->departures);
    return out;
}

struct station_summary run_metrics_station(const struct run_metrics *m, size_t replica, bool queue, double duration_s)
{
    const struct replica_metrics *r = &m->replicas[replica];
    struct station_summary out =
        queue ? station_of(&r->queue, 0, duration_s) : served_station(&r->system, &r->queue, r->servers, duration_s);
    snprintf(out.name, sizeof out.name, "replica:%zu%s", replica, queue ? "/queue" : "");
    return out;
}

static void stations(const struct run_metrics *m, const struct scenario *s, struct run_summary *out)
{
    out->system = served_station(&m->system, &m->queue, (unsigned)s->cluster.replicas, out->duration_s);
    out->queue = station_of(&m->queue, 0, out->duration_s);
    snprintf(out->system.name, sizeof out->system.name, "system");
    snprintf(out->queue.name, sizeof out->queue.name, "queue");
    double n = (double)m->system.departures;
    /* Overloaded: hardly ever idle while requests came, and a tail of work left over when they stopped. Not a batch
     * job, all of which is there at the start. */
    double span = sim_time_to_s(m->system.last_arrival), tail = out->duration_s - span;
    out->overloaded =
        n > 100 && span > 0 && out->system.utilization > 0.95 && tail > 0.05 * span && out->system.wait_s > 0.02 * span;
}

static int check_invariants(const struct run_metrics *m, const struct run_summary *out, struct error *err)
{
    if (m->out_of_memory)
        return error_no_memory(err);
    if (m->parts_error != 0)
        return error_set(err, ERROR_RUN, "internal: time parts differ from e2e by %lld ns in sum; please report it",
                         (long long)m->parts_error);
    if (out->system.little_residual > 1e-9 || out->queue.little_residual > 1e-9)
        return error_set(err, ERROR_RUN, "internal: Little's law is off by %g; please report it",
                         fmax(out->system.little_residual, out->queue.little_residual));
    if (out->totals.kv_allocated != out->totals.kv_freed + out->totals.kv_held)
        return error_set(err, ERROR_RUN, "internal: %llu KV blocks allocated, %llu freed, %llu held; please report it",
                         (unsigned long long)out->totals.kv_allocated, (unsigned long long)out->totals.kv_freed,
                         (unsigned long long)out->totals.kv_held);
    return 0;
}

/* Arithmetic of the tokens that requests asked for, padding left out. */
static double model_flops(const struct run_metrics *m, const struct model *model)
{
    double head = (double)model->hidden * model->vocab;
    double experts = model_expert_parameters(model);
    double asleep = model->moe.experts ? experts * (1 - (double)model->moe.top_k / model->moe.experts) : 0;
    double weights = model_parameters(model) - head * (model->tied_head ? 1 : 2) - asleep;
    double per_score = 4.0 * model->layers * model->heads * model->head_dim;
    return 2 * weights * (double)m->real_tokens + per_score * (double)m->scores / 2 + 2 * head * (double)m->heads;
}

int run_metrics_summarise(const struct run_metrics *m, const struct scenario *s, const struct cluster_totals *totals,
                          struct run_summary *out, struct error *err)
{
    *out = (struct run_summary){.totals = *totals};
    double finished = (double)totals->finished, duration = sim_time_to_s(totals->end);
    out->duration_s = duration > 0 ? duration : 1e-9;
    for (int i = 0; i < METRIC_COUNT; i++) {
        uint64_t cut = s->warmup == WARMUP_MSER5 ? samples_mser5(&m->samples[i]) : 0;
        if (samples_summarise(&m->samples[i], cut, &out->metrics[i]))
            return error_no_memory(err);
    }
    const struct summary *wait = &out->metrics[METRIC_QUEUE];
    double mean = wait->at[STAT_MEAN].value * 1e-9;
    double half = samples_mean_half_width(&m->samples[METRIC_QUEUE], wait->cut, 0.99) * 1e-9;
    out->wait_99 = (struct estimate){mean, mean - half, mean + half};
    double busy_s = (double)m->system.busy_ns * 1e-9;
    out->requests_per_s = finished / out->duration_s;
    out->input_tokens_per_s = (double)m->prompt_tokens / out->duration_s;
    out->output_tokens_per_s = (double)m->output_tokens / out->duration_s;
    double held_s = totals->held_s[0] + totals->held_s[1];
    out->utilization = held_s > 0 ? busy_s / held_s : 0;
    out->preemptions = m->preemptions;
    out->bubble_share = totals->bubbles.active_s > 0 ? totals->bubbles.idle_s / totals->bubbles.active_s : NAN;
    out->recomputed_tokens = m->recomputed_tokens;
    out->prefix_hit_rate = m->prompt_tokens > 0 ? (double)m->prefix_cached_tokens / (double)m->prompt_tokens : 0;
    out->prefill_rows = m->row_prefills > 0 ? (double)m->prefill_rows / (double)m->row_prefills : NAN;
    out->prompts_per_row = m->row_prefills > 0 ? (double)m->row_prompts / (double)m->prefill_rows : NAN;
    if (m->iterations > 0) {
        double busy_ns = (double)m->system.busy_ns;
        out->padding_waste = 1 - (double)m->real_tokens / (double)m->padded_tokens;
        out->mean_batch_sequences = (double)m->sequence_ns / busy_ns;
        out->mean_batch_tokens = (double)m->real_tokens / (double)m->iterations;
        out->mean_kv_use = totals->kv_block_ns * (double)s->cluster.replicas / (busy_ns * (double)totals->kv_total);
        out->peak_kv_use = (double)totals->kv_peak / (double)totals->kv_total;
        for (int i = 0; i < COST_SOURCES; i++)
            out->source_share[i] = fine_to_ns(m->by_source[i]) / busy_ns;
        if (s->cost.estimated)
            out->source_share[COST_ESTIMATED] = 1;
        double peak = device_peak_flops(&s->cost.device, s->cost.model.dtype) * s->cost.parallel.tensor;
        bool one_kind = s->cluster.prefill_replicas == 0; /* else its peak is not one number */
        out->mfu = peak > 0 && one_kind ? model_flops(m, &s->cost.model) / (busy_s * peak) : NAN;
    }
    double all = 0;
    for (int i = 0; i < PART_COUNT; i++)
        all += (double)m->parts_ns[i];
    for (int i = 0; i < PART_COUNT; i++)
        out->part_share[i] = all > 0 ? (double)m->parts_ns[i] / all : 0;
    stations(m, s, out);
    if (attainment_judge(&m->attainment, out->metrics, out->duration_s, &out->slo, err))
        return -1;
    out->goodput_per_s = out->slo.goodput.value;
    return check_invariants(m, out, err);
}
