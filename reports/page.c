/* SPDX-License-Identifier: MIT */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "reports/bands.h"
#include "reports/chart.h"
#include "reports/metrics.h"

enum { POINTS_MAX = 600 };

struct row {
    char *name, *scope, *statistic, *unit;
    double value, low, high; /* NAN where there is none */
};

struct page {
    struct store *store;
    int64_t run;
    FILE *out;
    struct row *rows; /* [count] of the metric table */
    size_t count, capacity;
    char *texts[10]; /* of the run's row */
    cJSON *scenario;
};

enum {
    RUN_NAME,
    RUN_SEED,
    RUN_VERSION,
    RUN_STARTED,
    RUN_MODEL,
    RUN_DEVICE,
    RUN_SOURCE,
    RUN_SLO_MET,
    RUN_STATUS,
    RUN_ID
};

static double number(const char *text)
{
    return text ? strtod(text, NULL) : NAN;
}

static int take_metric(void *state, int columns, char **values, struct error *err)
{
    struct page *p = state;
    (void)columns;
    struct row *grown = array_grow(p->rows, &p->capacity, p->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    p->rows = grown;
    struct row *r = &grown[p->count++];
    *r = (struct row){.name = strdup(values[0]),
                      .scope = strdup(values[1]),
                      .statistic = strdup(values[2]),
                      .unit = strdup(values[6]),
                      .value = number(values[3]),
                      .low = number(values[4]),
                      .high = number(values[5])};
    return r->name && r->scope && r->statistic && r->unit ? 0 : error_no_memory(err);
}

static const struct row *find(const struct page *p, const char *name, const char *scope, const char *statistic)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->rows[i].name, name) == 0 && strcmp(p->rows[i].scope, scope) == 0 &&
            strcmp(p->rows[i].statistic, statistic) == 0)
            return &p->rows[i];
    return NULL;
}

static double value(const struct page *p, const char *name, const char *scope, const char *statistic)
{
    const struct row *r = find(p, name, scope, statistic);
    return r ? r->value : NAN;
}

static double single(const struct page *p, const char *name)
{
    return value(p, name, "run", "value");
}

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct page *p = state;
    for (int i = 0; i < columns - 1; i++)
        if (values[i] && !(p->texts[i] = strdup(values[i])))
            return error_no_memory(err);
    p->scenario = values[columns - 1] ? cJSON_Parse(values[columns - 1]) : NULL;
    return 0;
}

/* Seconds as people read them. */
static void seconds(char *out, size_t size, double s)
{
    if (!isfinite(s))
        snprintf(out, size, "–");
    else if (s < 1e-3)
        snprintf(out, size, "%.3g µs", s * 1e6);
    else if (s < 1)
        snprintf(out, size, "%.3g ms", s * 1e3);
    else
        snprintf(out, size, "%.3g s", s);
}

static void heading(FILE *out, const char *id, const char *title)
{
    fprintf(out, "<h2 id=\"%s\">", id);
    html_text(out, title);
    fputs("</h2>\n", out);
}

static const char *const metric_titles[METRIC_COUNT] = {"Queue",
                                                        "Time to first token (TTFT)",
                                                        "Time per output token (TPOT)",
                                                        "Gap between tokens (ITL)",
                                                        "End to end (E2E)",
                                                        "E2E per output token"};

/* A limit of the scenario's SLO on a metric's percentile; 0 where there is none. */
static double limit_of(const struct page *p, const char *metric, const char *statistic)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(p->scenario, "slo");
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(slo, metric);
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(limits, statistic);
    return cJSON_IsNumber(limit) ? limit->valuedouble : 0;
}

/* Which part dominates a band, and how much of it. */
static int largest_part(const struct page *p, const char *metric, const char *band, double *share)
{
    double all = 0, most = 0;
    int which = 0;
    for (int i = 0; i < PART_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
        double part = value(p, name, band, "mean");
        all += isfinite(part) ? part : 0;
        if (part > most) {
            most = part;
            which = i;
        }
    }
    *share = all > 0 ? most / all : 0;
    return which;
}

static const char *const part_words[PART_COUNT] = {"waiting for admission",
                                                   "its own prefill",
                                                   "stalls of its prefill",
                                                   "its own decoding",
                                                   "other requests' prefill",
                                                   "stalls of its decoding",
                                                   "preemption and computing again",
                                                   "KV transfer",
                                                   "routing"};

