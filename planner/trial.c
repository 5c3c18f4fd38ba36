/* SPDX-License-Identifier: MIT */
#include "planner/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/simulation.h"

const char *const scale_names[SCALE_COUNT] = {"rate", "prompt lengths", "output lengths", "kernel times", "limits"};

static int multiply(cJSON *object, const char *key, double factor, struct error *err)
{
    if (factor == 1)
        return 0;
    cJSON *old = cJSON_GetObjectItemCaseSensitive(object, key);
    double value = cJSON_IsNumber(old) ? old->valuedouble * factor : factor;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddNumberToObject(object, key, value) ? 0 : error_no_memory(err);
}

int trial_scale_times(cJSON *root, double factor, struct error *err)
{
    if (factor == 1)
        return 0;
    cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "techniques");
    char text[160];
    snprintf(text, sizeof text,
             "{\"name\":\"what if\",\"paper\":\"none\",\"changes\":[{\"name\":\"time\",\"factor\":%.17g}]}", factor);
    if (!list)
        list = cJSON_AddArrayToObject(root, "techniques");
    cJSON *technique = cJSON_Parse(text);
    if (list && technique && cJSON_AddItemToArray(list, technique))
        return 0;
    cJSON_Delete(technique);
    return error_no_memory(err);
}

/* {"ttft_s": {"p99": 1}} becomes {"ttft_s": {"p99": 1 / factor}}, in classes, too. */
static void tighten(cJSON *slo, double factor)
{
    for (cJSON *at = cJSON_IsObject(slo) ? slo->child : NULL; at; at = at->next) {
        size_t length = at->string ? strlen(at->string) : 0;
        bool latency = length > 2 && strcmp(at->string + length - 2, "_s") == 0;
        for (cJSON *limit = latency && cJSON_IsObject(at) ? at->child : NULL; limit; limit = limit->next)
            if (cJSON_IsNumber(limit))
                cJSON_SetNumberValue(limit, limit->valuedouble / factor);
        if (!latency && (cJSON_IsObject(at) || cJSON_IsArray(at)))
            for (cJSON *inner = at->child; inner; inner = inner->next)
                tighten(inner, factor);
    }
}

static int apply_scales(const struct trial *t, struct json *root, struct error *err)
{
    static const char *const keys[SCALE_TIME] = {"rate_scale", "prompt_scale", "output_scale"};
    cJSON *node = (cJSON *)(uintptr_t)root->node;
    cJSON *workload = cJSON_GetObjectItemCaseSensitive(node, "workload");
    for (int i = 0; cJSON_IsObject(workload) && i < SCALE_TIME; i++)
        if (multiply(workload, keys[i], t->scales[i], err))
            return -1;
    if (t->scales[SCALE_LIMITS] > 0 && t->scales[SCALE_LIMITS] != 1)
        tighten(cJSON_GetObjectItemCaseSensitive(node, "slo"), t->scales[SCALE_LIMITS]);
    cJSON_DeleteItemFromObjectCaseSensitive(node, "seed");
    if (!cJSON_AddNumberToObject(node, "seed", (double)t->seed))
        return error_no_memory(err);
    return trial_scale_times(node, t->scales[SCALE_TIME], err);
}

/* GPUs of a station's replicas, or of a group of ranks that step together. */
static double gpus_together(const struct pool_config *pool, const struct cost_model *cost)
{
    size_t replicas = pool->ranks > 1 ? pool->ranks : pool->tied;
    return (double)(replicas > 0 ? replicas : 1) * cost->parallel.tensor;
}

void trial_take_held(const struct scenario *s, size_t pool_index, struct held_gpus *out)
{
    const struct cost_model *cost = &s->pools[pool_index].cost;
    const struct pool_config *pool = &s->cluster.pools[pool_index];
    *out = (struct held_gpus){.gpus = (double)pool_replicas(pool) * cost->parallel.tensor,
                              .together = gpus_together(pool, cost),
                              .price_per_h = cost->device.price_per_hour,
                              .power_w = cost->device.power_w};
    out->mean = out->gpus;
    snprintf(out->pool, sizeof out->pool, "%s", pool->name);
    snprintf(out->device, sizeof out->device, "%s", cost->device_name);
}

