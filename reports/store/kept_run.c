/* SPDX-License-Identifier: MIT */
#include "reports/store/kept_run.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "policies/plugins.h"

enum { TAIL_POINTS_MAX = 600 };

static const double TAIL_LEAST = 1e-4;

static int take_metric(void *state, int columns, char **values, struct error *err)
{
    struct kept_run *r = state;
    (void)columns;
    struct metric_row *grown = array_grow(r->rows, &r->capacity, r->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    r->rows = grown;
    struct metric_row *m = &grown[r->count++];
    *m = (struct metric_row){.name = strdup(kept_text(values[0])),
                             .scope = strdup(kept_text(values[1])),
                             .statistic = strdup(kept_text(values[2])),
                             .unit = strdup(kept_text(values[6])),
                             .value = kept_number(values[3]),
                             .low = kept_number(values[4]),
                             .high = kept_number(values[5])};
    return m->name && m->scope && m->statistic && m->unit ? 0 : error_no_memory(err);
}

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct kept_run *r = state;
    (void)columns;
    for (int i = 0; i < RUN_TEXTS; i++) {
        bool optional = i == RUN_SLO_MET || i == RUN_SLO_BINDING || i == RUN_UNSERVED_REASON;
        if ((values[i] || !optional) && !(r->texts[i] = strdup(kept_text(values[i]))))
            return error_no_memory(err);
    }
    r->wall_s = kept_number(values[RUN_TEXTS]);
    r->scenario = cJSON_Parse(kept_text(values[RUN_TEXTS + 1]));
    return r->scenario ? 0 : error_set(err, ERROR_INPUT, "run %lld: its kept scenario is not JSON", (long long)r->id);
}

int kept_run_read(struct kept_run *r, struct store *store, int64_t id, struct error *err)
{
    *r = (struct kept_run){.store = store, .id = id};
    if (store_read(store, take_run, r, err,
                   "SELECT name, seed, program_version, started_at, model, device, cost_source, slo_met, status, "
                   "batching, slo_binding, unserved_reason, wall_s, scenario FROM run WHERE id = ?",
                   "i", id))
        return -1;
    if (!r->scenario)
        return error_set(err, ERROR_INPUT, "there is no run %lld", (long long)id);
    return store_read(store, take_metric, r, err,
                      "SELECT name, scope, statistic, value, ci_low, ci_high, unit FROM metric WHERE run_id = ?", "i",
                      id);
}

void kept_run_release(struct kept_run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->rows[i].name);
        free(r->rows[i].scope);
        free(r->rows[i].statistic);
        free(r->rows[i].unit);
    }
    for (int i = 0; i < RUN_TEXTS; i++)
        free(r->texts[i]);
    free(r->rows);
    cJSON_Delete(r->scenario);
    *r = (struct kept_run){0};
}

static const struct plugin *plugin_that_brings(const char *axis_name, const char *policy)
{
    for (int axis = 0; axis < POLICY_AXES; axis++) {
        const void *found =
            strcmp(policy_axis_names[axis], axis_name) == 0 ? policy_find((enum policy_axis)axis, policy) : NULL;
        if (found)
            return plugin_of((enum policy_axis)axis, found);
    }
    return NULL;
}

static int check_plugin(void *state, int columns, char **values, struct error *err)
{
    const struct kept_run *r = state;
    (void)columns;
    const struct plugin *p = plugin_that_brings(values[0], values[1]);
    if (!p)
        return error_set(
            err, ERROR_INPUT,
            "run %lld: its policy \"%.64s\" (%.20s) is of the plug-in %.200s (SHA-256 %.64s), which is not "
            "loaded: name that file on the command line, --plugin PATH",
            (long long)r->id, values[1], values[0], values[2], values[3]);
    return strcmp(p->sha256, values[3]) == 0
               ? 0
               : error_set(err, ERROR_INPUT,
                           "run %lld: its policy \"%.64s\" (%.20s) is of a plug-in %.200s with SHA-256 %.64s, and %s, "
                           "which is loaded, is another file, with SHA-256 %s",
                           (long long)r->id, values[1], values[0], values[2], values[3], p->path, p->sha256);
}

