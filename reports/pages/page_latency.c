/* SPDX-License-Identifier: MIT */
#include "reports/pages/page_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/pages/chart.h"

const char *const page_metric_titles[METRIC_COUNT] = {"Queue",
                                                      "Time to first token (TTFT)",
                                                      "Time per output token (TPOT)",
                                                      "Gap between tokens (ITL)",
                                                      "End to end (E2E)",
                                                      "E2E per output token"};

static const struct {
    const char *statistic;
    double slower;
} marked[] = {{"p50", 0.5}, {"p90", 0.1}, {"p99", 0.01}, {"p99.9", 0.001}};

/* A logarithmic share axis shows the tail: 1 − share, from all to the slowest ten thousandth. */
static int write_distribution(struct page *p, int metric, struct error *err)
{
    struct curve c;
    const char *name = metric_names[metric];
    if (curve_read_tail(&c, p->run, name, err)) {
        curve_release(&c);
        return -1;
    }
    if (c.count > 1) {
        double low = fmax(c.x[0], 1e-6), high = fmax(c.x[c.count - 1], low * 1.5);
        double limit = kept_run_limit(p->run, name, "p99");
        if (limit > 0 && limit > high && limit < 100 * high)
            high = limit * 1.1;
        struct chart chart = {.title = page_metric_titles[metric],
                              .x = {"seconds", low, high, true},
                              .y = {"share that is slower", 1e-4, 1, true},
                              .out = p->out};
        chart_begin(&chart);
        chart_line(&chart, metric % 6, c.x, c.y, c.count);
        for (size_t i = 0; i < sizeof marked / sizeof *marked; i++) {
            const struct metric_row *r = kept_run_find(p->run, name, "run", marked[i].statistic);
            if (r && isfinite(r->low))
                chart_interval(&chart, fmax(r->low, low), r->high, marked[i].slower);
        }
        if (limit > 0)
            chart_reference(&chart, limit, 1e-4, limit, 1);
        chart_reference(&chart, low, 0.01, high, 0.01);
        chart_end(&chart);
    }
    curve_release(&c);
    return 0;
}

int page_latencies(struct page *p, struct error *err)
{
    static const int shown[] = {METRIC_TTFT, METRIC_TPOT, METRIC_ITL, METRIC_E2E};
    static const char *const statistics[] = {"mean", "p50", "p90", "p95", "p99", "p99.9", "max"};
    FILE *out = p->out;
    html_heading(out, "latency", "Latency");
    fputs(
        "<p class=\"hint\">How many are slower than so long, after the warm-up was cut. The dashed upright line is "
        "the limit on p99, the level "
        "one the slowest hundredth: the curve should cross left of and below where they meet. Upright strokes next to "
        "the "
        "curve are the ends of 95 % intervals.</p><div "
        "class=\"charts\">\n",
        out);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (write_distribution(p, shown[i], err))
            return -1;
    fputs("</div>\n<details><summary>As a table, with 95 % intervals</summary><table><tr><th>latency</th>", out);
    for (int k = 0; k < 7; k++)
        fprintf(out, "<th>%s</th>", statistics[k]);
    fputs("</tr>\n", out);
    for (int m = 0; m < METRIC_COUNT; m++) {
        fprintf(out, "<tr><td>%s</td>", page_metric_titles[m]);
        for (int k = 0; k < 7; k++) {
            const struct metric_row *r = kept_run_find(p->run, metric_names[m], "run", statistics[k]);
            char v[32], low[32], high[32];
            html_seconds(v, sizeof v, r ? r->value : NAN);
            html_seconds(low, sizeof low, r ? r->low : NAN);
            html_seconds(high, sizeof high, r ? r->high : NAN);
            fprintf(out, r && isfinite(r->low) ? "<td>%s<small>%s … %s</small></td>" : "<td>%s</td>", v, low, high);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></details>\n", out);
    return 0;
}
