/* SPDX-License-Identifier: MIT */
#include "reports/pages/page_parts.h"

#include <math.h>
#include <string.h>

#include "reports/pages/chart.h"

enum { SERIES_MAX = 7, PLOT_POINTS = 4000, CHART_POINTS = 600, TABLE_POINTS = 48 };

static const struct {
    const char *name, *title;
    int colour;
} shown[SERIES_MAX] = {
    {"waiting", "requests waiting", 0},
    {"running", "requests running", 2},
    {"kv_used_blocks", "KV blocks used", 3},
    {"requests_per_s", "requests finished/s", 1},
    {"output_tokens_per_s", "output tokens/s", 4},
    {"busy", "share of time busy", 5},
    {"replicas_up", "replicas up", 0},
};

/* Keeps the largest value of each stretch, so that no peak is lost. */
static void thin(struct curve *c, size_t most)
{
    size_t step = c->count / most + 1, kept = 0;
    for (size_t i = 0; i < c->count; i += step) {
        double peak = 0;
        for (size_t k = i; k < i + step && k < c->count; k++)
            peak = fmax(peak, c->y[k]);
        c->x[kept] = c->x[i];
        c->y[kept++] = peak;
    }
    c->count = kept;
}

static double largest(const struct curve *c)
{
    double most = 0;
    for (size_t i = 0; i < c->count; i++)
        most = fmax(most, c->y[i]);
    return most;
}

static void write_numbers(FILE *out, const double *values, size_t count)
{
    fputc('[', out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, isfinite(values[i]) ? "%s%.6g" : "%snull", i ? "," : "", values[i]);
    fputc(']', out);
}

/* For the script, which draws series that zoom in the place of the still ones. */
static void write_source(FILE *out, const struct curve *all)
{
    bool first = true;
    for (int i = 0; i < SERIES_MAX; i++) {
        if (all[i].count == 0)
            continue;
        if (first) {
            fputs("<script class=\"series\" type=\"application/json\">{\"x\":", out);
            write_numbers(out, all[i].x, all[i].count);
            fputs(",\"series\":[", out);
        }
        fprintf(out, "%s{\"title\":\"%s\",\"colour\":%d,\"y\":", first ? "" : ",", shown[i].title, shown[i].colour);
        write_numbers(out, all[i].y, all[i].count);
        fputc('}', out);
        first = false;
    }
    fputs("]}</script>\n", out);
}

static void draw(FILE *out, const struct curve *c, int series)
{
    double most = largest(c);
    struct chart chart = {.title = shown[series].title,
                          .x = {"simulated seconds", c->x[0], c->x[c->count - 1], false},
                          .y = {shown[series].title, 0, most > 0 ? most * 1.05 : 1, false},
                          .out = out};
    chart_begin(&chart);
    chart_line(&chart, shown[series].colour, c->x, c->y, c->count);
    chart_end(&chart);
}

static void write_table(FILE *out, struct curve *all)
{
    size_t rows = 0;
    fputs("<details><summary>As a table: the largest value of each stretch</summary><table><tr><th>from s</th>", out);
    for (int i = 0; i < SERIES_MAX; i++) {
        if (all[i].count == 0)
            continue;
        thin(&all[i], TABLE_POINTS);
        rows = all[i].count > rows ? all[i].count : rows;
        fprintf(out, "<th>%s</th>", shown[i].title);
    }
    fputs("</tr>\n", out);
    for (size_t r = 0; r < rows; r++) {
        bool first = true;
        for (int i = 0; i < SERIES_MAX; i++) {
            if (all[i].count == 0)
                continue;
            if (first)
                fprintf(out, r < all[i].count ? "<tr><td>%.6g</td>" : "<tr><td>–</td>", all[i].x[r % all[i].count]);
            fprintf(out, r < all[i].count ? "<td>%.5g</td>" : "<td>–</td>", all[i].y[r % all[i].count]);
            first = false;
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></details>\n", out);
}

static void write_all(FILE *out, struct curve *all)
{
    fputs("<p class=\"hint\">Drag over a stretch to look closer, double click for all of it. With the keyboard: plus, "
          "minus, arrows, 0. Of more than 4 000 points the largest of each stretch is drawn.</p>\n<div>",
          out);
    html_series_library(out);
    write_source(out, all);
    fputs("<div class=\"charts\">\n", out);
    for (int i = 0; i < SERIES_MAX; i++)
        if (all[i].count) {
            thin(&all[i], CHART_POINTS);
            draw(out, &all[i], i);
        }
    fputs("</div></div>\n", out);
    write_table(out, all);
}

int page_series(struct page *p, struct error *err)
{
    struct curve all[SERIES_MAX] = {{0}};
    int status = 0;
    bool any = false;
    for (int i = 0; i < SERIES_MAX && status == 0; i++) {
        status = curve_read(&all[i], p->run->store, err,
                            "SELECT at_s, value FROM timeseries WHERE run_id = ? AND name = ? ORDER BY at_s", "is",
                            p->run->id, shown[i].name);
        thin(&all[i], PLOT_POINTS);
        all[i].count = all[i].count > 2 ? all[i].count : 0;
        any = any || all[i].count;
    }
    if (status == 0) {
        html_heading(p->out, "series", "Over time");
        if (any)
            write_all(p->out, all);
        else
            fputs("<p class=\"hint\">No time series was kept; <code>output.timeseries_s</code> in the scenario asks "
                  "for one.</p>\n",
                  p->out);
    }
    for (int i = 0; i < SERIES_MAX; i++)
        curve_release(&all[i]);
    return status;
}