/* Runs that were kept before there were bands say nothing here. */
static void write_slowest_hundredth(struct page *p)
{
    double first, last;
    int first_part = largest_part(p, "ttft_s", "band:p99-p100", &first),
        last_part = largest_part(p, "e2e_s", "band:p99-p100", &last);
    char ttft[32], e2e[32];
    if (first == 0 || last == 0)
        return;
    seconds(ttft, sizeof ttft, value(p, "ttft_s", "run", "p99"));
    seconds(e2e, sizeof e2e, value(p, "e2e_s", "run", "p99"));
    fprintf(p->out,
            "<p>Slowest hundredth by first token (p99 TTFT %s): <b>%.0f %% %s</b>. By the last token (p99 E2E %s): "
            "<b>%.0f %% %s</b>.</p>\n",
            ttft, 100 * first, part_words[first_part], e2e, 100 * last, part_words[last_part]);
}

/* The answer first: kept or not, by how much, what breaks first, why. */
static void write_verdict(struct page *p)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(p->scenario, "slo");
    bool met = number(p->texts[RUN_SLO_MET]) > 0, asked = slo != NULL, overloaded = single(p, "overloaded") > 0;
    double margin = single(p, "slo_margin");
    FILE *out = p->out;
    fprintf(out, "<section class=\"verdict %s\" aria-label=\"verdict\"><p class=\"big\">%s</p>\n",
            overloaded ? "bad"
            : !asked   ? ""
            : met      ? "good"
                       : "bad",
            overloaded ? "Overloaded"
            : !asked   ? "No SLO was asked for"
            : met      ? "SLO met"
                       : "SLO not met");
    if (strcmp(p->texts[RUN_STATUS], "done") != 0) {
        fputs("<p>This run was ", out);
        html_text(out, p->texts[RUN_STATUS]);
        fputs(": it holds what had finished by then.</p>\n", out);
    }
    if (overloaded)
        fputs("<p>The queue grew as long as requests came. Latencies below say how long the run was, not how good the "
              "service is.</p>\n",
              out);
    if (asked && isfinite(margin) && margin >= 0)
        fprintf(out,
                "<p>The tightest promise is kept with <b>%.0f %%</b> of it used. <code>tandem plan</code> on this "
                "scenario says at what rate it would break.</p>\n",
                100 * exp(-margin));
    else if (asked && isfinite(margin))
        fprintf(out, "<p>The promise that is broken most is exceeded <b>%.2f times</b>.</p>\n", exp(-margin));
    write_slowest_hundredth(p);
    double waste = single(p, "padding_waste"), beyond = single(p, "extrapolated_share"),
           estimated = single(p, "estimated_share");
    fprintf(
        out,
        "<p>Padding wasted <b>%.1f %%</b> of the tokens computed. Of busy time <b>%.1f %%</b> was costed beyond what "
        "was measured, and %.1f %% by formula alone.</p></section>\n",
        100 * (isfinite(waste) ? waste : 0), 100 * (isfinite(beyond) ? beyond : 0),
        100 * (isfinite(estimated) ? estimated : 0));
}

static void write_limit(struct page *p, int metric, const char *statistic, double limit, const char *scope,
                        const char *whose)
{
    const struct row *r = find(p, metric_names[metric], scope, statistic);
    double got = r ? r->value : NAN;
    char found[32], low[32], high[32], most[32];
    seconds(found, sizeof found, got);
    seconds(low, sizeof low, r ? r->low : NAN);
    seconds(high, sizeof high, r ? r->high : NAN);
    seconds(most, sizeof most, limit);
    fprintf(p->out, "<tr><td>%s, %s", metric_titles[metric], statistic);
    html_text(p->out, whose);
    fprintf(p->out, "</td><td>%s</td><td class=\"%s\">%s</td><td>%s … %s</td><td>", most, got > limit ? "bad" : "good",
            found, low, high);
    if (isfinite(got))
        fprintf(p->out,
                "<meter min=\"0\" max=\"1.5\" high=\"1\" low=\"0.8\" optimum=\"0\" value=\"%.3f\">%.0f %%</meter> %.0f "
                "%%",
                fmin(got / limit, 1.5), 100 * got / limit, 100 * got / limit);
    fputs("</td></tr>\n", p->out);
}

