/* SPDX-License-Identifier: MIT */
#include "validation/calibrate_parts.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/parallel.h"

enum { STRETCHES = 8, LEAST_IN_STRETCH = 5 };

static int add_part(struct calibration *out, const struct level *level, size_t index, size_t first, size_t count,
                    struct error *err)
{
    struct calibration_part *part = &out->parts[out->count++];
    *part = (struct calibration_part){.level = index, .first = first, .count = count};
    snprintf(part->name, sizeof part->name, "%s", level->name);
    memcpy(part->measured, level->measured, sizeof part->measured);
    if (count == 0)
        return 0;
    snprintf(part->name, sizeof part->name, "requests %zu to %zu", first + 1, first + count);
    return level_statistics(level->sent, first, count, part->measured, err);
}

static double load_of(const struct level *level)
{
    return level->load == LOAD_CLOSED ? level->concurrency : level->rate_per_s;
}

struct loaded {
    double load, tokens;
    size_t index;
};

static int compare_loads(const void *a, const void *b)
{
    const struct loaded *x = a, *y = b;
    if (x->load != y->load)
        return x->load > y->load ? 1 : -1;
    if (x->tokens != y->tokens)
        return x->tokens > y->tokens ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* `fit` parts, as far apart as can be in the order of loads, the least and the most loaded among them. */
static int choose_fitted(const struct levels *levels, size_t fit, struct calibration *out, struct error *err)
{
    struct loaded *order = malloc(out->count * sizeof *order);
    if (!order)
        return error_no_memory(err);
    for (size_t i = 0; i < out->count; i++) {
        const struct level *l = &levels->items[out->parts[i].level];
        order[i] = (struct loaded){load_of(l), l->prompt_tokens + l->output_tokens, i};
    }
    qsort(order, out->count, sizeof *order, compare_loads);
    for (size_t i = 0; i < fit; i++) {
        double at = fit > 1 ? (double)i * (double)(out->count - 1) / (double)(fit - 1) : (double)(out->count / 2);
        out->parts[order[(size_t)round(at)].index].fitted = true;
    }
    out->fitted = fit;
    free(order);
    return 0;
}

int parts_make(const struct levels *levels, size_t fit, struct calibration *out, struct error *err)
{
    size_t sent = levels->count == 1 ? levels->items[0].sent_count : 0,
           stretches = sent >= STRETCHES * LEAST_IN_STRETCH ? STRETCHES : 0,
           count = stretches ? stretches : levels->count;
    out->parts = calloc(count + 1, sizeof *out->parts);
    if (!out->parts)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        size_t first = stretches ? i * sent / stretches : 0, end = stretches ? (i + 1) * sent / stretches : 0;
        size_t level = stretches ? 0 : i;
        if (add_part(out, &levels->items[level], level, first, end - first, err))
            return -1;
    }
    if (fit > count)
        return error_set(err, ERROR_INPUT, "--fit %zu: expected at most %zu, as many as there are %s", fit, count,
                         stretches ? "stretches of the run" : "load levels");
    return choose_fitted(levels, fit ? fit : (count + 1) / 2, out, err);
}

bool part_compares(const struct calibration_part *part, int metric)
{
    bool known[MEASURED_METRICS] = {false};
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            known[m] |= isfinite(part->measured[m][i]);
    return known[metric] && (metric < 2 || !known[0]);
}

struct part_work {
    struct part_runs *p;
    const double *values;
    uint64_t later;
    size_t seeds;
    bool all;
    part_statistics *found; /* [seeds][parts] */
};

static bool wanted(const struct part_work *w, size_t level)
{
    for (size_t i = 0; i < w->p->out->count; i++)
        if (w->p->out->parts[i].level == level && (w->all || w->p->out->parts[i].fitted))
            return true;
    return false;
}

static int make_scenario(const struct part_work *w, size_t level, uint64_t later, cJSON **out, struct error *err)
{
    char file[LEVEL_TRACE + 32];
    const struct part_runs *p = w->p;
    const char *trace = level_runs_trace(&p->runs, level, file);
    int status = level_scenario(&p->levels->items[level], p->base, trace, out, err) ||
                 calibration_set(*out, p->wishes->fitted, w->values, err) || level_add_seed(*out, level, later, err);
    if (status)
        cJSON_Delete(*out);
    return status ? -1 : 0;
}

