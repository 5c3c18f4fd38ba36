/* SPDX-License-Identifier: MIT */
#include "reports/page_compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/bands.h"
#include "reports/chart.h"
#include "reports/compare.h"
#include "reports/html.h"
#include "reports/kept_run.h"
#include "reports/page_parts.h"

struct comparison_page {
    struct kept_run runs[COMPARED_RUNS_MAX];
    struct compared rows[COMPARED_RUNS_MAX][COMPARED]; /* of each against the first */
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

/* What differs between two scenarios, path by path. */
static void write_changes(FILE *out, const cJSON *a, const cJSON *b, const char *path, size_t *written)
{
    const cJSON *member;
    if (cJSON_Compare(a, b, 1))
        return;
    if (cJSON_IsObject(a) && cJSON_IsObject(b)) {
        char below[300];
        cJSON_ArrayForEach(member, a)
        {
            snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", member->string);
            write_changes(out, member, cJSON_GetObjectItemCaseSensitive(b, member->string), below, written);
        }
        cJSON_ArrayForEach(member, b)
        {
            snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", member->string);
            if (!cJSON_GetObjectItemCaseSensitive(a, member->string))
                write_changes(out, NULL, member, below, written);
        }
        return;
    }
    char *from = a ? cJSON_PrintUnformatted(a) : NULL, *to = b ? cJSON_PrintUnformatted(b) : NULL;
    fputs(*written == 0 ? "" : "; ", out);
    ++*written;
    fputs("<code>", out);
    html_text(out, path);
    fputs("</code> ", out);
    html_text(out, from ? from : "(default)");
    fputs(" → ", out);
    html_text(out, to ? to : "(default)");
    free(from);
    free(to);
}

static void write_runs(const struct comparison_page *p)
{
    fputs("<table><tr><th>run</th><th>batching</th><th>model</th><th>device</th><th>seed</th><th>SLO</th></tr>\n",
          p->out);
    for (size_t i = 0; i < p->count; i++) {
        const struct kept_run *r = &p->runs[i];
        fprintf(p->out, "<tr><td><i style=\"color:var(--c%zu)\">■</i> %c: run %lld, ", i, letter(i), (long long)r->id);
        html_text(p->out, r->texts[RUN_NAME]);
        if (i > 0) {
            size_t written = 0;
            fputs("<small>", p->out);
            write_changes(p->out, p->runs[0].scenario, r->scenario, "", &written);
            fputs(written ? "</small>" : "the same scenario</small>", p->out);
        }
        static const enum run_text shown[] = {RUN_BATCHING, RUN_MODEL, RUN_DEVICE, RUN_SEED};
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
            fputs("</td><td>", p->out);
            html_text(p->out, r->texts[shown[k]]);
        }
        bool met = kept_number(r->texts[RUN_SLO_MET]) > 0, asked = cJSON_GetObjectItemCaseSensitive(r->scenario, "slo");
        fprintf(p->out, "</td><td class=\"%s\">%s</td></tr>\n", met ? "good" : "bad",
                !asked ? ""
                : met  ? "met"
                       : "not met");
    }
    fputs("</table>\n", p->out);
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
        if (better + worse == 0)
            fprintf(p->out, "<p class=\"big\">%c and A differ by no more than chance</p>\n", letter(i));
        else
            fprintf(p->out, "<p class=\"big\">%c is better than A in %zu of %zu, worse in %zu</p>\n", letter(i), better,
                    p->row_counts[i], worse);
    }
    fputs("<p>Of thirteen lines one in twenty is wrong by chance.</p></section>\n", p->out);
}

/* "+3.1 %", or by how many times where percent say little. */
static void change_text(double relative, char *out, size_t size)
{
    if (relative > 9)
        snprintf(out, size, "× %.3g", 1 + relative);
    else
        snprintf(out, size, "%+.1f %%", fabs(relative) < 5e-4 ? 0.0 : 100 * relative);
}

static void write_row(const struct comparison_page *p, const struct compared *c, size_t run)
{
    char a[32], b[32], change[32];
    double relative = c->relative.value, half = (c->relative.high - c->relative.low) / 2;
    int verdict = compare_verdict(c);
    value_text(c, c->a, a, sizeof a);
    value_text(c, c->b, b, sizeof b);
    change_text(relative, change, sizeof change);
    fprintf(p->out, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%s", c->title, a, b, isfinite(relative) ? change : "–");
    if (isfinite(half))
        fprintf(p->out, relative > 9 ? " ± %.2g" : " ± %.1f", relative > 9 ? half : 100 * half);
    fputs("</td>", p->out);
    if (verdict && relative > 9)
        fprintf(p->out, "<td class=\"%s words\">%c is better by far", verdict > 0 ? "good" : "bad",
                verdict > 0 ? letter(run) : 'A');
    else if (verdict)
        fprintf(p->out, "<td class=\"%s words\">%c is better by %.1f %%", verdict > 0 ? "good" : "bad",
                verdict > 0 ? letter(run) : 'A', 100 * fabs(relative));
    else
        fprintf(p->out, "<td class=\"words\">%s", isfinite(half) ? "no more than chance" : "no interval");
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
            status = compare_runs(store, runs[0], runs[i], p->rows[i], &p->row_counts[i], err);
    }
    if (status == 0)
        status = write_page(p, err);
    for (size_t i = 0; i < count; i++)
        kept_run_release(&p->runs[i]);
    free(p);
    return status;
}
