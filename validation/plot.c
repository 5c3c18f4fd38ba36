/* SPDX-License-Identifier: MIT */
#include "validation/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "reports/pages/chart.h"
#include "reports/pages/html.h"
#include "validation/engine_errors.h"

enum { CURVE_POINTS = 400, ENGINES_MAX = 6 };

static const char *const metric_titles[MEASURED_METRICS] = {"TTFT", "TPOT", "E2E"};

static void draw_distribution(const struct chart *c, int series, const double *sorted, size_t count)
{
    double x[CURVE_POINTS], y[CURVE_POINTS];
    size_t points = count < CURVE_POINTS ? count : CURVE_POINTS;
    for (size_t i = 0; i < points; i++) {
        size_t at = points > 1 ? i * (count - 1) / (points - 1) : 0;
        x[i] = sorted[at] * 1e3;
        y[i] = ((double)at + 0.5) / (double)count;
    }
    chart_line(c, series, x, y, points);
}

static void draw_metric(FILE *out, int metric, const struct latencies *measured, const struct latencies *simulated)
{
    const double *m = measured->at[metric], *s = simulated->at[metric];
    size_t mn = measured->count[metric], sn = simulated->count[metric];
    if (mn == 0 || sn == 0)
        return;
    double low = fmax(fmin(m[0], s[0]) * 1e3, 1e-3), high = fmax(m[mn - 1], s[sn - 1]) * 1e3;
    struct chart c = {.title = metric_titles[metric],
                      .x = {"milliseconds", low, fmax(high, low * 1.01), high > 20 * low},
                      .y = {"share of requests", 0, 1, false},
                      .out = out};
    chart_begin(&c);
    draw_distribution(&c, 0, m, mn);
    draw_distribution(&c, 1, s, sn);
    chart_end(&c);
}

static void write_statistics(FILE *out, const struct comparison *c)
{
    fputs("<table><tr><th>statistic</th><th>measured ms</th><th>simulated ms</th><th>error</th></tr>\n", out);
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            fprintf(out, "<tr><td>%s %s</td><td>%.2f</td><td>%.2f</td><td>%+.2f %%</td></tr>\n", metric_titles[m],
                    measured_statistics[i], c->measured[m][i] * 1e3, c->simulated[m][i] * 1e3, 100 * c->error[m][i]);
    fputs("</table>\n", out);
}

static void write_run(FILE *out, const struct plotted *run)
{
    static const char *const names[] = {"measured", "simulated"};
    if (run->name) {
        fputs("<h2>", out);
        html_text(out, run->name);
        fputs("</h2>\n", out);
    }
    fprintf(out, "<p class=\"verdict\">Mean absolute error <b>%.2f %%</b> over %d statistics, worst %.2f %%.</p>\n",
            100 * run->comparison->mean_absolute, MEASURED_METRICS * MEASURED_STATISTICS,
            100 * run->comparison->worst_absolute);
    fputs("<div class=\"charts\">\n", out);
    for (int m = 0; m < MEASURED_METRICS; m++)
        draw_metric(out, m, run->measured, run->simulated);
    fputs("</div>\n", out);
    html_legend(out, names, 2);
    write_statistics(out, run->comparison);
}

int plot_server(const char *file, const char *title, const struct latencies *measured,
                const struct latencies *simulated, const struct comparison *comparison, struct error *err)
{
    const struct plotted run = {NULL, measured, simulated, comparison};
    return plot_servers(file, title, &run, 1, err);
}

int plot_servers(const char *file, const char *title, const struct plotted *runs, size_t count, struct error *err)
{
    struct output page;
    if (output_open(&page, file, err))
        return -1;
    html_begin(page.out, title);
    for (size_t i = 0; i < count; i++)
        write_run(page.out, &runs[i]);
    html_end(page.out);
    return output_close(&page, false, err);
}

static void write_priced(FILE *out, const struct engine_validation *v)
{
    fputs("<h2>Served iterations, each priced by the profile</h2>\n<table><tr><th>policy</th><th>kind</th><th>n</th>"
          "<th>measured ms</th><th>priced ms</th><th>error of the sum</th><th>mean error</th><th>spread</th></tr>\n",
          out);
    for (size_t i = 0; i < v->policy_count; i++)
        for (int kind = 0; kind < PRICED_KINDS; kind++) {
            struct priced all = {0};
            for (size_t k = 0; k < v->load_count; k++)
                engine_priced_add(&all, engine_findings(v, i, k), v->repeats, (enum priced_kind)kind);
            struct priced_errors p = engine_priced_sum(&all);
            if (p.count > 0)
                fprintf(out,
                        "<tr><td>%s</td><td>%s</td><td>%.0f</td><td>%.3f</td><td>%.3f</td><td>%+.2f %%</td><td>%+.2f "
                        "%%</td><td>%.2f %%</td></tr>\n",
                        v->policies[i]->name, priced_kind_names[kind], p.count, 1e3 * p.taken_s, 1e3 * p.said_s,
                        100 * p.error, 100 * p.mean, 100 * p.spread);
        }
    fputs("</table>\n", out);
}

/* The reference steps over their standards, second by second. */
static void write_speeds(FILE *out, const struct reference *r)
{
    static const char *const rows[REFERENCE_KINDS] = {"few", "many"};
    fputs("<h2>Reference steps, by the second</h2>\n<table><tr><th>second</th><th>rows</th><th>times it "
          "ran</th><th>ms</th>"
          "<th>on the wall clock</th><th>over its standard</th></tr>\n",
          out);
    for (int k = 0; k < REFERENCE_KINDS; k++)
        for (size_t i = 0; i < r->steps[k].second_count; i++) {
            const struct reference_second *s = &r->steps[k].seconds[i];
            fprintf(out, "<tr><td>%u</td><td>%s</td><td>%u</td><td>%.3f</td><td>%.3f</td><td>%.3f</td></tr>\n", s->at_s,
                    rows[k], s->count, s->ns * 1e-6, s->wall_ns * 1e-6, s->ns / r->steps[k].standard_ns);
        }
    fputs("</table>\n", out);
}

