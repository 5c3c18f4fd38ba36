/* SPDX-License-Identifier: MIT */
#include "reports/text.h"

#include <math.h>

static void print_seconds(FILE *out, double ns)
{
    double s = ns * 1e-9;
    if (!isfinite(s))
        fprintf(out, " %9s", "–");
    else if (s < 1e-3)
        fprintf(out, " %6.1f µs", s * 1e6);
    else if (s < 1)
        fprintf(out, " %6.1f ms", s * 1e3);
    else
        fprintf(out, " %7.2f s", s);
}

static void print_latencies(FILE *out, const struct run_summary *r)
{
    static const char *const labels[METRIC_COUNT] = {"queue", "TTFT", "TPOT", "ITL", "E2E", "E2E/token"};
    static const enum statistic shown[] = {STAT_MEAN, STAT_P50, STAT_P90, STAT_P99, STAT_P999, STAT_MAX};
    fprintf(out, "\n  %-10s %9s %9s %9s %9s %9s %9s   95 %% interval of p99\n", "latency", "mean", "p50", "p90", "p99",
            "p99.9", "max");
    for (int m = 0; m < METRIC_COUNT; m++) {
        fprintf(out, "  %-10s", labels[m]);
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            print_seconds(out, r->metrics[m].count ? r->metrics[m].at[shown[i]].value : NAN);
        const struct estimate *p99 = &r->metrics[m].at[STAT_P99];
        if (r->metrics[m].count && isfinite(p99->low)) {
            fprintf(out, "  ");
            print_seconds(out, p99->low);
            fprintf(out, " …");
            print_seconds(out, p99->high);
        }
        fprintf(out, "\n");
    }
}

static const char *mark(const struct slo_result *r, bool asked)
{
    return !asked ? "    " : r->met ? "ok  " : "miss";
}

static void print_attainment(FILE *out, const struct scenario *s, const struct slo_verdict *v, size_t scope)
{
    double asked = s->slo.attainment[scope];
    if (scope > 0 && asked == 0)
        return;
    fprintf(out, "    %s %.2f %% of requests%s%s met every limit", mark(&v->attainment[scope], asked > 0),
            100 * v->attainment[scope].value, scope ? " of class " : "", scope ? s->slo.classes[scope].name : "");
    if (asked > 0)
        fprintf(out, "  (asked: %g %%)", 100 * asked);
    fprintf(out, "\n");
}

static void print_slo(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    const struct slo_verdict *v = &r->slo;
    if (!v->asked)
        return;
    fprintf(out, "\n  SLO %s\n", v->met ? "MET" : "NOT MET");
    for (size_t i = 0; i < s->slo.count; i++) {
        const struct slo_limit *l = &s->slo.limits[i];
        fprintf(out, "    %s %-12s %-5s %9.4g s  (limit %g s%s%s)\n", mark(&v->limits[i], true), l->metric,
                l->statistic, v->limits[i].value, l->limit_s, l->scope ? ", class " : "",
                l->scope ? s->slo.classes[l->scope].name : "");
    }
    for (size_t i = 0; i <= s->slo.class_count; i++)
        print_attainment(out, s, v, i);
    if (s->slo.goodput_per_s > 0)
        fprintf(out, "    %s goodput %.3f requests/s  (asked: %g)\n", mark(&v->goodput, true), v->goodput.value,
                s->slo.goodput_per_s);
    if (s->slo.window > 0)
        fprintf(out, "    %s %zu of %zu windows of %g s kept everything  (asked: %g %%; the worst begins at %g s)\n",
                mark(&v->windows, true), v->window_count - v->windows_missed, v->window_count,
                sim_time_to_s(s->slo.window), 100 * s->slo.window_share, v->worst_window_s);
}

static void print_where_time_went(FILE *out, const struct run_summary *r)
{
    fprintf(out, "\n  where the time went");
    const char *separator = "  ";
    for (int i = 0; i < PART_COUNT; i++)
        if (r->part_share[i] >= 0.0005) {
            fprintf(out, "%s%s %.1f %%", separator, time_part_names[i], 100 * r->part_share[i]);
            separator = " · ";
        }
    fprintf(out, "\n");
}

/* Where the costs come from, and how much of the time came from where. */
static void print_costs(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    fprintf(out, "  costs      %s", s->cost.device.source);
    for (int i = 0; !s->cost.estimated && i < COST_SOURCES; i++)
        fprintf(out, "%s%.1f %% %s", i ? ", " : "; of busy time ", 100 * r->source_share[i], cost_source_names[i]);
    fprintf(out, "\n");
}

