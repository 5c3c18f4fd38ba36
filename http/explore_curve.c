/* SPDX-License-Identifier: MIT */
#include "http/explore_curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reports/store/store.h"
#include "simulation/simulation.h"
#include "workloads/source.h"

enum { POINTS_MOST = 32, REQUESTS_MOST = 50000 };

#define POINT_S 10.0 /* of the wall clock that a point may take */

struct curve {
    struct explorer *explorer;
    cJSON *settings;
    double rate_per_s;
    long long requests, points;
    int trace; /* a file of its own; -1: generated requests */
    double trace_per_s;
    bool keep;
    long long done;     /* points */
    double up_to_per_s; /* the last one's rate */
    char *line;         /* [length], of which `at` bytes have been sent */
    size_t length, at;
};

static void curve_done(void *state)
{
    struct curve *c = state;
    if (c->trace >= 0)
        close(c->trace);
    cJSON_Delete(c->settings);
    cJSON_free(c->line);
    free(c);
}

/* ---- one point ---- */

/* Names alone are taken for what may be a file, so that a link that somebody has shared opens none. */
static int check_setting(const cJSON *setting, struct error *err)
{
    static const char *const allowed[] = {"model", "device", "engine", "seed", "policy", "cluster", "workload", "slo"};
    const char *path = setting->string;
    size_t length = strcspn(path, ".");
    bool known = false;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        known |= strlen(allowed[i]) == length && strncmp(allowed[i], path, length) == 0;
    if (!known || strncmp(path, "workload.trace", 14) == 0)
        return error_set(
            err, ERROR_INPUT,
            "settings: %.100s: expected a path within model, device, engine, seed, policy, cluster, workload "
            "or slo",
            path);
    if (cJSON_IsString(setting) && strpbrk(setting->valuestring, "/\\."))
        for (const char *dot = setting->valuestring; (dot = strpbrk(dot, "/\\.")); dot++)
            if (*dot != '.' || strncmp(dot, ".json", 5) == 0 || strncmp(dot, ".so", 3) == 0)
                return error_set(err, ERROR_INPUT, "settings: %.100s: expected a name, found the path \"%.100s\"", path,
                                 setting->valuestring);
    bool limit = cJSON_IsObject(setting) && strncmp(path, "slo.", 4) == 0;
    for (const cJSON *v = limit ? setting->child : NULL; v; v = v->next)
        limit &= cJSON_IsNumber(v);
    if (!cJSON_IsString(setting) && !cJSON_IsNumber(setting) && !cJSON_IsBool(setting) && !limit)
        return error_set(err, ERROR_INPUT, "settings: %.100s: expected a name, a number, true or false", path);
    return 0;
}

static int set(struct json *root, const char *path, const cJSON *value, struct error *err)
{
    char *text = cJSON_PrintUnformatted(value);
    if (!text)
        return error_no_memory(err);
    workload_make_way(root, path);
    int status = json_set_path(root, path, text, err);
    cJSON_free(text);
    return status;
}

static int set_number(struct json *root, const char *path, double value, struct error *err)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    workload_make_way(root, path);
    return json_set_path(root, path, text, err);
}

static int set_workload(const struct curve *c, struct json *root, double rate, struct error *err)
{
    char path[64];
    if (c->trace < 0)
        return set_number(root, "workload.arrivals.rate_per_s", rate, err) ||
                       set_number(root, "workload.requests", (double)c->requests, err)
                   ? -1
                   : 0;
    snprintf(path, sizeof path, "\"/proc/self/fd/%d\"", c->trace);
    workload_make_way(root, "workload.trace");
    return json_set_path(root, "workload.trace", path, err) ||
                   set_number(root, "workload.rate_scale", rate / c->trace_per_s, err) ||
                   set_number(root, "workload.limit", (double)c->requests, err)
               ? -1
               : 0;
}

