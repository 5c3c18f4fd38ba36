/* SPDX-License-Identifier: MIT */
#include "validation/paper_figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/stats/run_values.h"
#include "reports/stats/theory.h"

static double ratio(const double *x, size_t n)
{
    (void)n;
    return x[0] / x[1];
}

static double difference(const double *x, size_t n)
{
    (void)n;
    return x[0] - x[1];
}

/* By which share the first is less than the second. */
static double less(const double *x, size_t n)
{
    (void)n;
    return 1 - x[0] / x[1];
}

static double product(const double *x, size_t n)
{
    double all = 1;
    for (size_t i = 0; i < n; i++)
        all *= x[i];
    return all;
}

static double sum(const double *x, size_t n)
{
    double all = 0;
    for (size_t i = 0; i < n; i++)
        all += x[i];
    return all;
}

static double most(const double *x, size_t n)
{
    double all = x[0];
    for (size_t i = 1; i < n; i++)
        all = fmax(all, x[i]);
    return all;
}

static double least(const double *x, size_t n)
{
    double all = x[0];
    for (size_t i = 1; i < n; i++)
        all = fmin(all, x[i]);
    return all;
}

static double mean(const double *x, size_t n)
{
    return sum(x, n) / (double)n;
}

enum { PARTS_MAX = 8 };

/* Neutral NAN: the first part's. */
static const struct join {
    const char *name;
    size_t fewest, most;
    double neutral;
    double (*of)(const double *x, size_t n);
} joins[] = {{"ratio", 2, 2, 1, ratio},
             {"difference", 2, 2, 0, difference},
             {"less", 2, 2, 0, less},
             {"product", 1, PARTS_MAX, NAN, product},
             {"sum", 1, PARTS_MAX, NAN, sum},
             {"most", 1, PARTS_MAX, NAN, most},
             {"least", 1, PARTS_MAX, NAN, least},
             {"mean", 1, PARTS_MAX, NAN, mean},
             {0}};

static const char figure_forms[] =
    "a number, {\"value\": NAME, \"of\": RUN}, {\"largest_rate\": RUN}, {\"tightest_slo\": RUN}, "
    "or one of ratio, difference, less, product, sum, most, least, mean with a list of figures";

static const struct join *join_of(const struct json *figure, struct json *parts)
{
    for (const struct join *j = joins; j->name; j++) {
        *parts = json_member(figure, j->name);
        if (parts->node)
            return j;
    }
    return NULL;
}

/* Values of a run that run_values.h has no name for. */
static const char *const own_values[] = {"gpus",     "kv_tokens",    "wait_s",         "mg1_wait_s", "finished",
                                         "rejected", "weight_bytes", "kv_token_bytes", "iterations", NULL};

static double own_value(const struct simulation *s, size_t index)
{
    const struct run_summary *r = &s->summary;
    double gpus = 0;
    switch (index) {
    case 0:
        for (size_t i = 0; i < s->scenario.cluster.pool_count; i++)
            gpus += r->totals.held_s[i] / r->duration_s * s->scenario.pools[i].cost.parallel.tensor *
                    (double)(s->scenario.pools[i].stages.count + 1);
        return gpus;
    case 1:
        return (double)r->kv[0].tokens;
    case 2:
        return r->queue.stay_s;
    case 3:
        return theory_mg1_wait_s(r->system.arrival_rate, 1 / r->system.service_rate, r->system.service_scv);
    case 4:
        return (double)r->totals.finished;
    case 5:
        return (double)r->totals.rejected;
    case 6:
        return scenario_cost(&s->scenario)->work.weight_bytes;
    case 7:
        return scenario_cost(&s->scenario)->work.kv_bytes_per_token;
    default:
        return (double)r->totals.iterations;
    }
}

static bool statistic(const char *name, enum metric *m, int *k)
{
    const char *dot = strchr(name, '.');
    char metric[24];
    if (!dot || (size_t)(dot - name) >= sizeof metric)
        return false;
    snprintf(metric, sizeof metric, "%.*s", (int)(dot - name), name);
    *m = metric_find(metric);
    for (*k = 0; *m < METRIC_COUNT && *k < STAT_COUNT; (*k)++)
        if (strcmp(statistic_names[*k], dot + 1) == 0)
            return true;
    return false;
}