/* A share or a rate of which there must be so much. */
static void write_floor(struct page *p, const char *what, const char *whose, double asked, double got, bool share)
{
    const char *mark = got >= asked ? "good" : "bad";
    fprintf(p->out, "<tr><td>%s", what);
    html_text(p->out, whose);
    if (share)
        fprintf(p->out, "</td><td>at least %g %%</td><td class=\"%s\">%.2f %%</td>", 100 * asked, mark, 100 * got);
    else
        fprintf(p->out, "</td><td>at least %g</td><td class=\"%s\">%.4g</td>", asked, mark, got);
    fputs("<td></td><td></td></tr>\n", p->out);
}

/* What is promised to all requests, or to one class. */
static void write_scope(struct page *p, const cJSON *promises, const char *scope, const char *whose)
{
    static const char *const statistics[] = {"mean", "p50", "p90", "p95", "p99", "p99.9", "max"};
    for (int m = 1; m < METRIC_COUNT; m++)
        for (int k = 0; k < 7; k++) {
            const cJSON *limits = cJSON_GetObjectItemCaseSensitive(promises, metric_names[m]);
            const cJSON *limit = cJSON_GetObjectItemCaseSensitive(limits, statistics[k]);
            if (cJSON_IsNumber(limit))
                write_limit(p, m, statistics[k], limit->valuedouble, scope, whose);
        }
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(promises, "attainment");
    if (cJSON_IsNumber(asked))
        write_floor(p, "share of requests within every limit", whose, asked->valuedouble,
                    value(p, "slo_attainment", scope, "value"), true);
}

static void write_limits(struct page *p)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(p->scenario, "slo"), *class;
    if (!slo)
        return;
    fputs("<table><caption>What was promised</caption><tr><th>promise</th><th>limit</th><th>found</th><th>95 % "
          "interval</th><th>share of the limit</th></tr>\n",
          p->out);
    write_scope(p, slo, "run", "");
    cJSON_ArrayForEach(class, cJSON_GetObjectItemCaseSensitive(slo, "classes"))
    {
        char scope[64], whose[64];
        snprintf(scope, sizeof scope, "class:%s", class->string);
        snprintf(whose, sizeof whose, " (class %s)", class->string);
        write_scope(p, class, scope, whose);
    }
    const cJSON *goodput = cJSON_GetObjectItemCaseSensitive(slo, "goodput_per_s");
    const cJSON *windows = cJSON_GetObjectItemCaseSensitive(slo, "windows");
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(windows, "share");
    if (cJSON_IsNumber(goodput))
        write_floor(p, "goodput, requests/s", "", goodput->valuedouble, single(p, "goodput_per_s"), false);
    if (windows)
        write_floor(p, "windows that kept everything", "", cJSON_IsNumber(share) ? share->valuedouble : 1,
                    single(p, "slo_windows_kept"), true);
    fputs("</table>\n", p->out);
}

static void write_numbers(struct page *p)
{
    static const struct {
        const char *name, *title, *format;
        double scale;
    } shown[] = {{"requests_per_s", "requests/s", "%.4g", 1},
                 {"goodput_per_s", "goodput, requests/s", "%.4g", 1},
                 {"input_tokens_per_s", "input tokens/s", "%.0f", 1},
                 {"output_tokens_per_s", "output tokens/s", "%.0f", 1},
                 {"utilization", "busy", "%.1f %%", 100},
                 {"batch_sequences", "sequences in a batch", "%.1f", 1},
                 {"kv_use_mean", "KV use, mean", "%.1f %%", 100},
                 {"kv_use_peak", "KV use, peak", "%.1f %%", 100},
                 {"mfu", "MFU", "%.1f %%", 100},
                 {"preemptions", "preemptions", "%.0f", 1},
                 {"prefix_hit_rate", "prompt tokens found in the KV pool", "%.1f %%", 100},
                 {"replica_hours", "replica hours held", "%.2f", 1},
                 {"lost_requests", "requests lost", "%.0f", 1}};
    fputs("<dl class=\"numbers\">\n", p->out);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        double v = single(p, shown[i].name);
        bool matters = isfinite(v) && (v != 0 || i < 6);
        if (!matters)
            continue;
        char text[64];
        snprintf(text, sizeof text, shown[i].format, v * shown[i].scale);
        fprintf(p->out, "<div><dt>%s</dt><dd>%s</dd></div>\n", shown[i].title, text);
    }
    fputs("</dl>\n", p->out);
}

