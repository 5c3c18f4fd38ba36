/* SPDX-License-Identifier: MIT */
#include "cli/watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/printable.h"
#include "cli/progress.h"

enum { SPARKS = 60, FIRST_WIDTH_S = 1 };

void watch_begin(struct run_watch *w, const struct scenario *s, const struct run_metrics *m, bool whole)
{
    double now = wall_clock_s();
    struct json workload = json_member(&s->root, "workload"), requests = json_member(&workload, "requests");
    *w = (struct run_watch){.scenario = s,
                            .metrics = m,
                            .started_s = now,
                            .told_s = now,
                            .expected = cJSON_IsNumber(requests.node) ? requests.node->valuedouble : 0,
                            .terminal = progress_on_terminal(),
                            .whole = whole,
                            .width = sim_time_from_s(FIRST_WIDTH_S)};
}

static double waiting_now(const struct run_metrics *m)
{
    return (double)(m->queue.arrivals - m->queue.departures);
}

/* When they are all taken, neighbours merge and widths double. */
static void sample(struct run_watch *w, sim_time now)
{
    while (now / w->width >= WATCH_SAMPLES) {
        for (size_t i = 0; i < WATCH_SAMPLES / 2; i++)
            w->waiting[i] = fmax(w->waiting[2 * i], w->waiting[2 * i + 1]);
        memset(w->waiting + WATCH_SAMPLES / 2, 0, sizeof w->waiting / 2);
        w->width *= 2;
    }
    size_t at = (size_t)(now / w->width);
    w->waiting[at] = fmax(w->waiting[at], waiting_now(w->metrics));
    w->samples = at + 1;
}

static void print_sparks(const struct run_watch *w, FILE *out)
{
    static const char *const sparks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t count = w->samples < SPARKS ? w->samples : SPARKS;
    double most = 0;
    for (size_t i = 0; i < w->samples; i++)
        most = fmax(most, w->waiting[i]);
    for (size_t i = 0; i < count; i++) {
        size_t from = i * w->samples / count, to = (i + 1) * w->samples / count;
        double peak = 0;
        for (size_t k = from; k < to; k++)
            peak = fmax(peak, w->waiting[k]);
        fputs(sparks[most > 0 ? (int)(7 * peak / most + 0.5) : 0], out);
    }
    fprintf(out, " at most %.0f", most);
}

static void print_seconds(FILE *out, double s)
{
    if (s < 1)
        fprintf(out, " %7.1f ms", s * 1e3);
    else
        fprintf(out, " %7.2f s ", s);
}

/* Percentiles of what has finished so far, without a warm-up cut or intervals. */
static void print_latency(const struct run_watch *w, enum metric metric, const char *title, FILE *out)
{
    static const double shown[] = {0.5, 0.9, 0.99};
    struct histogram all = {0};
    for (size_t i = 0; i < SECTIONS_MAX; i++)
        if (histogram_merge(&all, &w->metrics->samples[metric].sections[i].histogram))
            break;
    fprintf(out, "  %-5s", title);
    for (size_t i = 0; all.total && i < sizeof shown / sizeof *shown; i++)
        print_seconds(out, (double)histogram_quantile(&all, shown[i]) * 1e-9);
    fputs("\033[K\n", out);
    histogram_release(&all);
}

static double finished_per_s(const struct run_watch *w, const struct cluster_totals *t, double now)
{
    return now > w->started_s ? (double)t->finished / (now - w->started_s) : 0;
}

static void print_progress(const struct run_watch *w, const struct cluster_totals *t, double now, FILE *out)
{
    double left = w->expected > 0 ? (now - w->started_s) * (w->expected / fmax((double)t->finished, 1) - 1) : NAN;
    fprintf(out, "%.2f", (double)t->finished * 1e-6);
    if (w->expected > 0)
        fprintf(out, " of %.2f", w->expected * 1e-6);
    fprintf(out, " million requests finished, simulated %.0f s, %.3g requests/s", sim_time_to_s(t->end),
            finished_per_s(w, t, now));
    if (isfinite(left) && left >= 0.5) {
        char text[32];
        print_duration(text, sizeof text, left);
        fprintf(out, ", %s left", text);
    }
}

/* Lines are counted so that the next view goes over this one. */
static void print_view(struct run_watch *w, const struct cluster_totals *t, double now)
{
    FILE *out = stderr;
    const struct run_metrics *m = w->metrics;
    if (w->lines)
        fprintf(out, "\033[%dA", w->lines);
    double s = sim_time_to_s(t->end), in_system = (double)(m->system.arrivals - m->system.departures);
    fprintf(out, "%s\033[K\n  ", PRINTABLE(w->scenario->name));
    print_progress(w, t, now, out);
    fprintf(out, "\033[K\n  in simulated time: %.4g requests/s, %.0f output tokens/s\033[K\n",
            s > 0 ? (double)t->finished / s : 0, s > 0 ? (double)m->heads / s : 0);
    fprintf(out, "  running %.0f, waiting %.0f  ", in_system - waiting_now(m), waiting_now(m));
    print_sparks(w, out);
    fprintf(out, "\033[K\n  so far    p50        p90        p99\033[K\n");
    print_latency(w, METRIC_TTFT, "TTFT", out);
    print_latency(w, METRIC_TPOT, "TPOT", out);
    print_latency(w, METRIC_E2E, "E2E", out);
    w->lines = 8;
    uint64_t met = attainment_counts(&m->attainment, 0, 0).met, left = t->finished + t->rejected + t->lost;
    if (w->scenario->slo.count > 0 && left > 0) {
        fprintf(out, "  %.2f %% of requests within every limit\033[K\n", 100 * (double)met / (double)left);
        w->lines++;
    }
}

static void print_line(struct run_watch *w, const struct cluster_totals *t, double now)
{
    fputs(w->terminal ? "\r" : "", stderr);
    print_progress(w, t, now, stderr);
    if (w->whole)
        fprintf(stderr, ", waiting %.0f", waiting_now(w->metrics));
    fputs(w->terminal ? "\033[K" : "\n", stderr);
}

void watch_tick(void *watch, const struct cluster_totals *so_far)
{
    struct run_watch *w = watch;
    double now = wall_clock_s(), pause = w->terminal ? 0.2 : w->whole ? 2 : 10;
    sample(w, so_far->end);
    if (now - w->told_s < pause)
        return;
    w->told_s = now;
    w->told = true;
    if (w->whole && w->terminal)
        print_view(w, so_far, now);
    else
        print_line(w, so_far, now);
}

void watch_end(struct run_watch *w, const struct cluster_totals *totals)
{
    if (w->whole && w->terminal)
        print_view(w, totals, wall_clock_s());
    else if (w->whole)
        print_line(w, totals, wall_clock_s());
    else if (w->told && w->terminal)
        fputs("\r\033[K", stderr);
}
