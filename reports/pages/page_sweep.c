/* SPDX-License-Identifier: MIT */
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "reports/pages/html.h"
#include "reports/pages/page_study.h"
#include "reports/pages/study.h"
#include "reports/store/kept_run.h"

static const struct {
    const char *name, *statistic, *title;
    bool seconds, share, more_is_better;
} outcomes[] = {
    {"ttft_s", "p50", "TTFT p50", true, false, false},
    {"ttft_s", "p99", "TTFT p99", true, false, false},
    {"tpot_s", "p99", "TPOT p99", true, false, false},
    {"e2e_s", "p99", "E2E p99", true, false, false},
    {"output_tokens_per_s", "value", "output tokens/s", false, false, true},
    {"goodput_per_s", "value", "goodput/s", false, false, true},
    {"slo_attainment", "value", "within SLO", false, true, true},
    {"utilization", "value", "busy", false, true, false},
    {"kv_use_peak", "value", "KV peak", false, true, false},
    {"load", "value", "load", false, true, false},
    {"unserved_share", "value", "not served", false, true, false},
};
enum {
    OUTCOMES = sizeof outcomes / sizeof *outcomes,
    TTFT_P99 = 1,
    TPOT_P99 = 2,
    TOKENS = 4,
    GOODPUT = 5,
    WITHIN = 6,
    UNSERVED = 10
};

/* Sums over the replications of a point. */
struct sums {
    double n[OUTCOMES], sum[OUTCOMES], squares[OUTCOMES];
    size_t met, overloaded, runs;
    int64_t first_run;
};

struct sweep_page {
    struct study study;
    struct sums *sums; /* [study.count] */
    size_t sums_capacity, axis_count;
    char paths[STUDY_COLUMNS_MAX][96];
    char *name, *status;
    cJSON *spec;
    bool slo;
    int64_t *runs; /* run ids, rising, and the points they belong to */
    size_t *run_points, run_count, runs_capacity, points_capacity;
};

static int take_sweep(void *state, int columns, char **values, struct error *err)
{
    struct sweep_page *p = state;
    (void)columns;
    p->name = strdup(values[0] ? values[0] : "sweep");
    p->status = strdup(kept_text(values[1]));
    p->spec = cJSON_Parse(kept_text(values[2]));
    if (!p->name || !p->status)
        return error_no_memory(err);
    return p->spec ? 0 : error_set(err, ERROR_INPUT, "the sweep as it was kept is not JSON");
}

static struct study_point *same_point(struct sweep_page *p, const double *settings, size_t *index)
{
    for (*index = 0; *index < p->study.count; ++*index)
        if (memcmp(p->study.points[*index].at, settings, p->axis_count * sizeof *settings) == 0)
            return &p->study.points[*index];
    struct study_point *fresh = study_add_point(&p->study);
    struct sums *sums = fresh ? array_grow(p->sums, &p->sums_capacity, p->study.count, sizeof *sums) : NULL;
    if (!sums)
        return NULL;
    p->sums = sums;
    sums[*index] = (struct sums){0};
    memcpy(fresh->at, settings, p->axis_count * sizeof *settings);
    return fresh;
}

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct sweep_page *p = state;
    double settings[STUDY_COLUMNS_MAX];
    size_t index;
    cJSON *scenario = cJSON_Parse(kept_text(values[1]));
    (void)columns;
    if (!scenario)
        return error_set(err, ERROR_INPUT, "run %lld: its kept scenario is not JSON",
                         (long long)kept_integer(values[0]));
    bool whole = true;
    for (size_t a = 0; a < p->axis_count && whole; a++) {
        char *words = study_words_at(scenario, p->paths[a]);
        settings[a] = words ? study_name(&p->study.columns[a], words) : -1;
        whole = settings[a] >= 0;
        free(words);
    }
    p->slo = p->slo || cJSON_GetObjectItemCaseSensitive(scenario, "slo");
    cJSON_Delete(scenario);
    int64_t *runs = array_grow(p->runs, &p->runs_capacity, p->run_count + 1, sizeof *runs);
    p->runs = runs ? runs : p->runs;
    size_t *points = array_grow(p->run_points, &p->points_capacity, p->run_count + 1, sizeof *points);
    p->run_points = points ? points : p->run_points;
    if (!whole || !runs || !points || !same_point(p, settings, &index))
        return error_no_memory(err);
    struct sums *s = &p->sums[index];
    runs[p->run_count] = kept_integer(values[0]);
    points[p->run_count++] = index;
    s->first_run = s->runs ? s->first_run : runs[p->run_count - 1];
    s->runs++;
    s->met += kept_number(values[2]) > 0;
    return 0;
}

static struct sums *sums_of(struct sweep_page *p, int64_t run)
{
    size_t low = 0, high = p->run_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(p->runs[middle] <= run ? &low : &high) = middle;
    }
    return p->run_count && p->runs[low] == run ? &p->sums[p->run_points[low]] : NULL;
}

