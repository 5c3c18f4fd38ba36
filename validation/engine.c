/* SPDX-License-Identifier: MIT */
#include "validation/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "engine_ref/server.h"
#include "engine_ref/sweep.h"
#include "policies/plugins.h"
#include "profiles/import.h"
#include "validation/engine_cell.h"
#include "validation/scratch.h"

/* That the reference has its standard measured in. */
static const double STANDARD_S = 1;

const struct engine_policy engine_policies[ENGINE_POLICIES] = {
    {"static_padded", "policy.batching", "{\"name\": \"static_padded\", \"max_sequences\": 16}", true},
    {"static_prepacked", "policy.batching", "{\"name\": \"static_prepacked\", \"max_sequences\": 16}", true},
    {"continuous", "policy.batching", "{\"name\": \"continuous\", \"max_sequences\": 16}", true},
    {"chunked_prefill", "policy.batching",
     "{\"name\": \"chunked_prefill\", \"token_budget\": 256, \"max_sequences\": 16}", true},
    {"unified_budget", "policy.batching",
     "{\"name\": \"unified_budget\", \"token_budget\": 256, \"max_sequences\": 16}", true},
    {"prefill_first", "policy.batching",
     "{\"name\": \"prefill_first\", \"max_batched_tokens\": 1024, \"max_sequences\": 16}", false},
    {"disaggregated", "cluster.placement", "{\"name\": \"disaggregated\", \"link\": {\"bytes_per_s\": 2e9}}", true},
};

const char *engine_load_name(double load, char text[ENGINE_LOAD_NAME])
{
    if (isnan(load) || load == 0)
        snprintf(text, ENGINE_LOAD_NAME, "%s", load == 0 ? "all at once" : "as stated");
    else
        snprintf(text, ENGINE_LOAD_NAME, "%.4g %%", 100 * load);
    return text;
}

/* A validation while it goes on. */
struct validator {
    const struct engine_validation_options *o;
    struct engine_validation *out;
    const struct backend *backend;
    char *scenario;         /* as JSON */
    char *plugins;          /* that policies may be of */
    struct scratch scratch; /* the profile of the repeat */
    bool profiled;          /* it is there */
    bool by_rate;           /* the scenario's arrivals have a rate that can be set */
    size_t requests;        /* of each run in the repeat; 0: not known yet */
    /* All is measured and served by the same two engines: where their memory is decides how fast they are. */
    struct instance engines[2], *borrowed[2];
    double predicted_s; /* that one repeat's runs take, on the wall clock; 0: not known yet */
    double ahead;       /* the part of it that has been run */
    int64_t repeat_began;
    struct weights weights;
};

static struct engine_cell cell_of(const struct validator *v, size_t i, double rate_per_s)
{
    return (struct engine_cell){.scenario = v->o->scenario,
                                .policy = v->out->policies[i],
                                .profile = v->scratch.profiles[0],
                                .rate_per_s = rate_per_s,
                                .requests = v->requests,
                                .server = {.backend = v->o->backend,
                                           .weights = &v->weights,
                                           .threads = v->o->threads,
                                           .engines = v->borrowed,
                                           .cpu_time = v->out->cpu_time,
                                           .reference = v->o->uncorrected ? NULL : &v->out->reference},
                                .stop = v->o->stop};
}

static double wall_s_since(int64_t began)
{
    return (double)(clock_ns() - began) * 1e-9;
}

static struct sweep_options sweep_of(struct validator *v, const struct simulation *s)
{
    enum { SEQUENCES = 16 }; /* that the policies have at most */
    uint32_t longest = scenario_cost(&s->scenario)->model.max_tokens, most = v->backend->profiled_tokens;
    return (struct sweep_options){.name = "engine",
                                  .most_tokens = most / SEQUENCES < longest ? most : SEQUENCES * longest,
                                  .most_sequences = SEQUENCES,
                                  .most_kv = longest < 1024 ? longest : 1024,
                                  .tolerance = 0.05,
                                  .refinements = 2,
                                  .point_s = 0.4,
                                  .attention_s = 0.05,
                                  .least_samples = 3,
                                  .kv_growth = 16,
                                  .half_width = 0.002,
                                  .every_decode = true,
                                  .cpu_time = v->out->cpu_time,
                                  .reference = v->o->uncorrected ? NULL : &v->out->reference,
                                  .stop = v->o->stop};
}