struct curve {
    double *x, *y;
    size_t count, capacity;
    double total;
};

static int take_bucket(void *state, int columns, char **values, struct error *err)
{
    struct curve *c = state;
    (void)columns;
    size_t capacity = c->capacity;
    double *x = array_grow(c->x, &capacity, c->count + 1, sizeof *x);
    if (!x)
        return error_no_memory(err);
    c->x = x;
    double *y = array_grow(c->y, &c->capacity, c->count + 1, sizeof *y);
    if (!y)
        return error_no_memory(err);
    c->y = y;
    c->x[c->count] = number(values[0]);
    c->y[c->count++] = number(values[1]);
    c->total += number(values[1]);
    return 0;
}

static void free_curve(struct curve *c)
{
    free(c->x);
    free(c->y);
    *c = (struct curve){0};
}

/* Counts into shares of requests at or below, thinned to what a picture can show. */
static void accumulate(struct curve *c)
{
    double below = 0;
    size_t kept = 0, step = c->count / POINTS_MAX + 1;
    for (size_t i = 0; i < c->count; i++) {
        below += c->y[i];
        if (i % step != 0 && i + 1 != c->count && i != 0)
            continue;
        c->x[kept] = c->x[i];
        c->y[kept++] = below / c->total;
    }
    c->count = kept;
}

/* A logarithmic share axis shows the tail: 1 − share, from all to the slowest ten thousandth. */
static int write_distribution(struct page *p, int metric, struct error *err)
{
    struct curve c = {0};
    if (store_read(
            p->store, take_bucket, &c, err,
            "SELECT value_s, count FROM histogram WHERE run_id = ? AND name = ? AND scope = 'run' ORDER BY value_s",
            "is", p->run, metric_names[metric])) {
        free_curve(&c);
        return -1;
    }
    if (c.count > 1) {
        accumulate(&c);
        for (size_t i = 0; i < c.count; i++)
            c.y[i] = fmax(1 - c.y[i], 5e-5);
        double low = fmax(c.x[0], 1e-6), high = fmax(c.x[c.count - 1], low * 1.5);
        double limit = limit_of(p, metric_names[metric], "p99");
        if (limit > 0 && limit > high && limit < 100 * high)
            high = limit * 1.1;
        struct chart chart = {.title = metric_titles[metric],
                              .x = {"seconds", low, high, true},
                              .y = {"share that is slower", 1e-4, 1, true},
                              .out = p->out};
        chart_begin(&chart);
        chart_line(&chart, metric % 6, c.x, c.y, c.count);
        if (limit > 0)
            chart_reference(&chart, limit, 1e-4, limit, 1);
        chart_reference(&chart, low, 0.01, high, 0.01);
        chart_end(&chart);
    }
    free_curve(&c);
    return 0;
}