static int compile(const struct curve *c, double rate, struct simulation **out, struct error *err)
{
    struct json root;
    if (json_parse(c->explorer->text, "scenario", &root, err))
        return -1;
    int status = 0;
    for (const cJSON *s = c->settings ? c->settings->child : NULL; s && status == 0; s = s->next)
        status = check_setting(s, err) || set(&root, s->string, s, err) ? -1 : 0;
    if (status || set_workload(c, &root, rate, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return simulation_open_with(root, c->explorer->costs, out, err);
}

/* Ends a run that takes too long, or when the program is to end. */
struct patience {
    volatile sig_atomic_t over;
    const volatile sig_atomic_t *stop;
    struct timespec began;
};

static void tick(void *state, const struct cluster_totals *so_far)
{
    struct patience *p = state;
    struct timespec now;
    (void)so_far;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double took = (double)(now.tv_sec - p->began.tv_sec) + (double)(now.tv_nsec - p->began.tv_nsec) * 1e-9;
    p->over = took > POINT_S || (p->stop && *p->stop);
}

static bool add(cJSON *o, const char *key, double v)
{
    return (isfinite(v) ? cJSON_AddNumberToObject(o, key, v) : cJSON_AddNullToObject(o, key)) != NULL;
}

static void add_latency(cJSON *root, const struct run_summary *r, enum metric which)
{
    cJSON *o = cJSON_AddObjectToObject(root, metric_names[which]);
    for (size_t i = 0; i < STAT_COUNT; i++)
        add(o, statistic_names[i], r->metrics[which].at[i].value * 1e-9);
}

static double gpus_of(const struct scenario *s)
{
    double gpus = 0;
    for (size_t i = 0; i < s->cluster.pool_count; i++) {
        const struct parallel *p = &s->pools[i].parallel;
        gpus +=
            (double)s->cluster.pools[i].stations * (p->tensor > 1 ? p->tensor : 1) * (p->stages > 1 ? p->stages : 1);
    }
    return gpus;
}

static void describe(cJSON *o, const struct simulation *s, double rate)
{
    const struct run_summary *r = &s->summary;
    cJSON *parts = cJSON_AddObjectToObject(o, "parts");
    add(o, "rate_per_s", rate);
    add_latency(o, r, METRIC_TTFT);
    add_latency(o, r, METRIC_TPOT);
    add_latency(o, r, METRIC_E2E);
    add(o, "requests_per_s", r->requests_per_s);
    add(o, "output_tokens_per_s", r->output_tokens_per_s);
    add(o, "sustainable_per_s", r->sustainable_per_s);
    add(o, "gpus", gpus_of(&s->scenario));
    add(o, "price_per_hour", scenario_cost(&s->scenario)->device.price_per_hour);
    add(o, "unserved", (double)(r->totals.rejected + r->totals.lost + r->totals.unfinished));
    add(o, "requests", (double)r->totals.arrived);
    cJSON_AddBoolToObject(o, "overloaded", r->overloaded);
    cJSON_AddBoolToObject(o, "asked", r->slo.asked);
    cJSON_AddBoolToObject(o, "met", r->slo.asked && r->slo.met);
    cJSON_AddStringToObject(o, "binding", r->slo.binding);
    cJSON_AddStringToObject(o, "costs", scenario_cost(&s->scenario)->device.source);
    for (size_t i = 0; i < PART_COUNT; i++)
        add(parts, time_part_names[i], r->part_share[i]);
}

static int keep(const struct curve *c, struct simulation *s, double rate, cJSON *o, struct error *err)
{
    struct store *store = NULL;
    char name[sizeof s->scenario.name];
    snprintf(name, sizeof name, "explored: %.40s on %g × %.30s at %.4g/s", scenario_cost(&s->scenario)->model.name,
             gpus_of(&s->scenario), scenario_cost(&s->scenario)->device.name, rate);
    snprintf(s->scenario.name, sizeof s->scenario.name, "%s", name);
    int64_t id = store_open(c->explorer->database, &store, err) ? -1 : simulation_keep(s, store, err);
    store_close(store);
    return id < 0 || !cJSON_AddNumberToObject(o, "kept", (double)id) ? -1 : 0;
}

static int run_point(const struct curve *c, double rate, cJSON *o, struct error *err)
{
    struct simulation *s = NULL;
    struct patience patience = {.stop = c->explorer->stop};
    if (compile(c, rate, &s, err))
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &patience.began);
    const struct simulation_options options = {.control = {.stop = &patience.over, .tick = tick, .state = &patience},
                                               .sustainable = true};
    int status = simulation_run(s, &options, err);
    if (status == 0 && s->summary.totals.stopped)
        status = error_set(err, ERROR_RUN, "a point took longer than %.0f s: ask for fewer requests", POINT_S);
    if (status == 0)
        describe(o, s, rate);
    if (status == 0 && c->keep)
        status = keep(c, s, rate, o, err);
    simulation_close(s);
    return status;
}

/* ---- all of them ---- */

/* The one that is asked for comes first; the others are spread evenly up to a quarter more than can be sustained. */
static double rate_of(const struct curve *c)
{
    return c->done == 0 ? c->rate_per_s : c->up_to_per_s * (double)c->done / (double)(c->points - 1);
}

static void find_end(struct curve *c, const cJSON *first)
{
    double sustained = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(first, "sustainable_per_s"));
    c->up_to_per_s = isfinite(sustained) && sustained > 0 ? 1.25 * sustained : 2 * c->rate_per_s;
    if (c->up_to_per_s < 1.1 * c->rate_per_s)
        c->up_to_per_s = 1.1 * c->rate_per_s;
}