static int take_statistics(const struct part_runs *p, size_t level, const struct level_request *requests, size_t count,
                           part_statistics *out, struct error *err)
{
    for (size_t i = 0; i < p->out->count; i++) {
        const struct calibration_part *part = &p->out->parts[i];
        size_t of = part->count ? part->count : count;
        if (part->level == level && part->first + of <= count &&
            level_statistics(requests, part->first, of, out[i], err))
            return -1;
    }
    return 0;
}

static int simulate_piece(void *job, size_t index, struct error *err)
{
    struct part_work *w = job;
    size_t level = index / w->seeds, seed = index % w->seeds, count = 0;
    struct level_request *requests = NULL;
    cJSON *scenario = NULL;
    if (!wanted(w, level))
        return 0;
    if (make_scenario(w, level, w->later + seed, &scenario, err) ||
        level_simulate(scenario, w->p->levels->items[level].name, &requests, &count, err))
        return -1;
    int status = take_statistics(w->p, level, requests, count, w->found + seed * w->p->out->count, err);
    free(requests);
    return status;
}

int parts_simulate(struct part_runs *p, const double values[CALIBRATED], uint64_t later, size_t seeds, bool all,
                   part_statistics *out, struct error *err)
{
    size_t parts = p->out->count;
    struct part_work w = {.p = p, .values = values, .later = later, .seeds = seeds, .all = all};
    w.found = calloc(seeds * parts, sizeof *w.found);
    if (!w.found)
        return error_no_memory(err);
    int status = parallel_run(simulate_piece, &w, p->levels->count * seeds, p->wishes->threads, err);
    memset(out, 0, parts * sizeof *out);
    for (size_t k = 0; status == 0 && k < seeds * parts; k++)
        for (int m = 0; m < MEASURED_METRICS; m++)
            for (int i = 0; i < MEASURED_STATISTICS; i++)
                out[k % parts][m][i] += w.found[k][m][i] / (double)seeds;
    for (size_t i = 0; i < p->levels->count; i++)
        p->out->runs += wanted(&w, i) ? seeds : 0;
    free(w.found);
    return status;
}

/* The mean, or the median where that is all there is. */
static double error_of(const struct calibration_part *part, int m, bool after)
{
    const part_statistics *simulated = after ? &part->after : &part->before;
    int i = isfinite(part->measured[m][0]) ? 0 : 1;
    return (*simulated)[m][i] / part->measured[m][i] - 1;
}

static struct engine_error spread_of(double *errors, size_t n)
{
    struct engine_error e = {0};
    if (n == 0)
        return e;
    gsl_sort(errors, 1, n);
    e.signed_median = gsl_stats_median_from_sorted_data(errors, 1, n);
    for (size_t i = 0; i < n; i++)
        errors[i] = fabs(errors[i]);
    gsl_sort(errors, 1, n);
    e.median = gsl_stats_median_from_sorted_data(errors, 1, n);
    e.p90 = gsl_stats_quantile_from_sorted_data(errors, 1, n, 0.9);
    return e;
}

int calibration_errors(const struct calibration *c, bool fitted, bool after, struct engine_accuracy *out,
                       struct error *err)
{
    double *errors = malloc((c->count + 1) * sizeof *errors);
    *out = (struct engine_accuracy){0};
    if (!errors)
        return error_no_memory(err);
    for (int m = 0; m < 2; m++) {
        size_t n = 0;
        for (size_t i = 0; i < c->count; i++)
            if (c->parts[i].fitted == fitted && isfinite(error_of(&c->parts[i], m, after)))
                errors[n++] = error_of(&c->parts[i], m, after);
        *(m == 0 ? &out->ttft : &out->tpot) = spread_of(errors, n);
        out->points = fmax(out->points, (double)n);
    }
    free(errors);
    return 0;
}
