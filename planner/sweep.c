/* SPDX-License-Identifier: MIT */
#include "planner/sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/axis.h"
#include "profiles/shipped.h"

enum { FIRST_REPLICATIONS = 8 }; /* before any point is left out */

static cJSON *node_of(const struct json *at)
{
    return (cJSON *)(uintptr_t)at->node;
}

/* {"from": 1, "to": 64, "steps": 7, "log": true}: 1, 2, 4, … 64. Whole ends give whole values where they are whole. */
static int read_range(const struct json *at, cJSON **values, struct error *err)
{
    static const char *const keys[] = {"from", "to", "steps", "log", NULL};
    double from = 0, to = 0;
    long long steps = 0;
    bool logarithmic = false;
    if (json_check_keys(at, keys, err) || json_read_number(at, "from", true, -1e15, 1e15, &from, err) ||
        json_read_number(at, "to", true, -1e15, 1e15, &to, err))
        return -1;
    if (!(from < to))
        return json_complain(at, "a range whose \"from\" is below its \"to\"", err);
    if (json_read_integer(at, "steps", true, 2, 100000, &steps, err) || json_read_bool(at, "log", &logarithmic, err))
        return -1;
    if (logarithmic && !(from > 0))
        return json_complain(at, "a range above 0 when \"log\" is true", err);
    *values = cJSON_CreateArray();
    for (long long i = 0; i < steps; i++) {
        double share = (double)i / (double)(steps - 1);
        double value = logarithmic ? from * pow(to / from, share) : from + share * (to - from);
        if (fabs(value - round(value)) < 1e-9 * fabs(value))
            value = round(value);
        cJSON_AddItemToArray(*values, cJSON_CreateNumber(value));
    }
    return 0;
}

static int read_axes(struct sweep *s, struct error *err)
{
    struct json vary = json_member(&s->root, "vary");
    if (!cJSON_IsObject(vary.node) || !vary.node->child)
        return json_complain(&vary, "an object of scenario paths, each with a list of values or a range", err);
    if (axes_check(&vary, SWEEP_AXES_MAX, sizeof s->axes->path, err))
        return -1;
    for (const cJSON *n = vary.node->child; n; n = n->next) {
        struct json at = json_member(&vary, n->string);
        struct sweep_axis *axis = &s->axes[s->axis_count];
        snprintf(axis->path, sizeof axis->path, "%s", n->string);
        if (cJSON_IsObject(n) ? read_range(&at, &axis->values, err) : 0)
            return -1;
        if (cJSON_IsArray(n) && n->child)
            axis->values = cJSON_Duplicate(n, 1);
        else if (!cJSON_IsObject(n))
            return json_complain(&at, "a list of values, or {\"from\", \"to\", \"steps\", \"log\"}", err);
        s->axis_count++;
        if (!axis->values)
            return error_no_memory(err);
    }
    return 0;
}

static int read_best(struct sweep *s, struct error *err)
{
    const char *best = NULL, *metric = "ttft_s.p99";
    struct json at = json_member(&s->root, "best"), named = json_member(&s->root, "metric");
    struct trial_result none = {0};
    double value;
    s->confidence = 0.95;
    s->indifference = 0.02;
    if (json_read_string(&s->root, "best", false, &best, err) ||
        json_read_string(&s->root, "metric", false, &metric, err) ||
        json_read_number(&s->root, "confidence", false, 0.5, 0.9999, &s->confidence, err) ||
        json_read_number(&s->root, "indifference", false, 1e-4, 1, &s->indifference, err))
        return -1;
    s->best = !best ? 0 : strcmp(best, "least") == 0 ? -1 : strcmp(best, "most") == 0 ? 1 : NAN;
    if (isnan(s->best))
        return json_complain(&at, "\"least\" or \"most\"", err);
    if (!trial_value(&none, metric, &value) || strlen(metric) >= sizeof s->metric)
        return json_complain(&named,
                             "a metric like \"ttft_s.p99\", or goodput_per_s, tokens_per_s, margin, attainment, "
                             "utilization, makespan_s, gpus",
                             err);
    snprintf(s->metric, sizeof s->metric, "%s", metric);
    return 0;
}

/* Of every point; or with a best or a precision to find, the most of one point. */
static int read_replications(struct sweep *s, struct error *err)
{
    struct json stated = json_member(&s->root, "replications"), precision = json_member(&s->root, "precision");
    if (s->best != 0 && precision.node)
        return json_complain(&precision, "\"best\" or \"precision\", not both", err);
    long long least = s->best != 0 ? FIRST_REPLICATIONS : s->precision > 0 ? 4 : 1, replications = 1;
    if (!stated.node)
        replications = s->best != 0 ? 64 : s->precision > 0 ? 1024 : 1;
    if (json_read_integer(&s->root, "replications", false, least, 100000, &replications, err))
        return -1;
    s->replications = (size_t)replications;
    return 0;
}