int kept_run_check_plugins(const struct kept_run *r, struct error *err)
{
    return store_read(
        r->store, check_plugin, (void *)(uintptr_t)r, err,
        "SELECT ifnull(axis, ''), ifnull(policy, ''), ifnull(file, ''), ifnull(sha256, '') FROM run_plugin "
        "WHERE run_id = ? ORDER BY axis, policy",
        "i", r->id);
}

static int take_id(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(int64_t *)state = kept_integer(values[0]);
    return 0;
}

int kept_run_last(struct store *store, int64_t *id, struct error *err)
{
    *id = 0;
    if (store_read(store, take_id, id, err, "SELECT max(id) FROM run", ""))
        return -1;
    return *id ? 0 : error_set(err, ERROR_INPUT, "there is no run to report");
}

const struct metric_row *kept_run_find(const struct kept_run *r, const char *name, const char *scope,
                                       const char *statistic)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->rows[i].name, name) == 0 && strcmp(r->rows[i].scope, scope) == 0 &&
            strcmp(r->rows[i].statistic, statistic) == 0)
            return &r->rows[i];
    return NULL;
}

double kept_run_value(const struct kept_run *r, const char *name, const char *scope, const char *statistic)
{
    const struct metric_row *m = kept_run_find(r, name, scope, statistic);
    return m ? m->value : NAN;
}

double kept_run_single(const struct kept_run *r, const char *name)
{
    return kept_run_value(r, name, "run", "value");
}

static int take_target(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(struct target_row *)state = (struct target_row){.value = kept_number(values[0]),
                                                      .judged = values[1] != NULL,
                                                      .met = kept_number(values[1]) > 0};
    return 0;
}

bool kept_run_target(const struct kept_run *r, const char *scope, const char *name, const char *statistic,
                     struct target_row *out)
{
    *out = (struct target_row){.value = INFINITY};
    store_read_optional(
        r->store, take_target, out,
        "SELECT value, met FROM slo_target WHERE run_id = ? AND scope = ? AND name = ? AND statistic = ?", "isss",
        r->id, scope, name, statistic);
    return out->value < INFINITY || isnan(out->value);
}

bool kept_run_overloaded(const struct kept_run *r)
{
    return kept_run_single(r, "overloaded") > 0;
}

const char *kept_run_verdict(const struct kept_run *r)
{
    const char *met = r->texts[RUN_SLO_MET];
    return kept_run_overloaded(r) ? "Overloaded"
           : !met                 ? "No SLO was asked for"
           : kept_number(met) > 0 ? "SLO met"
                                  : "SLO not met";
}

double kept_run_limit(const struct kept_run *r, const char *metric, const char *statistic)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(r->scenario, "slo");
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(slo, metric);
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(limits, statistic);
    return cJSON_IsNumber(limit) ? limit->valuedouble : 0;
}

static int take_point(void *state, int columns, char **values, struct error *err)
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
    c->x[c->count] = kept_number(values[0]);
    c->y[c->count++] = kept_number(values[1]);
    return 0;
}

void curve_release(struct curve *c)
{
    free(c->x);
    free(c->y);
    *c = (struct curve){0};
}

int curve_read(struct curve *c, struct store *store, struct error *err, const char *sql, const char *types, int64_t run,
               const char *name)
{
    *c = (struct curve){0};
    return store_read(store, take_point, c, err, sql, types, run, name);
}

int curve_read_tail(struct curve *c, const struct kept_run *r, const char *metric, struct error *err)
{
    if (curve_read(c, r->store, err,
                   "SELECT value_s, sum(CASE scope WHEN 'run' THEN count ELSE -count END) AS n FROM histogram WHERE "
                   "run_id = ? "
                   "AND name = ? AND scope IN ('run', 'warmup') GROUP BY value_s HAVING n > 0 ORDER BY value_s",
                   "is", r->id, metric))
        return -1;
    double total = 0, below = 0;
    for (size_t i = 0; i < c->count; i++)
        total += c->y[i];
    size_t kept = 0, step = c->count / TAIL_POINTS_MAX + 1, all = c->count;
    for (size_t i = 0; i < all && (kept == 0 || c->y[kept - 1] > TAIL_LEAST); i++) {
        below += c->y[i];
        if (i % step != 0 && i + 1 != all)
            continue;
        c->x[kept] = c->x[i];
        c->y[kept++] = fmax(1 - below / total, TAIL_LEAST / 2);
    }
    c->count = kept;
    return 0;
}