static int take_outcome(void *state, int columns, char **values, struct error *err)
{
    struct sweep_page *p = state;
    (void)columns, (void)err;
    struct sums *s = sums_of(p, kept_integer(values[0]));
    double v = kept_number(values[3]);
    const char *name = kept_text(values[1]), *statistic = kept_text(values[2]);
    if (s && strcmp(name, "overloaded") == 0)
        s->overloaded += v > 0;
    for (size_t k = 0; s && k < OUTCOMES && isfinite(v); k++)
        if (strcmp(name, outcomes[k].name) == 0 && strcmp(statistic, outcomes[k].statistic) == 0) {
            s->n[k]++;
            s->sum[k] += v;
            s->squares[k] += v * v;
        }
    return 0;
}

/* Values in a list keep its order. */
static int add_axis(struct sweep_page *p, const cJSON *axis, struct error *err)
{
    struct study_column *c = study_add_column(&p->study, kept_text(axis->string), true);
    const cJSON *value;
    bool whole = c != NULL;
    for (value = cJSON_IsArray(axis) ? axis->child : NULL; value && whole; value = value->next) {
        char *words = study_words_at(value, "");
        whole = words && study_name(c, words) >= 0;
        free(words);
    }
    return whole ? 0 : error_no_memory(err);
}

static int read_sweep(struct sweep_page *p, struct store *store, int64_t id, struct error *err)
{
    if (store_read(store, take_sweep, p, err, "SELECT name, status, spec FROM sweep WHERE id = ?", "i", id))
        return -1;
    if (!p->spec)
        return error_set(err, ERROR_INPUT, "there is no sweep %lld", (long long)id);
    const cJSON *axis;
    cJSON_ArrayForEach(axis, cJSON_GetObjectItemCaseSensitive(p->spec, "vary"))
    {
        if (p->axis_count == STUDY_COLUMNS_MAX - OUTCOMES)
            break;
        snprintf(p->paths[p->axis_count++], sizeof p->paths[0], "%s", kept_text(axis->string));
        if (add_axis(p, axis, err))
            return -1;
    }
    if (store_read(store, take_run, p, err,
                   "SELECT r.id, r.scenario, r.slo_met FROM sweep_point p JOIN run r ON r.id = p.run_id WHERE "
                   "p.sweep_id = ? ORDER BY r.id",
                   "i", id) ||
        store_read(store, take_outcome, p, err,
                   "SELECT m.run_id, m.name, m.statistic, m.value FROM sweep_point p JOIN metric m ON m.run_id = "
                   "p.run_id AND m.scope = 'run' AND m.statistic IN ('p50', 'p99', 'value') WHERE p.sweep_id = ?",
                   "i", id))
        return -1;
    return p->study.count ? 0
                          : error_set(err, ERROR_INPUT, "sweep %lld: none of its points has been kept", (long long)id);
}

/* In at least half of its runs. */
static bool is_overloaded(const struct sums *s)
{
    return 2 * s->overloaded >= s->runs;
}

/* Means over replications, with intervals by Student's t. Latencies of a point that is overloaded say how long its runs
 * were, and are left out. */
static void fill_outcomes(struct sweep_page *p)
{
    for (size_t k = 0; k < OUTCOMES; k++) {
        struct study_column *c = study_add_column(&p->study, outcomes[k].title, false);
        c->seconds = outcomes[k].seconds;
        c->share = outcomes[k].share;
        c->more_is_better = outcomes[k].more_is_better;
        for (size_t i = 0; i < p->study.count; i++) {
            const struct sums *s = &p->sums[i];
            bool left_out = outcomes[k].seconds && is_overloaded(s);
            double n = left_out ? 0 : s->n[k], mean = n > 0 ? s->sum[k] / n : NAN;
            double variance = n > 1 ? fmax(s->squares[k] / n - mean * mean, 0) * n / (n - 1) : NAN;
            p->study.points[i].at[p->axis_count + k] = mean;
            p->study.points[i].half[p->axis_count + k] =
                n > 1 ? gsl_cdf_tdist_Pinv(0.975, n - 1) * sqrt(variance / n) : NAN;
        }
    }
    for (size_t i = 0; i < p->study.count; i++) {
        struct study_point *point = &p->study.points[i];
        const struct sums *s = &p->sums[i];
        point->slo = is_overloaded(s)    ? STUDY_OVERLOADED
                     : !p->slo           ? STUDY_UNASKED
                     : s->met == s->runs ? STUDY_MET
                     : s->met            ? STUDY_AT_TIMES
                                         : STUDY_MISSED;
        point->replications = s->runs;
        snprintf(point->label, sizeof point->label, "run %lld", (long long)s->first_run);
        snprintf(point->link, sizeof point->link, "run-%lld.html", (long long)s->first_run);
    }
    study_sort(&p->study); /* sums are not needed any more */
}