static void take_held(const struct scenario *s, const struct run_summary *r, struct trial_result *out)
{
    out->pool_count = s->cluster.pool_count;
    for (size_t i = 0; i < out->pool_count; i++) {
        trial_take_held(s, i, &out->held[i]);
        out->held[i].mean = r->totals.held_s[i] / r->duration_s * s->pools[i].cost.parallel.tensor;
    }
}

static void take_reason(const struct run_metrics *m, const struct run_summary *r, struct trial_result *out)
{
    const char *reason = r->totals.finished == r->totals.arrived ? ""
                         : r->totals.rejected                    ? m->reject_reason
                         : r->totals.lost                        ? m->lose_reason
                                                                 : "not finished when nothing could go on";
    snprintf(out->reason, sizeof out->reason, "%s", reason ? reason : "");
}

static bool binds_unserved(const struct scenario *s, const struct slo_verdict *verdict)
{
    for (size_t i = 0; i < s->slo.count; i++)
        if (isinf(verdict->limits[i].value) && verdict->limits[i].margin == verdict->margin)
            return true;
    return false;
}

static void take_margin(const struct scenario *s, const struct run_summary *r, struct trial_result *out)
{
    out->margin = r->overloaded ? fmin(r->slo.margin, -0.05) : r->slo.margin;
    if (r->overloaded)
        snprintf(out->binding, sizeof out->binding, "a queue that grows");
    else
        snprintf(out->binding, sizeof out->binding, "%s%s", r->slo.binding,
                 binds_unserved(s, &r->slo) ? BINDING_UNSERVED : "");
}

static void take_summary(const struct scenario *s, const struct run_summary *r, struct trial_result *out)
{
    for (int m = 0; m < METRIC_COUNT; m++)
        for (int k = 0; k < STAT_COUNT; k++)
            out->metrics[m][k] = r->metrics[m].count ? r->metrics[m].at[k].value * 1e-9 : NAN;
    take_margin(s, r, out);
    out->attainment = r->slo.attainment[0].value;
    out->goodput_per_s = r->goodput_per_s;
    out->requests_per_s = r->requests_per_s;
    out->tokens_per_s = r->input_tokens_per_s + r->output_tokens_per_s;
    out->utilization = r->utilization;
    out->duration_s = r->duration_s;
    out->arrived = r->totals.arrived;
    out->finished = r->totals.finished;
    out->rejected = r->totals.rejected;
    out->slo_met = r->slo.met && !r->overloaded;
    out->overloaded = r->overloaded;
    take_held(s, r, out);
}

static int keep(struct simulation *s, struct store *store, struct trial_result *out, struct error *err)
{
    store_coarsen_histograms(store);
    return simulation_keep(s, store, err) < 0 || store_serialize(store, &out->rows, &out->row_bytes, err) ? -1 : 0;
}

static int simulate(const struct trial *t, struct simulation *s, struct store *store, const volatile sig_atomic_t *stop,
                    struct trial_result *out, struct error *err)
{
    struct simulation_options o = {.control = {.stop = stop}, .store = store, .sustainable = t->keep_rows};
    if (simulation_run(s, &o, err))
        return -1;
    if (s->summary.totals.stopped)
        return error_set(err, ERROR_RUN, "interrupted");
    out->wall_s = s->wall_s;
    take_summary(&s->scenario, &s->summary, out);
    take_reason(&s->metrics, &s->summary, out);
    return store ? keep(s, store, out, err) : 0;
}