static void grow_limits(struct engine_limits *l, const struct engine_limits *needed)
{
    l->block_tokens = needed->block_tokens;
    l->threads = needed->threads;
    l->blocks = l->blocks > needed->blocks ? l->blocks : needed->blocks;
    l->rows = l->rows > needed->rows ? l->rows : needed->rows;
    l->outputs = l->outputs > needed->outputs ? l->outputs : needed->outputs;
    l->max_tokens = l->max_tokens > needed->max_tokens ? l->max_tokens : needed->max_tokens;
}

/* What all policies and the sweep need. The second engine stays without blocks where no policy decodes apart. */
static int find_limits(struct validator *v, struct engine_limits limits[2], struct error *err)
{
    for (size_t i = 0; i < v->out->policy_count; i++) {
        struct simulation *s = NULL;
        struct engine_limits needed[2];
        const struct engine_cell cell = cell_of(v, i, CELL_OWN_ARRIVALS);
        if (cell_open(&cell, NULL, &s, err))
            return -1;
        server_limits(&s->scenario, &cell.server, needed);
        grow_limits(&limits[0], &needed[0]);
        if (s->scenario.cluster.step_count > 1)
            grow_limits(&limits[1], &needed[1]);
        const struct sweep_options o = sweep_of(v, s);
        const struct engine_limits swept = sweep_limits(&o, limits[0].block_tokens, v->o->threads);
        grow_limits(&limits[0], &swept);
        simulation_close(s);
    }
    return 0;
}

static int open_engines(struct validator *v, struct error *err)
{
    struct engine_limits limits[2] = {{0}};
    const struct json seed = json_member(v->o->scenario, "seed");
    uint64_t seeds = cJSON_IsNumber(seed.node) ? (uint64_t)seed.node->valuedouble : 1;
    if (find_limits(v, limits, err))
        return -1;
    for (size_t i = 0; i < 2 && limits[i].blocks > 0; i++) {
        v->borrowed[i] = &v->engines[i];
        if (instance_create(&v->engines[i], &v->weights, v->backend, &limits[i], seeds, err)) {
            v->borrowed[i] = NULL;
            return -1;
        }
    }
    return 0;
}

static void close_engines(struct validator *v)
{
    for (size_t i = 0; i < 2; i++)
        if (v->borrowed[i])
            instance_release(v->borrowed[i]);
    v->borrowed[0] = v->borrowed[1] = NULL;
}

/* The scenario's model on this machine, as far as its workload goes; the reference's standard comes with it. */
static int measure_profile(struct validator *v, struct error *err)
{
    struct simulation *s = NULL;
    const struct engine_cell cell = cell_of(v, 0, CELL_OWN_ARRIVALS);
    if (cell_open(&cell, NULL, &s, err))
        return -1;
    const struct sweep_options o = sweep_of(v, s);
    int64_t began = clock_ns();
    reference_release(&v->out->reference);
    cJSON *profile = NULL;
    if (reference_create(&v->out->reference, &v->engines[0], v->out->cpu_time, STANDARD_S, err) == 0)
        profile = engine_sweep_run(&v->engines[0], &o, err);
    int status = profile ? profile_write(profile, v->scratch.profiles[0], err) : -1;
    cJSON_Delete(profile);
    simulation_close(s);
    v->out->profile_s = wall_s_since(began);
    return status;
}

/* Seconds of iterations in all runs of a repeat, by the profile. */
static int predict_busy(const struct validator *v, double *busy_s, struct error *err)
{
    *busy_s = 0;
    for (size_t i = 0; i < v->out->policy_count; i++) {
        double capacity = CELL_OWN_ARRIVALS;
        for (size_t k = 0; k < v->out->load_count; k++) {
            double load = v->out->loads[k], own_s;
            struct latencies latencies = {0};
            struct run_summary summary;
            const struct engine_cell cell = cell_of(v, i,
                                                    isnan(load) ? CELL_OWN_ARRIVALS
                                                    : load == 0 ? CELL_AT_ONCE
                                                                : load * capacity);
            int status = cell_simulate(&cell, NULL, &latencies, &summary, &own_s, err);
            latencies_release(&latencies);
            if (status)
                return -1;
            *busy_s += own_s;
            capacity = load == 0 ? summary.requests_per_s : capacity;
        }
    }
    return 0;
}