static void write_settings(const struct sweep_page *p, const struct study_point *point, FILE *out)
{
    for (size_t a = 0; a < p->axis_count; a++) {
        const struct study_column *c = &p->study.columns[a];
        fputs(a ? ", " : "", out);
        html_text(out, c->title);
        if (c->numeric)
            fprintf(out, " %.6g", point->at[a]);
        else {
            fputs(" ", out);
            html_text(out, c->names[(size_t)point->at[a]]);
        }
    }
}

static void write_best(const struct sweep_page *p, size_t outcome, const char *words, FILE *out)
{
    const struct study_point *best = NULL;
    size_t column = p->axis_count + outcome, unserved = p->axis_count + UNSERVED;
    double sign = outcomes[outcome].more_is_better ? 1 : -1;
    for (size_t i = 0; i < p->study.count; i++) /* a point that turns requests away is not the fastest for that */
        if (isfinite(p->study.points[i].at[column]) &&
            !(outcomes[outcome].seconds && p->study.points[i].at[unserved] > 0) &&
            (!best || sign * p->study.points[i].at[column] > sign * best->at[column]))
            best = &p->study.points[i];
    if (!best)
        return;
    char text[32];
    if (outcomes[outcome].seconds)
        html_seconds(text, sizeof text, best->at[column]);
    else
        snprintf(text, sizeof text, "%.4g", best->at[column]);
    fprintf(out, "<p>%s: <b>%s</b> with ", words, text);
    write_settings(p, best, out);
    fputs(".</p>\n", out);
}

static int write_page(struct sweep_page *p, int64_t id, FILE *out, struct error *err)
{
    static const size_t drawn[] = {TTFT_P99, TPOT_P99, TOKENS, GOODPUT, WITHIN};
    size_t columns[sizeof drawn / sizeof *drawn], met = 0, count = sizeof drawn / sizeof *drawn - !p->slo;
    for (size_t i = 0; i < sizeof drawn / sizeof *drawn; i++)
        columns[i] = p->axis_count + drawn[i];
    for (size_t i = 0; i < p->study.count; i++)
        met += p->study.points[i].slo == STUDY_MET;
    html_begin(out, p->name);
    fprintf(out, "<section class=\"verdict %s\" aria-label=\"verdict\">\n", !p->slo ? "" : met ? "good" : "bad");
    if (p->slo)
        fprintf(out, "<p class=\"big\">%zu of %zu points meet the SLO</p>\n", met, p->study.count);
    else
        fprintf(out, "<p class=\"big\">%zu points</p>\n", p->study.count);
    if (strcmp(p->status, "done") != 0)
        fputs("<p>The sweep is not finished: these are the points that are there.</p>\n", out);
    write_best(p, TTFT_P99, "Least p99 TTFT", out);
    write_best(p, TPOT_P99, "Least p99 TPOT", out);
    write_best(p, GOODPUT, "Most goodput, requests/s", out);
    fprintf(out,
            "</section>\n<p class=\"hint\">Sweep %lld, %zu runs. Points lead to the pages of their runs (the first "
            "replication); <code>tandem report sweep:%lld --runs</code> writes those next to this one.</p>\n",
            (long long)id, p->run_count, (long long)id);
    if (study_heat_maps(&p->study, columns, count, out, err))
        return -1;
    study_lines(&p->study, columns, count, out);
    html_heading(out, "front", "What is bought with what");
    fputs("<p class=\"hint\">Green keeps the SLO, orange does not. The line joins the points that no other beats in "
          "both.</p>\n<div class=\"charts\">\n",
          out);
    if (study_front(&p->study, p->axis_count + TTFT_P99, p->axis_count + TOKENS, out, err) ||
        study_front(&p->study, p->axis_count + TPOT_P99, p->axis_count + TOKENS, out, err))
        return -1;
    fputs("</div>\n", out);
    study_ways(&p->study, out);
    study_table(&p->study, out);
    char *spec = cJSON_Print(p->spec);
    fputs("<details><summary>The sweep</summary><pre>", out);
    html_text(out, spec ? spec : "");
    fputs("</pre></details>\n", out);
    free(spec);
    html_end(out);
    return 0;
}

int page_write_sweep(struct store *store, int64_t sweep_id, FILE *out, struct error *err)
{
    struct sweep_page p = {0};
    int status = read_sweep(&p, store, sweep_id, err);
    if (status == 0) {
        study_settle(&p.study);
        fill_outcomes(&p);
        status = write_page(&p, sweep_id, out, err);
    }
    study_release(&p.study);
    free(p.sums), free(p.runs), free(p.run_points), free(p.name), free(p.status);
    cJSON_Delete(p.spec);
    return status;
}