bool figure_run_value(const struct simulation *s, const char *name, double *out)
{
    enum metric m;
    int k;
    if (statistic(name, &m, &k)) {
        *out = s->summary.metrics[m].count ? s->summary.metrics[m].at[k].value * 1e-9 : NAN;
        return true;
    }
    for (size_t i = 0; own_values[i]; i++)
        if (strcmp(own_values[i], name) == 0) {
            *out = own_value(s, i);
            return true;
        }
    return run_value_find(&s->summary, name, out);
}

bool figure_has_value(const char *name)
{
    static const struct run_summary none;
    enum metric m;
    int k;
    double ignored;
    if (statistic(name, &m, &k) || run_value_find(&none, name, &ignored) || strcmp(name, FIGURE_IDEAL) == 0)
        return true;
    for (size_t i = 0; own_values[i]; i++)
        if (strcmp(own_values[i], name) == 0)
            return true;
    return false;
}

static int check_run(const struct json *figure, const char *key, const struct json *runs, struct error *err)
{
    const char *name = NULL;
    struct json at = json_member(figure, key);
    if (json_read_string(figure, key, true, &name, err))
        return -1;
    return json_member(runs, name).node ? 0 : json_complain(&at, "the name of one of the paper's runs", err);
}

/* A search is written by its name and the run. */
static const char *const searches[] = {"largest_rate", "tightest_slo", NULL};

static const char *search_of(const struct json *figure)
{
    for (const char *const *name = searches; *name; name++)
        if (json_member(figure, *name).node)
            return *name;
    return NULL;
}

static int check_leaf(const struct json *figure, const struct json *runs, struct error *err)
{
    static const char *const values[] = {"value", "of", NULL};
    struct json value = json_member(figure, "value");
    const char *name = NULL, *search = search_of(figure);
    const char *const keys[] = {search, NULL};
    if (search)
        return json_check_keys(figure, keys, err) || check_run(figure, search, runs, err) ? -1 : 0;
    if (!value.node)
        return json_complain(figure, figure_forms, err);
    if (json_check_keys(figure, values, err) || json_read_string(figure, "value", true, &name, err) ||
        check_run(figure, "of", runs, err))
        return -1;
    return figure_has_value(name)
               ? 0
               : json_complain(&value, "a run's value, such as makespan_s or ttft_s.p99 (docs/papers.md)", err);
}

int figure_check(const struct json *figure, const struct json *runs, double *neutral, struct error *err)
{
    struct json parts;
    *neutral = NAN;
    if (cJSON_IsNumber(figure->node))
        return 0;
    if (!cJSON_IsObject(figure->node))
        return json_complain(figure, figure_forms, err);
    const struct join *join = join_of(figure, &parts);
    if (!join)
        return check_leaf(figure, runs, err);
    const char *const keys[] = {join->name, NULL};
    int count = cJSON_IsArray(parts.node) ? cJSON_GetArraySize(parts.node) : -1;
    if (json_check_keys(figure, keys, err))
        return -1;
    if (count < (int)join->fewest || count > (int)join->most)
        return json_complain(&parts, join->most == 2 ? "a list of two figures" : "a list of 1 to 8 figures", err);
    for (int i = 0; i < count; i++) {
        struct json part = json_element(&parts, i);
        double own;
        if (figure_check(&part, runs, &own, err))
            return -1;
        if (i == 0)
            *neutral = isnan(join->neutral) ? own : join->neutral;
    }
    return 0;
}

static int compute_leaf(const struct json *figure, const struct figure_source *source, double *out, struct error *err)
{
    const char *search = search_of(figure);
    if (!search)
        return source->value(source->state, json_member(figure, "of").node->valuestring,
                             json_member(figure, "value").node->valuestring, out, err);
    const char *run = json_member(figure, search).node->valuestring;
    return (search == searches[0] ? source->largest_rate : source->tightest_slo)(source->state, run, out, err);
}

int figure_compute(const struct json *figure, const struct figure_source *source, double *out, struct error *err)
{
    struct json parts;
    if (cJSON_IsNumber(figure->node)) {
        *out = figure->node->valuedouble;
        return 0;
    }
    const struct join *join = join_of(figure, &parts);
    if (!join)
        return compute_leaf(figure, source, out, err);
    double x[PARTS_MAX];
    size_t count = (size_t)cJSON_GetArraySize(parts.node);
    for (size_t i = 0; i < count; i++) {
        struct json part = json_element(&parts, (int)i);
        if (figure_compute(&part, source, &x[i], err))
            return -1;
    }
    *out = join->of(x, count);
    return 0;
}