/* By how much a second of an iteration is longer on the wall clock: the machine now, and the reference's share. */
static double wall_factor(const struct reference *r)
{
    enum { LAST = 20 };
    double wall = 0, counted = 0;
    for (int k = 0; k < REFERENCE_KINDS; k++) {
        const struct reference_step *s = &r->steps[k];
        for (size_t i = s->second_count > LAST ? s->second_count - LAST : 0; i < s->second_count; i++) {
            wall += s->seconds[i].wall_ns * s->seconds[i].count;
            counted += s->standard_ns * s->seconds[i].count;
        }
    }
    return (1 + REFERENCE_SHARE) * (counted > 0 ? wall / counted : 1);
}

/* As many requests as the time is enough for: the same in all runs, so that policies can be compared. */
static int choose_requests(struct validator *v, struct error *err)
{
    double busy_s;
    if (predict_busy(v, &busy_s, err))
        return -1;
    double serving_s = busy_s * wall_factor(&v->out->reference);
    double left_s = v->o->repeat_s - wall_s_since(v->repeat_began);
    if (v->by_rate && v->requests == 0) {
        const struct json workload = json_member(v->o->scenario, "workload");
        double most = json_member(&workload, "requests").node->valuedouble;
        double fit = floor(most * left_s / serving_s);
        v->requests = (size_t)fmin(most, fmax(fit, ENGINE_LEAST_REQUESTS));
        serving_s *= (double)v->requests / most;
    }
    v->predicted_s = serving_s;
    return 0;
}

/* All that decides what is found, but for the machine. The caller frees it; NULL when memory is short. */
static char *key_of(const struct validator *v, size_t i, size_t k, size_t repeat)
{
    static const char format[] = "%s at %.17g repeat %zu by %s on %s, %zu threads, %.17g s, %s, plug-ins %s, of %s";
    const char *policy = v->out->policies[i]->name, *backend = v->o->backend ? v->o->backend : "the usual backend";
    const char *corrected = v->o->uncorrected ? "as measured" : "corrected";
    double load = v->out->loads[k], repeat_s = v->o->repeat_s;
    size_t threads = v->o->threads;
    int length = snprintf(NULL, 0, format, policy, load, repeat, TANDEM_VERSION, backend, threads, repeat_s, corrected,
                          v->plugins, v->scenario);
    char *key = malloc((size_t)length + 1);
    if (key)
        snprintf(key, (size_t)length + 1, format, policy, load, repeat, TANDEM_VERSION, backend, threads, repeat_s,
                 corrected, v->plugins, v->scenario);
    return key;
}

/* Until it is known how long runs take, a repeat is said to take the time it may take. */
static double left_s(const struct validator *v, size_t repeat)
{
    double later_s = (double)(v->out->repeats - repeat - 1) * v->o->repeat_s;
    if (v->predicted_s == 0)
        return later_s + fmax(v->o->repeat_s - wall_s_since(v->repeat_began), 0);
    return later_s + v->predicted_s * (1 - v->ahead);
}

static void tell_next(const struct validator *v, const char *policy, double load, size_t repeat, bool known)
{
    const struct engine_step step = {policy, load, repeat, known, left_s(v, repeat)};
    if (v->o->next)
        v->o->next(v->o->state, &step);
}

static int interrupted(const struct validator *v, struct error *err)
{
    return error_set(err, ERROR_RUN, "interrupted; the same command goes on with what is in %s", v->o->points);
}

/* The profile, and how many requests there is time for. */
static int prepare(struct validator *v, size_t repeat, struct error *err)
{
    tell_next(v, NULL, 0, repeat, false);
    int status =
        (!v->borrowed[0] && open_engines(v, err)) || measure_profile(v, err) || choose_requests(v, err) ? -1 : 0;
    v->profiled = status == 0;
    return *v->o->stop ? interrupted(v, err) : status;
}

static double rate_of(const struct validator *v, size_t i, size_t k, size_t repeat)
{
    double load = v->out->loads[k];
    return isnan(load) ? CELL_OWN_ARRIVALS
           : load == 0 ? CELL_AT_ONCE
                       : load * engine_findings(v->out, i, 0)[repeat].measured_rate;
}

static int find_anew(struct validator *v, size_t i, size_t k, size_t repeat, const char *key, struct error *err)
{
    struct engine_validation *out = v->out;
    struct finding *f = &engine_findings(out, i, k)[repeat];
    struct latencies *measured = &out->measured[i][k], *simulated = &out->simulated[i][k];
    if (!v->profiled && prepare(v, repeat, err))
        return -1;
    tell_next(v, out->policies[i]->name, out->loads[k], repeat, false);
    latencies_release(measured);
    latencies_release(simulated);
    const struct engine_cell cell = cell_of(v, i, rate_of(v, i, k, repeat));
    int status = cell_find(&cell, f, measured, simulated, err);
    if (*v->o->stop) /* whatever was being done is not whole */
        return interrupted(v, err);
    return status ? -1 : findings_keep(v->o->points, key, f, measured, simulated, err);
}