static int write_latencies(struct page *p, struct error *err)
{
    static const int shown[] = {METRIC_TTFT, METRIC_TPOT, METRIC_ITL, METRIC_E2E};
    static const char *const statistics[] = {"mean", "p50", "p90", "p95", "p99", "p99.9", "max"};
    FILE *out = p->out;
    heading(out, "latency", "Latency");
    fputs("<p class=\"hint\">How many are slower than so long. The dashed upright line is the limit on p99, the level "
          "one "
          "the slowest hundredth: the curve should cross left of and below where they meet.</p><div "
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
        fprintf(out, "<tr><td>%s</td>", metric_titles[m]);
        for (int k = 0; k < 7; k++) {
            const struct row *r = find(p, metric_names[m], "run", statistics[k]);
            char v[32], low[32], high[32];
            seconds(v, sizeof v, r ? r->value : NAN);
            seconds(low, sizeof low, r ? r->low : NAN);
            seconds(high, sizeof high, r ? r->high : NAN);
            fprintf(out, r && isfinite(r->low) ? "<td>%s<small>%s … %s</small></td>" : "<td>%s</td>", v, low, high);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></details>\n", out);
    return 0;
}

/* One bar for each band, its parts side by side; lengths are shares of the band's mean. */
static void write_parts(struct page *p, const char *metric, const char *title)
{
    static const char *const bands[] = {"the faster half", "p50 to p90", "p90 to p99", "the slowest hundredth"};
    FILE *out = p->out;
    fprintf(out, "<h3>%s</h3>\n<div class=\"bars\">\n", title);
    for (int b = 0; b < BANDS; b++) {
        char scope[32], name[48], total[32];
        double parts[PART_COUNT], sum = 0;
        snprintf(scope, sizeof scope, "band:%s", band_names[b]);
        for (int i = 0; i < PART_COUNT; i++) {
            snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
            parts[i] = value(p, name, scope, "mean");
            parts[i] = isfinite(parts[i]) ? parts[i] : 0;
            sum += parts[i];
        }
        if (sum == 0)
            continue;
        seconds(total, sizeof total, sum);
        fprintf(out, "<div class=\"bar\"><span>%s<small>mean %s</small></span><div role=\"img\" aria-label=\"",
                bands[b], total);
        for (int i = 0; i < PART_COUNT; i++)
            if (parts[i] > 0)
                fprintf(out, "%s %.1f %%; ", part_words[i], 100 * parts[i] / sum);
        fputs("\">", out);
        for (int i = 0; i < PART_COUNT; i++)
            if (parts[i] > 0)
                fprintf(out, "<i class=\"p%d\" style=\"width:%.3f%%\" title=\"%s: %.1f %%\"></i>", i,
                        100 * parts[i] / sum, part_words[i], 100 * parts[i] / sum);
        fputs("</div></div>\n", out);
    }
    fputs("</div>\n", out);
}

static void write_part_table(struct page *p, const char *metric)
{
    FILE *out = p->out;
    fputs("<table><tr><th>part</th>", out);
    for (int b = 0; b < BANDS; b++)
        fprintf(out, "<th>%s</th>", band_names[b]);
    fputs("</tr>\n", out);
    for (int i = 0; i < PART_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
        bool any = false;
        for (int b = 0; b < BANDS; b++) {
            char scope[32];
            snprintf(scope, sizeof scope, "band:%s", band_names[b]);
            any = any || isfinite(value(p, name, scope, "mean"));
        }
        if (!any)
            continue;
        fprintf(out, "<tr><td>%s (%s)</td>", part_words[i], time_part_names[i]);
        for (int b = 0; b < BANDS; b++) {
            char scope[32], text[32];
            snprintf(scope, sizeof scope, "band:%s", band_names[b]);
            seconds(text, sizeof text, value(p, name, scope, "mean"));
            fprintf(out, "<td>%s</td>", text);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void write_where(struct page *p)
{
    FILE *out = p->out;
    heading(out, "time", "Where the time went");
    write_parts(p, "ttft_s", "To the first token");
    write_parts(p, "e2e_s", "To the last token");
    fputs("<p class=\"legend\">", out);
    for (int i = 0; i < PART_COUNT; i++)
        fprintf(out, "<span><i class=\"p%d\"></i>%s</span>", i, part_words[i]);
    fputs("</p>\n<details><summary>As tables: means, which sum to the band's mean</summary><h4>First token</h4>", out);
    write_part_table(p, "ttft_s");
    fputs("<h4>Last token</h4>", out);
    write_part_table(p, "e2e_s");
    fputs("</details>\n", out);
}

static int write_series(struct page *p, const char *name, const char *title, int colour, bool *any, struct error *err)
{
    struct curve c = {0};
    if (store_read(p->store, take_bucket, &c, err,
                   "SELECT at_s, value FROM timeseries WHERE run_id = ? AND name = ? ORDER BY at_s", "is", p->run,
                   name)) {
        free_curve(&c);
        return -1;
    }
    if (c.count > 2) {
        size_t step = c.count / POINTS_MAX + 1, kept = 0;
        double most = 0;
        for (size_t i = 0; i < c.count; i += step) { /* the largest of each stretch, so that no peak is lost */
            double peak = 0;
            for (size_t k = i; k < i + step && k < c.count; k++)
                peak = fmax(peak, c.y[k]);
            c.x[kept] = c.x[i];
            c.y[kept++] = peak;
            most = fmax(most, peak);
        }
        if (!*any) {
            heading(p->out, "series", "Over time");
            fputs("<div class=\"charts\">\n", p->out);
        }
        *any = true;
        struct chart chart = {.title = title,
                              .x = {"simulated seconds", c.x[0], c.x[kept - 1], false},
                              .y = {title, 0, most > 0 ? most * 1.05 : 1, false},
                              .out = p->out};
        chart_begin(&chart);
        chart_line(&chart, colour, c.x, c.y, kept);
        chart_end(&chart);
    }
    free_curve(&c);
    return 0;
}

static int write_time(struct page *p, struct error *err)
{
    bool any = false;
    if (write_series(p, "waiting", "requests waiting", 0, &any, err) ||
        write_series(p, "running", "requests running", 2, &any, err) ||
        write_series(p, "kv_used_blocks", "KV blocks used", 3, &any, err) ||
        write_series(p, "requests_per_s", "requests finished/s", 1, &any, err) ||
        write_series(p, "output_tokens_per_s", "output tokens/s", 4, &any, err) ||
        write_series(p, "replicas_up", "replicas up", 5, &any, err))
        return -1;
    if (any)
        fputs("</div>\n", p->out);
    else
        fputs("<p class=\"hint\">No time series was kept; <code>output.timeseries_s</code> in the scenario asks for "
              "one.</p>\n",
              p->out);
    return 0;
}

static int take_station(void *state, int columns, char **values, struct error *err)
{
    FILE *out = state;
    (void)err;
    fputs("<tr><td>", out);
    html_text(out, values[0]);
    fputs("</td>", out);
    for (int i = 1; i < columns; i++)
        fprintf(out, values[i] ? "<td>%.4g</td>" : "<td>–</td>", number(values[i]));
    fputs("</tr>\n", out);
    return 0;
}

static int take_theory(void *state, int columns, char **values, struct error *err)
{
    FILE *out = state;
    (void)columns, (void)err;
    char text[32];
    seconds(text, sizeof text, number(values[1]));
    fputs("<tr><td>", out);
    html_text(out, values[0]);
    fprintf(out, "</td><td>%s</td><td>%s</td></tr>\n", values[1] ? text : "no steady state",
            number(values[2]) > 0 ? "yes" : "no");
    return 0;
}

static int write_queueing(struct page *p, struct error *err)
{
    char wait[32];
    heading(p->out, "queueing", "Queueing");
    fputs("<table><tr><th>station</th><th>λ/s</th><th>ρ</th><th>L</th><th>Lq</th><th>W s</th><th>Wq s</th><th>SCV "
          "arrivals</th><th>SCV service</th><th>Little's law off by</th></tr>\n",
          p->out);
    if (store_read(
            p->store, take_station, p->out, err,
            "SELECT station, lambda_per_s, rho, l, lq, w_s, wq_s, arrival_scv, service_scv, little_residual FROM "
            "station WHERE run_id = ? ORDER BY station = 'system' DESC, station = 'queue' DESC, station LIMIT 70",
            "i", p->run))
        return -1;
    seconds(wait, sizeof wait, value(p, "queue_s", "run", "mean"));
    fprintf(
        p->out,
        "</table>\n<table><caption>Mean wait by theory; simulated: %s</caption><tr><th>formula</th><th>wait</th><th>"
        "this run meets its assumptions</th></tr>\n",
        wait);
    if (store_read(p->store, take_theory, p->out, err,
                   "SELECT formula, value, assumptions_met FROM theory WHERE run_id = ?", "i", p->run))
        return -1;
    fputs("</table>\n", p->out);
    return 0;
}

struct slow {
    struct page *page;
    double longest;
    int shown;
};

struct timeline {
    double ns[PART_COUNT];
};

static int take_part(void *state, int columns, char **values, struct error *err)
{
    struct timeline *t = state;
    (void)columns, (void)err;
    for (int i = 0; i < PART_COUNT; i++)
        if (strcmp(values[0], time_part_names[i]) == 0)
            t->ns[i] = number(values[1]);
    return 0;
}

static int take_slow(void *state, int columns, char **values, struct error *err)
{
    struct slow *s = state;
    struct page *p = s->page;
    struct timeline t = {0};
    (void)columns;
    double e2e = number(values[4]);
    char total[32], first[32];
    if (store_read(p->store, take_part, &t, err, "SELECT part, ns FROM time_parts WHERE run_id = ? AND request_id = ?",
                   "ii", p->run, (int64_t)number(values[0])))
        return -1;
    if (s->shown++ == 0) {
        heading(p->out, "slowest", "The slowest requests that were kept");
        fputs("<div class=\"bars\">\n", p->out);
        s->longest = e2e;
    }
    seconds(total, sizeof total, e2e);
    seconds(first, sizeof first, number(values[3]));
    fprintf(p->out,
            "<div class=\"bar\"><span>request %s<small>%s prompt, %s output tokens; first after %s, last after "
            "%s</small></span><div>",
            values[0], values[1], values[2], first, total);
    for (int i = 0; i < PART_COUNT; i++)
        if (t.ns[i] > 0)
            fprintf(p->out, "<i class=\"p%d\" style=\"width:%.3f%%\" title=\"%s: %.3g s\"></i>", i,
                    100 * t.ns[i] * 1e-9 / s->longest, part_words[i], t.ns[i] * 1e-9);
    fputs("</div></div>\n", p->out);
    return 0;
}

static int write_slowest(struct page *p, struct error *err)
{
    struct slow s = {.page = p};
    if (store_read(
            p->store, take_slow, &s, err,
            "SELECT id, prompt_tokens, output_tokens, ttft_s, e2e_s FROM request WHERE run_id = ? ORDER BY e2e_s "
            "DESC LIMIT 12",
            "i", p->run))
        return -1;
    if (s.shown)
        fputs("</div>\n", p->out);
    return 0;
}

static void write_provenance(struct page *p)
{
    FILE *out = p->out;
    heading(out, "provenance", "What this rests on");
    fprintf(out, "<p>Run %s, tandem %s, %s, seed %s. Costs: ", p->texts[RUN_ID], p->texts[RUN_VERSION],
            p->texts[RUN_STARTED], p->texts[RUN_SEED]);
    html_text(out, p->texts[RUN_SOURCE]);
    fprintf(out,
            ".</p>\n<table><tr><th>busy time costed</th><th>share</th></tr>"
            "<tr><td>at measured points</td><td>%.1f %%</td></tr><tr><td>between them</td><td>%.1f %%</td></tr>"
            "<tr><td>beyond them</td><td>%.1f %%</td></tr><tr><td>by formula</td><td>%.1f %%</td></tr></table>\n",
            100 * single(p, "measured_share"), 100 * single(p, "interpolated_share"),
            100 * single(p, "extrapolated_share"), 100 * single(p, "estimated_share"));
    double n = value(p, "e2e_s", "run", "count");
    fprintf(out, "<p>Latencies are of %.0f requests, after the warm-up was cut.</p>\n", n);
    char *text = cJSON_Print(p->scenario);
    fputs("<details><summary>The scenario</summary><pre>", out);
    html_text(out, text ? text : "");
    fputs("</pre></details>\n", out);
    free(text);
}

/* Parts keep their colours on the whole page. Figures are large where they answer something. */
static const char style[] =
    "<style>:root{--good:#00704a;--bad:#b3261e;--p0:#8a939c;--p1:#0072b2;--p2:#7fb8da;--p3:#009e73;--p4:#d55e00;"
    "--p5:#f0a77a;--p6:#cc79a7;--p7:#e6a400;--p8:#5b6570}"
    "@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--good:#4fd1a1;--bad:#ff8a80;--p0:#7d8893}}"
    ":root[data-theme=dark]{--ink:#e8ecf0;--soft:#9aa5b1;--grid:#333b44;--page:#15191e;--c0:#4aa8e8;--c1:#ff8a3d;"
    "--c2:#2fce9f;--c3:#e6a0c8;--c4:#f5bf42;--c5:#8fd0f5;--good:#4fd1a1;--bad:#ff8a80;--p0:#7d8893}"
    ":root[data-theme=light]{--ink:#1b1f24;--soft:#5b6570;--grid:#dde2e7;--page:#fff;--c0:#0072b2;--c1:#d55e00;"
    "--c2:#009e73;--c3:#cc79a7;--c4:#e69f00;--c5:#56b4e9}"
    "h2{margin-top:2.2rem;font-size:1.15rem}h3{font-size:1rem;margin-bottom:.3rem}.good{color:var(--good)}"
    ".bad{color:var(--bad)}section.verdict{color:var(--ink);border-left:.4rem solid var(--soft);padding:.2rem "
    "1rem}section.verdict.good{border-color:var(--good)}section.verdict.bad{border-color:var(--bad)}"
    ".big{font-size:1.9rem;font-weight:700;margin:.2rem 0}.verdict.good .big{color:var(--good)}.verdict.bad "
    ".big{color:var(--bad)}.hint,small,caption{color:var(--soft)}small{display:block}caption{text-align:left}"
    "dl.numbers{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.6rem 1rem}dl.numbers "
    "dt{color:var(--soft);font-size:.85rem}dl.numbers dd{margin:0;font-size:1.25rem;font-weight:600}"
    ".bar{display:grid;grid-template-columns:15rem 1fr;gap:1rem;align-items:center;margin:.35rem 0}"
    ".bar>div{display:flex;height:1.4rem;border-radius:3px;overflow:hidden;background:var(--grid)}.bar i{display:block}"
    "@media (max-width:640px){.bar{grid-template-columns:1fr;gap:.1rem}}"
    ".p0{background:var(--p0)}.p1{background:var(--p1)}.p2{background:var(--p2)}.p3{background:var(--p3)}.p4{"
    "background:"
    "var(--p4)}.p5{background:var(--p5)}.p6{background:var(--p6)}.p7{background:var(--p7)}.p8{background:var(--p8)}"
    "details{margin:.6rem 0}summary{cursor:pointer;color:var(--soft)}pre{overflow-x:auto}nav a{margin-right:1rem}"
    "a{color:var(--c0)}#theme{float:right;font:inherit;color:var(--soft);background:none;border:1px solid "
    "var(--grid);border-radius:4px;padding:.2rem .7rem;cursor:pointer}@media print{#theme,nav{display:none}}</style>\n";

static const char script[] =
    "<script>document.getElementById('theme').onclick=function(){var r=document.documentElement,d=r.dataset.theme||"
    "(matchMedia('(prefers-color-scheme:dark)').matches?'dark':'light');r.dataset.theme=d==='dark'?'light':'dark'}"
    "</script>\n";

static int write_page(struct page *p, struct error *err)
{
    html_begin(p->out, p->texts[RUN_NAME]);
    fputs(style, p->out);
    fputs("<button id=\"theme\" type=\"button\">light or dark</button>\n<p class=\"hint\">", p->out);
    html_text(p->out, p->texts[RUN_MODEL]);
    fputs(" on ", p->out);
    html_text(p->out, p->texts[RUN_DEVICE]);
    fputs("</p>\n", p->out);
    write_verdict(p);
    write_limits(p);
    write_numbers(p);
    fputs("<nav aria-label=\"parts of this page\"><a href=\"#latency\">latency</a><a href=\"#time\">where the time "
          "went</a><a href=\"#queueing\">queueing</a><a href=\"#provenance\">what this rests on</a></nav>\n",
          p->out);
    if (write_latencies(p, err))
        return -1;
    write_where(p);
    if (write_time(p, err) || write_slowest(p, err) || write_queueing(p, err))
        return -1;
    write_provenance(p);
    fputs(script, p->out);
    html_end(p->out);
    return 0;
}

static void release(struct page *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->rows[i].name);
        free(p->rows[i].scope);
        free(p->rows[i].statistic);
        free(p->rows[i].unit);
    }
    for (size_t i = 0; i < sizeof p->texts / sizeof *p->texts; i++)
        free(p->texts[i]);
    free(p->rows);
    cJSON_Delete(p->scenario);
}

int page_write(struct store *store, int64_t run_id, FILE *out, struct error *err)
{
    struct page p = {.store = store, .run = run_id, .out = out};
    int status =
        store_read(store, take_run, &p, err,
                   "SELECT name, seed, program_version, started_at, model, device, cost_source, slo_met, status, "
                   "id, scenario FROM run WHERE id = ?",
                   "i", run_id);
    if (status == 0 && !p.texts[RUN_ID])
        status = error_set(err, ERROR_INPUT, "there is no run %lld", (long long)run_id);
    if (status == 0)
        status = store_read(store, take_metric, &p, err,
                            "SELECT name, scope, statistic, value, ci_low, ci_high, unit FROM metric WHERE run_id = ?",
                            "i", run_id);
    if (status == 0)
        status = write_page(&p, err);
    release(&p);
    return status;
}