void text_print_summary(FILE *out, const struct scenario *s, const struct run_summary *r, const struct run_metrics *m,
                        double wall_s)
{
    const struct cluster_totals *t = &r->totals;
    if (r->overloaded)
        fprintf(out, "OVERLOADED: the queue grew as long as requests came; latencies say how long the run was, not how "
                     "good the service is.\n");
    if (s->cluster.prefill_replicas) {
        size_t prefills = s->cluster.prefill_replicas, decodes = s->cluster.replicas - prefills;
        fprintf(out, "%s: %s, prefill on %zu × %s (%s, %s), decode on %zu × %s (%s)\n", s->name, s->cost.model.name,
                prefills * s->cost.parallel.tensor, s->cost.device.name, s->cluster.replica.batching->name,
                s->cluster.routing->name, decodes * s->decode_cost.parallel.tensor, s->decode_cost.device.name,
                s->cluster.decode.batching->name);
    } else
        fprintf(out, "%s: %s on %zu × %s%s, %s, %s\n", s->name, s->cost.model.name,
                s->cluster.replicas * s->cost.parallel.tensor, s->cost.device.name,
                s->cost.parallel.tensor > 1 ? " (tensor parallel)" : "", s->cluster.replica.batching->name,
                s->cluster.routing->name);
    char lost[40] = "";
    if (t->lost)
        snprintf(lost, sizeof lost, " + %llu lost", (unsigned long long)t->lost);
    fprintf(out,
            "  requests   %llu arrived = %llu finished + %llu rejected%s + %llu unfinished; at most %llu in flight\n",
            (unsigned long long)t->arrived, (unsigned long long)t->finished, (unsigned long long)t->rejected, lost,
            (unsigned long long)t->unfinished, (unsigned long long)t->peak_in_flight);
    if (t->rejected)
        fprintf(out, "  rejected   last one because: %s\n", m->reject_reason ? m->reject_reason : "?");
    if (t->lost)
        fprintf(out, "  lost       %llu requests, the last one because: %s\n", (unsigned long long)t->lost,
                m->lose_reason ? m->lose_reason : "?");
    if (s->cluster.fleet.asked)
        fprintf(out, "  fleet      %.2f of %zu replicas held on average (%.2f replica hours), %llu failures\n",
                (t->held_s[0] + t->held_s[1]) / r->duration_s, s->cluster.replicas,
                (t->held_s[0] + t->held_s[1]) / 3600, (unsigned long long)t->failures);
    fprintf(out, "  simulated  %.1f s in %.2f s of wall time (%.0f requests/s, %llu iterations)\n", r->duration_s,
            wall_s, (double)t->arrived / wall_s, (unsigned long long)t->iterations);
    fprintf(out, "  throughput %.2f requests/s, %.0f input + %.0f output tokens/s, goodput %.2f requests/s\n",
            r->requests_per_s, r->input_tokens_per_s, r->output_tokens_per_s, r->goodput_per_s);
    print_latencies(out, r);
    print_where_time_went(out, r);
    fprintf(out,
            "  replicas   busy %.1f %%, batch %.1f sequences, padding waste %.1f %%, KV use %.1f %% (peak %.1f %%), "
            "%llu preemptions",
            100 * r->utilization, r->mean_batch_sequences, 100 * r->padding_waste, 100 * r->mean_kv_use,
            100 * r->peak_kv_use, (unsigned long long)r->preemptions);
    if (isnan(r->mfu))
        fprintf(out, "\n");
    else
        fprintf(out, ", MFU %.1f %%\n", 100 * r->mfu);
    if (!isnan(r->bubble_share))
        fprintf(out, "  pipeline   idle %.1f %% of its stages' time while anything was in flight (bubbles)\n",
                100 * r->bubble_share);
    if (!isnan(r->prefill_rows))
        fprintf(out, "  prefill    %.1f rows a batch, %.2f prompts a row\n", r->prefill_rows, r->prompts_per_row);
    if (s->cluster.replica.prefix_caching)
        fprintf(out, "  prefixes   %.1f %% of prompt tokens were found in the KV pool\n", 100 * r->prefix_hit_rate);
    fprintf(out, "  queueing   λ %.3f/s, ρ %.3f, L %.2f, Lq %.2f, W %.3f s, Wq %.3f s; Little's law residual %.1e\n",
            r->system.arrival_rate, r->system.utilization, r->system.number, r->system.queue_number, r->system.stay_s,
            r->system.wait_s, r->system.little_residual);
    print_costs(out, s, r);
    fprintf(out, "  warm-up    %llu requests cut (%s)\n", (unsigned long long)r->metrics[METRIC_E2E].cut,
            s->warmup == WARMUP_MSER5 ? "MSER-5" : "none asked");
    print_slo(out, s, r);
}