static int open_and_run(const struct trial *t, const volatile sig_atomic_t *stop, struct shared_costs *costs,
                        struct trial_result *out, struct error *err)
{
    struct json root;
    struct simulation *s = NULL;
    struct store *store = NULL;
    if (json_parse(t->scenario, "scenario", &root, err))
        return -1;
    if (apply_scales(t, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    if (simulation_open_with(root, costs, &s, err))
        return -1;
    int status =
        (t->keep_rows && store_open(":memory:", &store, err)) || simulate(t, s, store, stop, out, err) ? -1 : 0;
    store_close(store);
    simulation_close(s);
    return status;
}

int trial_run(const struct trial *t, const volatile sig_atomic_t *stop, struct shared_costs *costs,
              struct trial_result *out, struct error *err)
{
    struct error own = {0};
    *out = (struct trial_result){0};
    if (open_and_run(t, stop, costs, out, &own) == 0)
        return memory_check(err);
    bool its_fault = own.code == ERROR_INPUT || own.code == ERROR_RUN; /* not the memory's, nor a file's */
    if (memory_check(&own) || !its_fault || (stop && *stop)) {
        *err = own;
        return -1;
    }
    *out = (struct trial_result){.failed = true, .code = own.code};
    snprintf(out->message, sizeof out->message, "%.*s", (int)sizeof out->message - 1, own.text);
    return 0;
}

double trial_gpus(const struct trial_result *r)
{
    double gpus = 0;
    for (size_t i = 0; i < r->pool_count; i++)
        gpus += r->held[i].mean;
    return gpus;
}

bool trial_value(const struct trial_result *r, const char *name, double *out)
{
    const struct {
        const char *name;
        double value;
    } values[] = {{"margin", r->margin},
                  {"attainment", r->attainment},
                  {"goodput_per_s", r->goodput_per_s},
                  {"requests_per_s", r->requests_per_s},
                  {"tokens_per_s", r->tokens_per_s},
                  {"utilization", r->utilization},
                  {"makespan_s", r->duration_s},
                  {"gpus", trial_gpus(r)},
                  {"rejected", (double)r->rejected},
                  {"unserved", r->arrived ? 1 - (double)r->finished / (double)r->arrived : NAN}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(values[i].name, name) == 0) {
            *out = values[i].value;
            return true;
        }
    const char *dot = strchr(name, '.');
    char metric[24];
    if (!dot || (size_t)(dot - name) >= sizeof metric)
        return false;
    snprintf(metric, sizeof metric, "%.*s", (int)(dot - name), name);
    enum metric m = metric_find(metric);
    for (int k = 0; m < METRIC_COUNT && k < STAT_COUNT; k++)
        if (strcmp(statistic_names[k], dot + 1) == 0) {
            *out = r->metrics[m][k];
            return true;
        }
    return false;
}

/* By counting: of a trace all of it, of a generator that does not say its rate some ten thousand. */
static int count_rate(const struct json *workload, double *rate_per_s, struct error *err)
{
    struct request_source source;
    struct arrival a;
    uint64_t count = 0;
    sim_time last = 0;
    int got = 0;
    if (workload_create(workload, 1, &source, err))
        return -1;
    bool waits = source.finished != NULL;
    while (!waits && (got = source.next(source.state, &a, err)) == 1 && ++count < 10000000)
        last = a.at;
    request_source_destroy(&source);
    if (got < 0)
        return -1;
    if (waits || last == 0)
        return error_set(err, ERROR_INPUT,
                         "workload: expected arrivals at a rate, found a closed loop or all of them at once");
    *rate_per_s = (double)(count > 1 ? count - 1 : 1) / sim_time_to_s(last);
    return 0;
}

int trial_base_rate(const struct json *scenario, double *rate_per_s, struct error *err)
{
    struct json workload = json_member(scenario, "workload"), arrivals = json_member(&workload, "arrivals");
    double stated = 0, scale = 1;
    struct json rate = json_member(&arrivals, "rate_per_s");
    if (!cJSON_IsNumber(rate.node))
        return count_rate(&workload, rate_per_s, err);
    if (json_read_number(&arrivals, "rate_per_s", true, 1e-9, 1e9, &stated, err) ||
        json_read_number(&workload, "rate_scale", false, 1e-6, 1e6, &scale, err))
        return -1;
    *rate_per_s = stated * scale;
    return 0;
}
