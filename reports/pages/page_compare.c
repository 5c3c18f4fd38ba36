/* SPDX-License-Identifier: MIT */
#include "reports/pages/page_compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/pages/chart.h"
#include "reports/pages/html.h"
#include "reports/pages/page_parts.h"
#include "reports/stats/bands.h"
#include "reports/store/compare.h"
#include "reports/store/kept_run.h"

struct comparison_page {
    struct kept_run runs[COMPARED_RUNS_MAX];
    struct compared rows[COMPARED_RUNS_MAX][COMPARED]; /* of each against the first */
    struct comparability conditions[COMPARED_RUNS_MAX];
    size_t row_counts[COMPARED_RUNS_MAX], count;
    FILE *out;
};

static char letter(size_t run)
{
    return (char)('A' + run);
}

static void value_text(const struct compared *c, double v, char *out, size_t size)
{
    if (compared_is_time(c))
        html_seconds(out, size, v);
    else
        snprintf(out, size, "%.5g", v);
}

struct changes {
    FILE *out;
    size_t written;
};

static void write_change(void *state, const char *path, const char *from, const char *to)
{
    struct changes *c = state;
    fputs(c->written++ == 0 ? "" : "; ", c->out);
    fputs("<code>", c->out);
    html_text(c->out, path);
    fputs("</code> ", c->out);
    html_text(c->out, from);
    fputs(" → ", c->out);
    html_text(c->out, to);
}

static void write_runs(const struct comparison_page *p)
{
    fputs("<table><tr><th>run</th><th>batching</th><th>model</th><th>device</th><th>seed</th><th>SLO</th></tr>\n",
          p->out);
    for (size_t i = 0; i < p->count; i++) {
        const struct kept_run *r = &p->runs[i];
        fprintf(p->out, "<tr><td><i style=\"color:var(--c%zu)\">■</i> %c: %srun %lld, ", i, letter(i),
                kept_run_overloaded(r) ? "<b>overloaded</b> " : "", (long long)r->id);
        html_text(p->out, r->texts[RUN_NAME]);
        if (i > 0) {
            struct changes changes = {.out = p->out};
            fputs("<small>", p->out);
            compare_json(p->runs[0].scenario, r->scenario, "", write_change, &changes);
            fputs(changes.written ? "</small>" : "the same scenario</small>", p->out);
        }
        static const enum run_text shown[] = {RUN_BATCHING, RUN_MODEL, RUN_DEVICE, RUN_SEED};
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
            fputs("</td><td>", p->out);
            html_text(p->out, r->texts[shown[k]]);
        }
        bool met = kept_number(r->texts[RUN_SLO_MET]) > 0, overloaded = kept_run_overloaded(r);
        fprintf(p->out, "</td><td class=\"%s\">%s</td></tr>\n", met && !overloaded ? "good" : "bad",
                overloaded || r->texts[RUN_SLO_MET] ? kept_run_verdict(r) : "");
    }
    fputs("</table>\n", p->out);
}

/* What was asked of the two where it was not the same, and whether one was overloaded. */
static void write_conditions(const struct comparison_page *p, size_t run)
{
    const struct comparability *c = &p->conditions[run];
    if (*c->workload) {
        fputs("<p>Their workloads differ, so neither is better: ", p->out);
        html_text(p->out, c->workload);
        fputs(".</p>\n", p->out);
    }
    if (*c->seeds) {
        fputs("<p>Their seeds differ, ", p->out);
        html_text(p->out, c->seeds);
        fputs(": requests are alike, not the same.</p>\n", p->out);
    }
    for (int i = 0; i < 2; i++) {
        if (c->overloaded[i])
            fprintf(p->out, "<p><b>%c is overloaded</b>: its latencies say how long the run was.</p>\n",
                    letter(i ? run : 0));
        if (c->unserved[i] > 0)
            fprintf(p->out, "<p>%.3g %% of the requests of %c were not served.</p>\n", 100 * c->unserved[i],
                    letter(i ? run : 0));
    }
}

