/* SPDX-License-Identifier: MIT */
/* The public library (include/tandem/tandem.h) on simulation.h. */
#include "include/tandem/tandem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "policies/plugins.h"
#include "profiles/shipped.h"
#include "reports/stats/run_values.h"
#include "simulation/simulation.h"

struct tandem_run {
    struct json root;
    struct simulation *simulation; /* the last one; NULL: none that went well */
    struct store *store;           /* NULL: rows are kept nowhere */
    volatile sig_atomic_t stop;
    void (*finished)(void *state, const tandem_request *request);
    void *state;
    char value_name[64]; /* that tandem_value_name gave last */
};

const char *tandem_version(void)
{
    return TANDEM_VERSION;
}

int tandem_api_major(void)
{
    return TANDEM_API_MAJOR;
}

/* Tells the caller, in the public words; the next call begins with memory. Returns -1. */
static int fail(const struct error *own, tandem_error *err)
{
    static const int codes[] = {[ERROR_NONE] = TANDEM_FAILED,
                                [ERROR_INPUT] = TANDEM_BAD_INPUT,
                                [ERROR_IO] = TANDEM_IO,
                                [ERROR_MEMORY] = TANDEM_NO_MEMORY,
                                [ERROR_RUN] = TANDEM_FAILED};
    memory_forget_failure();
    if (!err)
        return -1;
    err->code = codes[own->code];
    snprintf(err->text, sizeof err->text, "%s", own->text);
    return -1;
}

static int succeed(tandem_error *err)
{
    memory_forget_failure();
    if (err)
        *err = (tandem_error){.code = TANDEM_OK};
    return 0;
}

int tandem_plugin_load(const char *path, tandem_error *err)
{
    struct error own = {0};
    return plugin_load(path, &own) ? fail(&own, err) : succeed(err);
}

static tandem_run *open_root(struct json root, tandem_error *err)
{
    struct error own = {0};
    tandem_run *run = calloc(1, sizeof *run);
    if (run) {
        run->root = root;
        succeed(err);
        return run;
    }
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    error_no_memory(&own);
    fail(&own, err);
    return NULL;
}

tandem_run *tandem_open(const char *scenario, tandem_error *err)
{
    struct error own = {0};
    struct json root;
    if (shipped_load("scenario", scenario, &root, &own) == 0)
        return open_root(root, err);
    fail(&own, err);
    return NULL;
}

tandem_run *tandem_open_text(const char *json, tandem_error *err)
{
    struct error own = {0};
    struct json root;
    if (json_parse(json, "scenario", &root, &own) == 0)
        return open_root(root, err);
    fail(&own, err);
    return NULL;
}

int tandem_set(tandem_run *run, const char *path, const char *value, tandem_error *err)
{
    struct error own = {0};
    workload_make_way(&run->root, path);
    return json_set_path(&run->root, path, value, &own) ? fail(&own, err) : succeed(err);
}

int tandem_on_finished(tandem_run *run, void (*finished)(void *state, const tandem_request *request), void *state,
                       size_t size, tandem_error *err)
{
    struct error own = {0};
    if (size > sizeof(tandem_request)) { /* fewer fields are the first of ours */
        error_set(&own, ERROR_INPUT, "tandem_on_finished: a request has %zu bytes, found %zu: the library is older",
                  sizeof(tandem_request), size);
        return fail(&own, err);
    }
    run->finished = finished;
    run->state = state;
    return succeed(err);
}

static void tell(void *state, struct station_id station, const struct request *r)
{
    const tandem_run *run = state;
    const tandem_request request = {.id = r->id,
                                    .station = station.index,
                                    .prompt_tokens = r->prompt_tokens,
                                    .output_tokens = r->output_tokens,
                                    .cached_tokens = r->prefix_cached_tokens,
                                    .preemptions = r->preemptions,
                                    .arrival_s = sim_time_to_s(r->arrival),
                                    .first_scheduled_s = sim_time_to_s(r->first_scheduled),
                                    .first_token_s = sim_time_to_s(r->first_token),
                                    .last_token_s = sim_time_to_s(r->last_token),
                                    .answered_s = sim_time_to_s(request_answered(r))};
    run->finished(run->state, &request);
}