/* Takes what an interrupted validation has found, or finds it. */
static int find(struct validator *v, size_t i, size_t k, size_t repeat, struct error *err)
{
    bool known;
    struct engine_validation *out = v->out;
    struct finding *f = &engine_findings(out, i, k)[repeat];
    char *key = key_of(v, i, k, repeat);
    if (!key)
        return error_no_memory(err);
    int status = findings_recall(v->o->points, key, &known, f, &out->measured[i][k], &out->simulated[i][k], err);
    if (status == 0 && known) {
        v->requests = v->by_rate ? (size_t)f->requests : 0;
        tell_next(v, out->policies[i]->name, out->loads[k], repeat, true);
    } else if (status == 0) {
        status = find_anew(v, i, k, repeat, key, err);
    }
    v->ahead += 1.0 / (double)(out->policy_count * out->load_count);
    free(key);
    return status;
}

/* One model's for all policies. */
static int make_weights(struct validator *v, struct error *err)
{
    struct simulation *s = NULL;
    const struct engine_cell cell = cell_of(v, 0, CELL_OWN_ARRIVALS);
    if (cell_open(&cell, NULL, &s, err))
        return -1;
    int status = weights_create(&v->weights, &scenario_cost(&s->scenario)->model, false, err) ||
                         weights_fill(&v->weights, s->scenario.seed, err)
                     ? -1
                     : 0;
    simulation_close(s);
    return status;
}

static int find_repeat(struct validator *v, size_t repeat, struct error *err)
{
    v->profiled = false;
    v->requests = 0;
    v->predicted_s = v->ahead = 0;
    v->repeat_began = clock_ns();
    for (size_t i = 0; i < v->out->policy_count; i++)
        for (size_t k = 0; k < v->out->load_count; k++)
            if (find(v, i, k, repeat, err))
                return -1;
    return 0;
}

static int find_all(struct validator *v, struct error *err)
{
    for (size_t r = 0; r < v->out->repeats; r++)
        if (find_repeat(v, r, err))
            return -1;
    remove(v->o->points);
    return 0;
}

/* Capacity and shares of it where the scenario states a rate and a number of requests, else the scenario as it stands.
 */
static void choose_loads(struct validator *v)
{
    const struct json workload = json_member(v->o->scenario, "workload"), arrivals = json_member(&workload, "arrivals");
    v->by_rate = cJSON_IsNumber(json_member(&arrivals, "rate_per_s").node) &&
                 cJSON_IsNumber(json_member(&workload, "requests").node);
    v->out->load_count = v->by_rate ? 1 + v->o->load_count : 1;
    v->out->loads[0] = v->by_rate ? 0 : NAN;
    for (size_t k = 1; k < v->out->load_count; k++)
        v->out->loads[k] = v->o->loads[k - 1];
}

int engine_validate(const struct engine_validation_options *o, struct engine_validation *out, struct error *err)
{
    *out = (struct engine_validation){.policy_count = o->policy_count, .repeats = o->repeats};
    memcpy(out->policies, o->policies, o->policy_count * sizeof *o->policies);
    struct validator v = {.o = o, .out = out, .backend = backend_find(o->backend, err)};
    if (!v.backend)
        return -1;
    out->cpu_time = v.backend->on_caller && o->threads == 1;
    choose_loads(&v);
    out->found = calloc(o->policy_count * out->load_count * o->repeats, sizeof *out->found);
    v.scenario = cJSON_PrintUnformatted(o->scenario->node);
    v.plugins = plugins_text();
    int status = out->found && v.scenario && v.plugins ? 0 : error_no_memory(err);
    if (status == 0)
        status = scratch_make(&v.scratch, err) || make_weights(&v, err) || find_all(&v, err) ? -1 : 0;
    close_engines(&v);
    scratch_remove(&v.scratch);
    weights_release(&v.weights);
    cJSON_free(v.scenario);
    free(v.plugins);
    return status;
}

void engine_validation_release(struct engine_validation *v)
{
    for (size_t i = 0; i < v->policy_count; i++)
        for (size_t k = 0; k < v->load_count; k++) {
            latencies_release(&v->measured[i][k]);
            latencies_release(&v->simulated[i][k]);
        }
    reference_release(&v->reference);
    free(v->found);
    v->found = NULL;
}
