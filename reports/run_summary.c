/* SPDX-License-Identifier: MIT */
/* From what was kept during a run to what is reported of it. */
#include <math.h>
#include <string.h>

#include "reports/metrics.h"

static double scv(double sum, double squares, double count)
{
    double mean = sum / count;
    return count > 1 && mean > 0 ? (squares / count - mean * mean) / (mean * mean) : NAN;
}

static struct station_summary station_of(const char *name, const struct station *s, const struct run_metrics *m,
                                         double duration_s)
{
    double n = (double)s->departures, stay = (double)s->stay;
    struct station_summary out = {.name = name};
    out.arrival_rate = (double)s->arrivals / duration_s;
    out.number = (double)s->area * 1e-9 / duration_s;
    out.stay_s = n > 0 ? stay * 1e-9 / n : 0;
    out.arrival_scv = scv(m->gap_sum, m->gap_squares, (double)m->system.arrivals - 1);
    out.service_rate = out.utilization = out.queue_number = out.wait_s = out.service_scv = NAN;
    out.little_residual = s->present ? NAN : stay > 0 ? fabs((double)(s->area - s->stay)) / stay : 0;
    return out;
}

static void stations(const struct run_metrics *m, const struct scenario *s, struct run_summary *out)
{
    out->system = station_of("system", &m->system, m, out->duration_s);
    out->queue = station_of("queue", &m->queue, m, out->duration_s);
    double n = (double)m->system.departures;
    out->system.utilization = out->utilization;
    out->system.service_rate = m->busy_ns > 0 ? n / (m->busy_ns * 1e-9) : NAN; /* per busy replica */
    out->system.queue_number = out->queue.number;
    out->system.wait_s = out->queue.stay_s;
    out->system.service_scv = scv(m->system.service_sum, m->system.service_squares, n);
    /* Overloaded: hardly ever idle while requests came, and a tail of work left over when they stopped. */
    double span = sim_time_to_s(m->last_arrival), tail = out->duration_s - span;
    double busy_share = m->busy_ns * 1e-9 / ((double)s->cluster.replicas * out->duration_s);
    out->overloaded = n > 100 && busy_share > 0.95 && tail > 0.05 * span && out->system.wait_s > 0.02 * span;
}

static void check_slo(const struct scenario *s, struct run_summary *out)
{
    out->slo_asked = s->slo.count > 0;
    out->slo_met = true;
    for (size_t i = 0; i < s->slo.count; i++) {
        const struct slo_limit *limit = &s->slo.limits[i];
        const struct summary *metric = NULL;
        for (int k = 0; k < METRIC_COUNT; k++)
            if (strcmp(metric_names[k], limit->metric) == 0)
                metric = &out->metrics[k];
        out->slo[i].value_s = NAN;
        for (int k = 0; metric && metric->count > 0 && k < STAT_COUNT; k++)
            if (strcmp(statistic_names[k], limit->statistic) == 0)
                out->slo[i].value_s = metric->at[k].value * 1e-9;
        out->slo[i].met = !(out->slo[i].value_s > limit->limit_s);
        out->slo_met = out->slo_met && out->slo[i].met;
    }
    if (s->slo.attainment > 0)
        out->slo_met = out->slo_met && out->attainment >= s->slo.attainment;
    out->slo_met = out->slo_met && out->totals.finished > 0;
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
    double gpus = (double)s->cluster.replicas * s->cost.tensor_parallel, busy_s = m->busy_ns * 1e-9;
    out->requests_per_s = finished / out->duration_s;
    out->input_tokens_per_s = (double)m->prompt_tokens / out->duration_s;
    out->output_tokens_per_s = (double)m->output_tokens / out->duration_s;
    out->goodput_per_s = (double)m->met_slo / out->duration_s;
    double asked = finished + (double)totals->rejected; /* a rejected request has not met its SLO */
    out->attainment = s->slo.count && asked > 0 ? (double)m->met_slo / asked : NAN;
    out->utilization = busy_s / ((double)s->cluster.replicas * out->duration_s);
    out->preemptions = m->preemptions;
    out->recomputed_tokens = m->recomputed_tokens;
    if (m->iterations > 0) {
        out->padding_waste = 1 - m->real_tokens / m->padded_tokens;
        out->mean_batch_sequences = m->sequence_time / m->busy_ns;
        out->mean_batch_tokens = m->real_tokens / (double)m->iterations;
        out->mean_kv_use = m->kv_time / m->busy_ns;
        out->peak_kv_use = (double)totals->kv_peak / (double)totals->kv_total;
        out->extrapolated_share = m->outside_ns / m->busy_ns;
        double peak = s->cost.device.peak_flops * gpus / (double)s->cluster.replicas;
        out->mfu = peak > 0 ? m->flops / (busy_s * peak) : NAN;
    }
    double all = 0;
    for (int i = 0; i < PART_COUNT; i++)
        all += (double)m->parts[i];
    for (int i = 0; i < PART_COUNT; i++)
        out->part_share[i] = all > 0 ? (double)m->parts[i] / all : 0;
    stations(m, s, out);
    check_slo(s, out);
    return check_invariants(m, out, err);
}