static int read_sweep(struct sweep *s, struct error *err)
{
    static const char *const keys[] = {"name",         "about",        "scenario", "vary",
                                       "replications", "precision",    "metric",   "best",
                                       "confidence",   "indifference", NULL};
    const char *name = NULL, *about = NULL;
    long long seed = 1;
    struct json at = json_member(&s->root, "scenario");
    if (json_check_keys(&s->root, keys, err) || json_read_string(&s->root, "name", false, &name, err) ||
        json_read_string(&s->root, "about", false, &about, err) ||
        json_read_number(&s->root, "precision", false, 1e-6, 1, &s->precision, err) || read_best(s, err) ||
        read_replications(s, err))
        return -1;
    if (cJSON_IsObject(at.node))
        s->scenario = at;
    else if (!cJSON_IsString(at.node))
        return json_complain(&at, "a scenario: a file, a shipped name, or an object", err);
    else if (shipped_load("scenario", at.node->valuestring, &s->scenario, err))
        return -1;
    s->owns_scenario = cJSON_IsString(at.node);
    if (json_read_integer(&s->scenario, "seed", false, 0, 9007199254740992, &seed, err))
        return -1;
    const cJSON *scenario_name = cJSON_GetObjectItemCaseSensitive(s->scenario.node, "name");
    snprintf(s->name, sizeof s->name, "%s",
             name                            ? name
             : cJSON_IsString(scenario_name) ? scenario_name->valuestring
                                             : "unnamed");
    s->seed = (uint64_t)seed;
    return read_axes(s, err);
}

int sweep_read(struct sweep *out, struct json root, struct error *err)
{
    *out = (struct sweep){.root = root};
    if (read_sweep(out, err) == 0 && memory_check(err) == 0)
        return 0;
    sweep_release(out);
    return -1;
}

void sweep_release(struct sweep *s)
{
    for (size_t i = 0; i < SWEEP_AXES_MAX; i++)
        cJSON_Delete(s->axes[i].values);
    if (s->owns_scenario)
        cJSON_Delete(node_of(&s->scenario));
    cJSON_Delete(node_of(&s->root));
    *s = (struct sweep){0};
}

void sweep_value_text(const struct sweep_point *p, size_t axis, char *out, size_t size)
{
    const cJSON *value = p->value[axis];
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(value, "name");
    if (cJSON_IsString(value)) {
        snprintf(out, size, "%s", value->valuestring);
    } else if (cJSON_IsNumber(value)) {
        snprintf(out, size, "%.6g", value->valuedouble);
    } else {
        char *text = cJSON_PrintUnformatted(value);
        snprintf(out, size, "%s",
                 cJSON_IsString(name) && !name->next && !name->prev ? name->valuestring
                 : text                                             ? text
                                                                    : "?");
        free(text);
    }
}

/* Appends "path=value" to a label, which is never cut: points are told apart by it. */
static int extend_label(char **label, const char *path, const char *value, struct error *err)
{
    size_t before = *label ? strlen(*label) : 0, size = before + strlen(path) + strlen(value) + 4;
    char *longer = realloc(*label, size);
    if (!longer)
        return error_no_memory(err);
    snprintf(longer + before, size - before, "%s%s=%s", before ? ", " : "", path, value);
    *label = longer;
    return 0;
}

/* The values of one point: lists are walked once, since a sweep may have a million points. */
struct chosen {
    const cJSON *value[SWEEP_AXES_MAX];
};

static void choose_first(const struct sweep *s, struct chosen *c)
{
    *c = (struct chosen){0};
    for (size_t i = 0; i < s->axis_count; i++)
        c->value[i] = s->axes[i].values->child;
}

/* The last axis goes on to its next value; one that has none begins again, and the axis before it goes on. */
static void choose_next(const struct sweep *s, struct chosen *c)
{
    for (size_t i = s->axis_count; i-- > 0;) {
        if ((c->value[i] = c->value[i]->next))
            return;
        c->value[i] = s->axes[i].values->child;
    }
}

static int set_value(const struct sweep *s, const char *path, const cJSON *value, struct json *scenario, char **label,
                     struct error *err)
{
    char *text = cJSON_PrintUnformatted(value);
    int status = text ? 0 : error_no_memory(err);
    if (status == 0)
        status =
            axis_set(scenario, path, text, s->root.file, "vary", err) || extend_label(label, path, text, err) ? -1 : 0;
    free(text);
    return status;
}

static int make_point(const struct sweep *s, const struct chosen *c, struct sweep_point *p, struct error *err)
{
    struct json at = s->scenario;
    at.node = cJSON_Duplicate(s->scenario.node, 1);
    int status = at.node ? 0 : error_no_memory(err);
    memcpy(p->value, c->value, sizeof p->value);
    for (size_t i = 0; status == 0 && i < s->axis_count; i++)
        workload_make_way(&at, s->axes[i].path);
    for (size_t i = 0; status == 0 && i < s->axis_count; i++)
        status = set_value(s, s->axes[i].path, c->value[i], &at, &p->label, err);
    p->scenario = status == 0 ? cJSON_PrintUnformatted(at.node) : NULL;
    cJSON_Delete(node_of(&at));
    if (status == 0 && !p->scenario)
        status = error_no_memory(err);
    if (status == 0) {
        point_init(&p->point, p->scenario, NULL, s->seed);
        p->point.label = p->label;
    }
    return status;
}