/* How many of the rows one run is better in, for the first line. */
static void write_verdict(const struct comparison_page *p)
{
    fputs("<section class=\"verdict\" aria-label=\"verdict\">\n", p->out);
    for (size_t i = 1; i < p->count; i++) {
        size_t better = 0, worse = 0;
        for (size_t k = 0; k < p->row_counts[i]; k++) {
            int verdict = compare_verdict(&p->rows[i][k]);
            better += verdict > 0;
            worse += verdict < 0;
        }
        if (*p->conditions[i].workload)
            fprintf(p->out, "<p class=\"big\">%c and A had different workloads</p>\n", letter(i));
        else if (better + worse == 0)
            fprintf(p->out, "<p class=\"big\">%c and A differ by no more than chance</p>\n", letter(i));
        else
            fprintf(p->out, "<p class=\"big\">%c is better than A in %zu of %zu, worse in %zu</p>\n", letter(i), better,
                    p->row_counts[i], worse);
        write_conditions(p, i);
    }
    fputs("<p>Of thirteen lines one in twenty is wrong by chance.</p></section>\n", p->out);
}

static void write_row(const struct comparison_page *p, const struct compared *c, size_t run)
{
    char a[32], b[32], change[32];
    double half = (c->relative.high - c->relative.low) / 2;
    int verdict = compare_verdict(c);
    value_text(c, c->a, a, sizeof a);
    value_text(c, c->b, b, sizeof b);
    compared_change(c, change, sizeof change);
    fprintf(p->out, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%s", c->title, a, b, change);
    if (isfinite(half) && !compared_is_far(c))
        fprintf(p->out, " ± %.1f", 100 * half);
    fputs("</td>", p->out);
    if (verdict)
        fprintf(p->out, "<td class=\"%s words\">%c is better", verdict > 0 ? "good" : "bad",
                verdict > 0 ? letter(run) : 'A');
    else
        fprintf(p->out, "<td class=\"words\">%s",
                c->not_compared  ? c->not_compared
                : isfinite(half) ? "no more than chance"
                                 : "no interval");
    if (verdict && !compared_is_far(c))
        fprintf(p->out, " by %.1f %%", 100 * fabs(c->relative.value));
    if (c->pairs)
        fprintf(p->out, "<small>request by request, %zu of them</small>", c->pairs);
    fputs("</td></tr>\n", p->out);
}

static void write_table(const struct comparison_page *p, size_t run)
{
    fprintf(p->out,
            "<table><caption>%c against A</caption><tr><th></th><th>A</th><th>%c</th><th>change</th><th>what "
            "that says</th></tr>\n",
            letter(run), letter(run));
    for (size_t k = 0; k < p->row_counts[run]; k++)
        write_row(p, &p->rows[run][k], run);
    fputs("</table>\n", p->out);
}

static void draw_tails(const struct comparison_page *p, int metric, const struct curve *curves)
{
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < p->count; i++)
        if (curves[i].count > 1) {
            low = fmin(low, fmax(curves[i].x[0], 1e-6));
            high = fmax(high, curves[i].x[curves[i].count - 1]);
        }
    if (!(high > low))
        return;
    double limit = kept_run_limit(&p->runs[0], metric_names[metric], "p99");
    struct chart c = {.title = page_metric_titles[metric],
                      .x = {"seconds", low, high, true},
                      .y = {"share that is slower", 1e-4, 1, true},
                      .out = p->out};
    chart_begin(&c);
    for (size_t i = 0; i < p->count; i++)
        chart_line(&c, (int)i, curves[i].x, curves[i].y, curves[i].count);
    if (limit > low && limit < high)
        chart_reference(&c, limit, 1e-4, limit, 1);
    chart_reference(&c, low, 0.01, high, 0.01);
    chart_end(&c);
}