static char *next_line(struct curve *c)
{
    struct error err = {0};
    cJSON *o = cJSON_CreateObject();
    pthread_mutex_lock(&c->explorer->turn);
    int status = run_point(c, rate_of(c), o, &err);
    pthread_mutex_unlock(&c->explorer->turn);
    if (status) {
        cJSON_Delete(o);
        o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "error", err.text);
        c->done = c->points;
    } else if (c->done == 0) {
        find_end(c, o);
    }
    c->done++;
    char *text = cJSON_PrintUnformatted(o), *line = text ? http_text("%s\n", text) : NULL;
    cJSON_free(text);
    cJSON_Delete(o);
    return line;
}

static ssize_t curve_read(void *state, char *out, size_t room)
{
    struct curve *c = state;
    if (c->at == c->length) {
        if (c->done >= c->points || (c->explorer->stop && *c->explorer->stop))
            return 0;
        cJSON_free(c->line);
        c->line = next_line(c);
        c->at = 0;
        c->length = c->line ? strlen(c->line) : 0;
        if (!c->line)
            return -1;
    }
    size_t size = c->length - c->at < room ? c->length - c->at : room;
    memcpy(out, c->line + c->at, size);
    c->at += size;
    return (ssize_t)size;
}

static int read_curve(struct curve *c, struct json *root, struct error *err)
{
    bool trace = false;
    struct json settings = json_member(root, "settings");
    static const char *const keys[] = {"settings", "rate_per_s", "requests", "points", "trace", "keep", NULL};
    if (json_check_keys(root, keys, err) ||
        json_read_number(root, "rate_per_s", true, 1e-6, 1e9, &c->rate_per_s, err) ||
        json_read_integer(root, "requests", false, 10, REQUESTS_MOST, &c->requests, err) ||
        json_read_integer(root, "points", false, 1, POINTS_MOST, &c->points, err) ||
        json_read_bool(root, "trace", &trace, err) || json_read_bool(root, "keep", &c->keep, err))
        return -1;
    if (settings.node && !cJSON_IsObject(settings.node))
        return json_complain(&settings, "an object", err);
    c->settings = settings.node
                      ? cJSON_DetachItemViaPointer((cJSON *)(uintptr_t)root->node, (cJSON *)(uintptr_t)settings.node)
                      : NULL;
    if (c->keep)
        c->points = 1;
    if (!trace)
        return 0;
    pthread_mutex_lock(&c->explorer->turn);
    c->trace = c->explorer->trace >= 0 ? dup(c->explorer->trace) : -1;
    c->trace_per_s = c->explorer->trace_per_s;
    pthread_mutex_unlock(&c->explorer->turn);
    return c->trace >= 0 ? 0 : error_set(err, ERROR_INPUT, "trace: no trace has been dropped");
}

void curve_begin(struct explorer *e, const struct http_request *request, struct http_answer *out)
{
    struct json root = {0};
    struct error err = {0};
    struct curve *c = calloc(1, sizeof *c);
    if (!c) {
        explorer_refuse(out, 503, "memory is short");
        return;
    }
    *c = (struct curve){.explorer = e, .requests = 1000, .points = 13, .trace = -1};
    if (json_parse(request->body, "request", &root, &err)) {
        explorer_refuse(out, 400, err.text);
        curve_done(c);
        return;
    }
    int status = cJSON_IsObject(root.node) ? read_curve(c, &root, &err) : json_complain(&root, "an object", &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    if (status) {
        explorer_refuse(out, 400, err.text);
        curve_done(c);
        return;
    }
    *out = (struct http_answer){.type = "application/x-ndjson", .read = curve_read, .done = curve_done, .state = c};
}