int sweep_points_make(const struct sweep *s, struct sweep_point **out, size_t *count, struct error *err)
{
    struct chosen chosen;
    size_t n = 1;
    for (size_t i = 0; i < s->axis_count; i++) {
        n *= (size_t)cJSON_GetArraySize(s->axes[i].values);
        if (n > SWEEP_POINTS_MAX)
            return error_set(err, ERROR_INPUT, "%s: vary: expected at most %d points in all, found more", s->root.file,
                             SWEEP_POINTS_MAX);
    }
    *out = calloc(n, sizeof **out);
    *count = n;
    int status = *out ? 0 : error_no_memory(err);
    choose_first(s, &chosen);
    for (size_t i = 0; status == 0 && i < n; i++, choose_next(s, &chosen))
        status = make_point(s, &chosen, &(*out)[i], err);
    if (status) {
        sweep_points_release(*out, n);
        *out = NULL;
    }
    return status;
}

void sweep_points_release(struct sweep_point *points, size_t count)
{
    for (size_t i = 0; points && i < count; i++) {
        free(points[i].label);
        free(points[i].scenario);
        point_release(&points[i].point);
    }
    free(points);
}

/* Twice as many replications for every point whose interval is still too wide. */
static int run_to_precision(const struct sweep *s, struct sweep_point *points, size_t count, struct point **open,
                            struct trial_pool *pool, struct error *err)
{
    size_t most = s->replications;
    for (size_t replications = 4;; replications = 2 * replications < most ? 2 * replications : most) {
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            struct estimate e = point_mean(&points[i].point, s->metric, 0.95);
            if (!points[i].point.failed && inference_relative_half_width(e) > s->precision)
                open[left++] = &points[i].point;
        }
        if (left == 0 || open[0]->count >= most)
            return 0;
        if (points_replicate(open, left, replications, pool, err))
            return -1;
    }
}

/* One replication more of all that are left, until one is. `sound` are those that can be run. */
static int select_best(const struct sweep *s, struct sweep_point **sound, size_t n, double indifference,
                       struct trial_pool *pool, struct error *err)
{
    struct selection *selection = selection_create(n, FIRST_REPLICATIONS, indifference, s->confidence);
    struct point **open = calloc(n, sizeof *open);
    double *values = calloc(n, sizeof *values);
    int status = selection && open && values ? 0 : error_no_memory(err);
    for (size_t r = 0; status == 0 && r < s->replications; r++) {
        size_t left = 0;
        for (size_t i = 0; i < n; i++)
            if (selection_holds(selection, i))
                open[left++] = &sound[i]->point;
        if (left == 1)
            break;
        status = points_replicate(open, left, r + 1, pool, err);
        for (size_t i = 0; status == 0 && i < n; i++)
            if (selection_holds(selection, i) && trial_value(&sound[i]->point.results[r], s->metric, &values[i]))
                values[i] *= s->best;
        if (status == 0)
            selection_add(selection, values);
    }
    for (size_t i = 0; status == 0 && i < n; i++)
        sound[i]->left_out = !selection_holds(selection, i);
    selection_destroy(selection);
    free(open);
    free(values);
    return status;
}

static int run_to_best(const struct sweep *s, struct sweep_point *points, size_t count, struct point **open,
                       struct trial_pool *pool, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        open[i] = &points[i].point;
    struct sweep_point **sound = calloc(count, sizeof *sound);
    int status = sound ? points_replicate(open, count, FIRST_REPLICATIONS, pool, err) : error_no_memory(err);
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        double value = point_mean(&points[i].point, s->metric, 0.95).value;
        points[i].left_out = points[i].point.failed || !isfinite(value);
        if (!points[i].left_out)
            sound[n++] = &points[i];
        sum += points[i].left_out ? 0 : fabs(value);
    }
    if (status == 0 && n > 1 && sum > 0)
        status = select_best(s, sound, n, s->indifference * sum / (double)n, pool, err);
    free(sound);
    return status;
}

int sweep_run(const struct sweep *s, struct sweep_point *points, size_t count, struct trial_pool *pool,
              struct error *err)
{
    struct point **open = calloc(count + 1, sizeof *open);
    if (!open)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        open[i] = &points[i].point;
    int status = s->best != 0       ? run_to_best(s, points, count, open, pool, err)
                 : s->precision > 0 ? run_to_precision(s, points, count, open, pool, err)
                                    : points_replicate(open, count, s->replications, pool, err);
    free(open);
    return status;
}