static int write_tails(const struct comparison_page *p, struct error *err)
{
    static const int shown[] = {METRIC_TTFT, METRIC_TPOT, METRIC_ITL, METRIC_E2E};
    html_heading(p->out, "latency", "Latency");
    fputs("<p class=\"hint\">How many are slower than so long.</p><div class=\"charts\">\n", p->out);
    int status = 0;
    for (size_t k = 0; k < sizeof shown / sizeof *shown && status == 0; k++) {
        struct curve curves[COMPARED_RUNS_MAX] = {{0}};
        for (size_t i = 0; i < p->count && status == 0; i++)
            status = curve_read_tail(&curves[i], &p->runs[i], metric_names[shown[k]], err);
        if (status == 0)
            draw_tails(p, shown[k], curves);
        for (size_t i = 0; i < p->count; i++)
            curve_release(&curves[i]);
    }
    fputs("</div>\n", p->out);
    return status;
}

/* Mean time parts of each run's slowest hundredth, on one scale. */
static void write_parts(const struct comparison_page *p, const char *metric, const char *title)
{
    double parts[COMPARED_RUNS_MAX][PART_COUNT], sums[COMPARED_RUNS_MAX], longest = 0;
    for (size_t i = 0; i < p->count; i++) {
        sums[i] = 0;
        for (int k = 0; k < PART_COUNT; k++) {
            char name[48];
            snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[k]);
            double v = kept_run_value(&p->runs[i], name, "band:p99-p100", "mean");
            parts[i][k] = isfinite(v) ? v : 0;
            sums[i] += parts[i][k];
        }
        longest = fmax(longest, sums[i]);
    }
    if (longest == 0)
        return;
    fprintf(p->out, "<h3>%s</h3>\n<div class=\"bars\">\n", title);
    for (size_t i = 0; i < p->count; i++) {
        char mean[32];
        html_seconds(mean, sizeof mean, sums[i]);
        fprintf(p->out, "<div class=\"bar\"><span>%c<small>mean %s</small></span><div role=\"img\" aria-label=\"",
                letter(i), mean);
        for (int k = 0; k < PART_COUNT; k++)
            if (parts[i][k] > 0)
                fprintf(p->out, "%s %.3g s; ", page_part_words[k], parts[i][k]);
        fputs("\">", p->out);
        for (int k = 0; k < PART_COUNT; k++)
            if (parts[i][k] > 0)
                fprintf(p->out, "<i class=\"p%d\" style=\"width:%.3f%%\" title=\"%s: %.3g s\"></i>", k,
                        100 * parts[i][k] / longest, page_part_words[k], parts[i][k]);
        fputs("</div></div>\n", p->out);
    }
    fputs("</div>\n", p->out);
}

static int write_page(struct comparison_page *p, struct error *err)
{
    char title[300];
    snprintf(title, sizeof title, "%.120s%s%.120s", p->runs[0].texts[RUN_NAME], p->count > 2 ? ", " : " and ",
             p->count > 2 ? "and others" : p->runs[1].texts[RUN_NAME]);
    html_begin(p->out, title);
    write_verdict(p);
    write_runs(p);
    for (size_t i = 1; i < p->count; i++)
        write_table(p, i);
    if (write_tails(p, err))
        return -1;
    html_heading(p->out, "time", "Where the time of the slowest hundredth went");
    write_parts(p, "ttft_s", "To the first token");
    write_parts(p, "e2e_s", "To the last token");
    page_part_legend(p->out);
    html_end(p->out);
    return 0;
}

int page_write_comparison(struct store *store, const int64_t *runs, size_t count, FILE *out, struct error *err)
{
    struct comparison_page *p = calloc(1, sizeof *p);
    if (!p)
        return error_no_memory(err);
    p->count = count;
    p->out = out;
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        status = kept_run_read(&p->runs[i], store, runs[i], err);
        if (status == 0 && i > 0)
            status = compare_conditions(store, runs[0], runs[i], &p->conditions[i], err) ||
                             compare_runs(store, runs[0], runs[i], p->rows[i], &p->row_counts[i], err)
                         ? -1
                         : 0;
    }
    if (status == 0)
        status = write_page(p, err);
    for (size_t i = 0; i < count; i++)
        kept_run_release(&p->runs[i]);
    free(p);
    return status;
}