int tandem_simulate(tandem_run *run, tandem_error *err)
{
    struct error own = {0};
    struct json root = run->root;
    const struct observer observer = {.state = run, .finished = tell};
    const struct simulation_options o = {.observers = run->finished ? &observer : NULL,
                                         .control = {.stop = &run->stop},
                                         .store = run->store,
                                         .sustainable = true};
    simulation_close(run->simulation);
    run->simulation = NULL;
    root.node = cJSON_Duplicate(run->root.node, 1);
    int status = root.node ? simulation_open(root, &run->simulation, &own) : error_no_memory(&own);
    if (status == 0 && (status = simulation_run(run->simulation, &o, &own))) {
        simulation_close(run->simulation);
        run->simulation = NULL;
    }
    run->stop = 0;
    return status ? fail(&own, err) : succeed(err);
}

void tandem_stop(tandem_run *run)
{
    run->stop = 1;
}

/* A latency's statistic, or NULL. */
static const struct estimate *find(const tandem_run *run, const char *metric, const char *statistic)
{
    size_t m = 0, k = 0;
    while (m < METRIC_COUNT && strcmp(metric_names[m], metric) != 0)
        m++;
    while (k < STAT_COUNT && strcmp(statistic_names[k], statistic) != 0)
        k++;
    if (!run->simulation || m == METRIC_COUNT || k == STAT_COUNT || !run->simulation->summary.metrics[m].count)
        return NULL;
    return &run->simulation->summary.metrics[m].at[k];
}

double tandem_metric(const tandem_run *run, const char *metric, const char *statistic)
{
    const struct estimate *e = find(run, metric, statistic);
    return e ? e->value * 1e-9 : NAN;
}

void tandem_interval(const tandem_run *run, const char *metric, const char *statistic, double *low, double *high)
{
    const struct estimate *e = find(run, metric, statistic);
    *low = e ? e->low * 1e-9 : NAN;
    *high = e ? e->high * 1e-9 : NAN;
}

double tandem_value(const tandem_run *run, const char *name)
{
    if (!run->simulation)
        return NAN;
    const struct cluster_totals *t = &run->simulation->summary.totals;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"arrived", t->arrived}, {"finished", t->finished},     {"rejected", t->rejected},
                  {"lost", t->lost},       {"unfinished", t->unfinished}, {"iterations", t->iterations}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (strcmp(counts[i].name, name) == 0)
            return (double)counts[i].value;
    double value = NAN;
    run_value_find(&run->simulation->summary, name, &value);
    return value;
}

const char *tandem_metric_name(size_t index)
{
    return index < METRIC_COUNT ? metric_names[index] : NULL;
}

const char *tandem_statistic_name(size_t index)
{
    return index < STAT_COUNT ? statistic_names[index] : NULL;
}

const char *tandem_value_name(tandem_run *run, size_t index)
{
    static const char *const counts[] = {"arrived", "finished", "rejected", "lost", "unfinished", "iterations"};
    const size_t count = sizeof counts / sizeof *counts;
    struct run_value values[RUN_VALUES_MAX];
    if (!run->simulation)
        return NULL;
    if (index < count)
        return counts[index];
    if (index - count >= run_values(&run->simulation->summary, values))
        return NULL;
    snprintf(run->value_name, sizeof run->value_name, "%s", values[index - count].name);
    return run->value_name;
}

int tandem_slo_met(const tandem_run *run)
{
    const struct slo_verdict *slo = run->simulation ? &run->simulation->summary.slo : NULL;
    return slo && slo->asked ? slo->met : -1;
}

const char *tandem_slo_binding(const tandem_run *run)
{
    return run->simulation ? run->simulation->summary.slo.binding : "";
}

int tandem_keep_in(tandem_run *run, const char *database, tandem_error *err)
{
    struct error own = {0};
    store_close(run->store);
    run->store = NULL;
    return database && store_open(database, &run->store, &own) ? fail(&own, err) : succeed(err);
}

int64_t tandem_keep(tandem_run *run, tandem_error *err)
{
    struct error own = {0};
    if (!run->store || !run->simulation) {
        error_set(&own, ERROR_INPUT, "tandem_keep: %s",
                  run->store ? "nothing has been simulated" : "tandem_keep_in has named no database");
        return fail(&own, err);
    }
    int64_t id = simulation_keep(run->simulation, run->store, &own);
    if (id < 0)
        return fail(&own, err);
    succeed(err);
    return id;
}

void tandem_close(tandem_run *run)
{
    if (!run)
        return;
    simulation_close(run->simulation);
    store_close(run->store);
    cJSON_Delete((cJSON *)(uintptr_t)run->root.node);
    free(run);
}