int plot_engine(const char *file, const struct engine_validation *v, struct error *err)
{
    struct plotted runs[ENGINE_POLICIES * ENGINE_LOADS];
    char names[ENGINE_POLICIES * ENGINE_LOADS][80];
    size_t count = 0;
    for (size_t i = 0; i < v->policy_count; i++)
        for (size_t k = 0; k < v->load_count; k++, count++) {
            char load[ENGINE_LOAD_NAME];
            snprintf(names[count], sizeof names[count], "%s, %s", v->policies[i]->name,
                     engine_load_name(v->loads[k], load));
            runs[count] = (struct plotted){names[count], &v->measured[i][k], &v->simulated[i][k],
                                           &engine_findings(v, i, k)[v->repeats - 1].latencies};
        }
    struct output page;
    if (output_open(&page, file, err))
        return -1;
    html_begin(page.out, "The engine, served and simulated");
    for (size_t i = 0; i < count; i++)
        write_run(page.out, &runs[i]);
    write_priced(page.out, v);
    write_speeds(page.out, &v->reference);
    html_end(page.out);
    return output_close(&page, false, err);
}

/* Engines in order of appearance among the simulated points. */
static size_t find_engines(const struct points *points, const char *engines[ENGINES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < points->count; i++) {
        const struct point *p = &points->items[i];
        bool known = p->simulated_tpot_ms <= 0;
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(engines[k], p->backend) == 0;
        if (!known && count < ENGINES_MAX)
            engines[count++] = p->backend;
    }
    return count;
}

static double measured_of(const struct point *p, bool ttft)
{
    return ttft ? p->ttft_ms : p->tpot_ms;
}

static double simulated_of(const struct point *p, bool ttft)
{
    return ttft ? p->simulated_ttft_ms : p->simulated_tpot_ms;
}

/* Points on the dashed line are right; the dotted ones next to it are a fifth off. */
static void draw_points(FILE *out, const struct points *points, const char *const *engines, size_t engine_count,
                        bool ttft)
{
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < points->count; i++) {
        const struct point *p = &points->items[i];
        if (p->simulated_tpot_ms <= 0)
            continue;
        low = fmin(low, fmin(measured_of(p, ttft), simulated_of(p, ttft)));
        high = fmax(high, fmax(measured_of(p, ttft), simulated_of(p, ttft)));
    }
    struct chart c = {.title = ttft ? "TTFT, mean" : "TPOT, mean",
                      .x = {"measured, ms", low / 1.1, high * 1.1, true},
                      .y = {"simulated, ms", low / 1.1, high * 1.1, true},
                      .out = out};
    chart_begin(&c);
    chart_reference(&c, c.x.low, c.y.low, c.x.high, c.y.high);
    for (size_t e = 0; e < engine_count; e++)
        for (size_t i = 0; i < points->count; i++) {
            const struct point *p = &points->items[i];
            double x = measured_of(p, ttft), y = simulated_of(p, ttft);
            if (p->simulated_tpot_ms > 0 && strcmp(p->backend, engines[e]) == 0)
                chart_points(&c, (int)e, &x, &y, 1);
        }
    chart_end(&c);
}

static void write_points(FILE *out, const struct points *points)
{
    fputs("<table><tr><th>point</th><th>TPOT measured ms</th><th>simulated</th><th>error</th><th>TTFT measured ms</th>"
          "<th>simulated</th><th>error</th></tr>\n",
          out);
    for (size_t i = 0; i < points->count; i++) {
        const struct point *p = &points->items[i];
        if (p->simulated_tpot_ms <= 0)
            continue;
        fputs("<tr><td>", out);
        html_text(out, p->id);
        fprintf(out,
                "</td><td>%.2f</td><td>%.2f</td><td>%+.1f %%</td><td>%.0f</td><td>%.0f</td><td>%+.1f %%</td></tr>\n",
                p->tpot_ms, p->simulated_tpot_ms, 100 * (p->simulated_tpot_ms / p->tpot_ms - 1), p->ttft_ms,
                p->simulated_ttft_ms, 100 * (p->simulated_ttft_ms / p->ttft_ms - 1));
    }
    fputs("</table>\n", out);
}

int plot_points(const char *file, const char *title, const struct points *points, struct error *err)
{
    const char *engines[ENGINES_MAX];
    struct point_errors all;
    struct output page;
    const struct point_choice every = {0};
    if (points_compare(points, &every, &all, err) || output_open(&page, file, err))
        return -1;
    FILE *out = page.out;
    size_t engine_count = find_engines(points, engines);
    html_begin(out, title);
    fprintf(
        out,
        "<p class=\"verdict\">%zu operating points. TPOT: median error <b>%.1f %%</b>, 90th percentile %.1f %%, rank "
        "correlation %.3f. TTFT: median %.1f %%, rank correlation %.3f.</p>\n<div class=\"charts\">\n",
        all.count, 100 * all.tpot.median, 100 * all.tpot.p90, all.tpot.rank, 100 * all.ttft.median, all.ttft.rank);
    if (all.count > 0) {
        draw_points(out, points, engines, engine_count, false);
        draw_points(out, points, engines, engine_count, true);
    }
    fputs("</div>\n", out);
    html_legend(out, engines, engine_count);
    write_points(out, points);
    html_end(out);
    return output_close(&page, false, err);
}
