/* SPDX-License-Identifier: MIT */
#include "validation/engine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/version.h"
#include "engine_ref/server.h"
#include "engine_ref/sweep.h"
#include "engine_ref/workers.h"
#include "policies/plugins.h"
#include "profiles/import.h"
#include "simulation/simulation.h"
#include "validation/scratch.h"

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

/* A validation while it goes on. */
struct validator {
    const struct engine_validation_options *o;
    struct engine_validation *out;
    char *scenario;         /* as JSON */
    char *plugins;          /* that policies may be of */
    struct scratch scratch; /* profiles measured before a policy is served, and after */
    bool profiled;          /* the first of them is there, of just now */
    int64_t started_ns;
    size_t done; /* policies served, in all repeats */
    struct weights weights;
};

static int set_device(struct json *root, const char *device, struct error *err)
{
    cJSON *name = cJSON_CreateString(device);
    char *text = name ? cJSON_PrintUnformatted(name) : NULL;
    int status = text ? json_set_path(root, "device", text, err) : error_no_memory(err);
    cJSON_free(text);
    cJSON_Delete(name);
    return status;
}

/* Under a policy, on a device; NULL: the scenario's own. */
static int open_scenario(const struct validator *v, const struct engine_policy *policy, const char *device,
                         struct simulation **out, struct error *err)
{
    struct json root = *v->o->scenario;
    root.node = cJSON_Duplicate(root.node, 1);
    if (!root.node)
        return error_no_memory(err);
    if (json_set_path(&root, policy->path, policy->value, err) || (device && set_device(&root, device, err))) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return simulation_open(root, out, err);
}

static void collect(void *state, size_t replica, const struct request *r)
{
    (void)replica;
    latencies_add(state, sim_time_to_s(r->first_token - r->arrival), sim_time_to_s(r->last_token - r->arrival),
                  r->output_tokens);
}

/* Every batch that is served, priced by a profile, beside what it took. */
struct pricing {
    const struct scenario *priced_by;
    struct priced *kinds;
};

static void price(void *state, const struct iteration_record *record)
{
    const struct pricing *p = state;
    const struct batch *b = record->batch;
    const struct cluster_config *c = &p->priced_by->cluster;
    size_t pool = (size_t)(cluster_pool_of(c, record->replica) - c->pools);
    struct iteration_cost said;
    cost_model_iteration(&p->priced_by->pools[pool].cost, b, &said);
    bool rows_decode = b->row_tokens == 1 && b->row_kv > 0, decodes = b->decodes > 0 || rows_decode;
    bool prompts = (b->layout == BATCH_RAGGED && b->count > 0) || (b->layout != BATCH_RAGGED && !rows_decode);
    struct priced *kind = &p->kinds[!prompts ? PRICED_DECODES : decodes ? PRICED_MIXED : PRICED_PROMPTS];
    double taken_s = fine_to_ns(record->cost->total) * 1e-9, said_s = fine_to_ns(said.total) * 1e-9,
           error = said_s / taken_s - 1;
    kind->count++;
    kind->taken_s += taken_s;
    kind->said_s += said_s;
    kind->errors += error;
    kind->squares += error * error;
}

static int run(const struct validator *v, struct simulation *s, const struct observer *others, struct latencies *out,
               struct error *err)
{
    const struct observer observer = {.state = out, .next = others, .finished = collect};
    const struct simulation_options o = {.observers = &observer, .control = {.stop = v->o->stop}};
    return simulation_run(s, &o, err);
}

/* Serves the policy, and prices every batch by the profile. */
static int serve(const struct validator *v, const struct engine_policy *policy, struct latencies *out,
                 struct run_summary *summary, struct priced kinds[PRICED_KINDS], struct error *err)
{
    struct simulation *s = NULL, *priced_by = NULL;
    struct server server;
    const struct server_options o = {.backend = v->o->backend, .weights = &v->weights};
    int status = open_scenario(v, policy, NULL, &s, err) ||
                         open_scenario(v, policy, v->scratch.profiles[0], &priced_by, err) ||
                         server_open(&server, &s->scenario, &o, err)
                     ? -1
                     : 0;
    if (status == 0) {
        struct pricing pricing = {.priced_by = &priced_by->scenario, .kinds = kinds};
        const struct observer prices = {.state = &pricing, .iterated = price};
        struct observer engine = server_observer(&server);
        engine.next = &prices;
        status = run(v, s, &engine, out, err) || server_error(&server, err) ? -1 : 0;
        *summary = s->summary;
        server_close(&server);
    }
    simulation_close(priced_by);
    simulation_close(s);
    return status;
}

static int simulate(const struct validator *v, const struct engine_policy *policy, const char *profile,
                    struct latencies *out, struct run_summary *summary, struct error *err)
{
    struct simulation *s = NULL;
    if (open_scenario(v, policy, profile, &s, err))
        return -1;
    int status = run(v, s, NULL, out, err);
    *summary = s->summary;
    simulation_close(s);
    return status;
}

static double mean_e2e_s(const struct run_summary *r)
{
    return r->metrics[METRIC_E2E].at[STAT_MEAN].value * 1e-9;
}

/* The scenario's model on this machine, as far as its workload goes. */
static int measure_profile(struct validator *v, const char *file, struct error *err)
{
    struct simulation *s = NULL;
    struct instance e;
    if (open_scenario(v, v->out->policies[0], NULL, &s, err))
        return -1;
    uint32_t longest = scenario_cost(&s->scenario)->model.max_tokens;
    const struct backend *backend = backend_find(v->o->backend, err);
    const struct sweep_options o = {.name = "engine",
                                    .most_tokens = backend ? backend->profiled_tokens : 0,
                                    .most_sequences = 16,
                                    .most_kv = longest < 1024 ? longest : 1024,
                                    .tolerance = 0.03,
                                    .point_s = 0.02,
                                    .half_width = 0.01,
                                    .stop = v->o->stop};
    const struct engine_limits limits =
        sweep_limits(&o, s->scenario.cluster.pools[0].replica.kv_block_tokens, workers_usual());
    cJSON *profile = NULL;
    int status = backend ? instance_create(&e, &v->weights, backend, &limits, s->scenario.seed, err) : -1;
    if (status == 0) {
        profile = engine_sweep_run(&e, &o, err);
        instance_release(&e);
    }
    status = profile ? profile_write(profile, file, err) : -1;
    cJSON_Delete(profile);
    simulation_close(s);
    return status;
}

/* The mean of what two profiles predict. */
static void average(struct comparison *c, const struct comparison *other)
{
    c->mean_absolute = c->worst_absolute = 0;
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++) {
            c->simulated[m][i] = (c->simulated[m][i] + other->simulated[m][i]) / 2;
            c->error[m][i] = c->simulated[m][i] / c->measured[m][i] - 1;
            c->mean_absolute += fabs(c->error[m][i]) / (MEASURED_METRICS * MEASURED_STATISTICS);
            c->worst_absolute = fmax(c->worst_absolute, fabs(c->error[m][i]));
        }
}

static int compare(struct validator *v, size_t i, struct finding *f, struct error *err)
{
    const struct engine_policy *policy = v->out->policies[i];
    struct latencies *measured = &v->out->measured[i], *late = &v->out->simulated[i], early = {0};
    struct run_summary real, first, second;
    struct comparison other;
    latencies_release(measured);
    latencies_release(late);
    memset(f->priced, 0, sizeof f->priced);
    if (serve(v, policy, measured, &real, f->priced, err) || measure_profile(v, v->scratch.profiles[1], err) ||
        simulate(v, policy, v->scratch.profiles[0], &early, &first, err) ||
        simulate(v, policy, v->scratch.profiles[1], late, &second, err)) {
        latencies_release(&early);
        return -1;
    }
    latencies_compare(measured, &early, &other);
    latencies_compare(measured, late, &f->latencies);
    average(&f->latencies, &other);
    latencies_release(&early);
    f->measured_rate = real.requests_per_s;
    f->simulated_rate = (first.requests_per_s + second.requests_per_s) / 2;
    f->throughput_error = f->simulated_rate / f->measured_rate - 1;
    f->measured_e2e_s = mean_e2e_s(&real);
    f->simulated_e2e_s = (mean_e2e_s(&first) + mean_e2e_s(&second)) / 2;
    return rename(v->scratch.profiles[1], v->scratch.profiles[0]) == 0
               ? 0
               : error_set(err, ERROR_IO, "%s: cannot be renamed: %s", v->scratch.profiles[1], strerror(errno));
}

/* All that decides what is found, but for the machine. The caller frees it; NULL when memory is short. */
static char *key_of(const struct validator *v, size_t i, size_t repeat)
{
    static const char format[] = "%s repeat %zu by %s on %s, plug-ins %s, of %s";
    const char *policy = v->out->policies[i]->name, *backend = v->o->backend ? v->o->backend : "the usual backend";
    int length = snprintf(NULL, 0, format, policy, repeat, TANDEM_VERSION, backend, v->plugins, v->scenario);
    char *key = malloc((size_t)length + 1);
    if (key)
        snprintf(key, (size_t)length + 1, format, policy, repeat, TANDEM_VERSION, backend, v->plugins, v->scenario);
    return key;
}

static void tell_next(const struct validator *v, size_t i, size_t repeat, bool known)
{
    size_t left = v->out->policy_count * (v->out->repeats - repeat) - i;
    double each_s = v->done > 0 ? (double)(clock_ns() - v->started_ns) * 1e-9 / (double)v->done : NAN;
    const struct engine_step step = {v->out->policies[i]->name, repeat, known, each_s * (double)left};
    if (v->o->next)
        v->o->next(v->o->state, &step);
}

static int find_anew(struct validator *v, size_t i, const char *key, struct finding *f, struct error *err)
{
    int status = v->profiled ? 0 : measure_profile(v, v->scratch.profiles[0], err);
    v->profiled = true;
    if (status == 0)
        status = compare(v, i, f, err);
    if (*v->o->stop) /* whatever was being done is not whole */
        return error_set(err, ERROR_RUN, "interrupted; the same command goes on with what is in %s", v->o->points);
    v->done++;
    return status ? -1 : findings_keep(v->o->points, key, f, &v->out->measured[i], &v->out->simulated[i], err);
}

/* Takes what an interrupted validation has found, or finds it. */
static int find(struct validator *v, size_t i, size_t repeat, struct error *err)
{
    bool known;
    struct finding *f = &engine_findings(v->out, i)[repeat];
    char *key = key_of(v, i, repeat);
    if (!key)
        return error_no_memory(err);
    int status = findings_recall(v->o->points, key, &known, f, &v->out->measured[i], &v->out->simulated[i], err);
    if (status == 0) {
        tell_next(v, i, repeat, known);
        v->profiled = v->profiled && !known;
        status = known ? 0 : find_anew(v, i, key, f, err);
    }
    free(key);
    return status;
}

/* One model's for all policies. */
static int make_weights(struct validator *v, struct error *err)
{
    struct simulation *s = NULL;
    if (open_scenario(v, v->out->policies[0], NULL, &s, err))
        return -1;
    int status = weights_create(&v->weights, &scenario_cost(&s->scenario)->model, false, err) ||
                         weights_fill(&v->weights, s->scenario.seed, err)
                     ? -1
                     : 0;
    simulation_close(s);
    return status;
}

static int find_all(struct validator *v, struct error *err)
{
    for (size_t r = 0; r < v->out->repeats; r++)
        for (size_t i = 0; i < v->out->policy_count; i++)
            if (find(v, i, r, err))
                return -1;
    remove(v->o->points);
    return 0;
}

int engine_validate(const struct engine_validation_options *o, struct engine_validation *out, struct error *err)
{
    *out = (struct engine_validation){.policy_count = o->policy_count, .repeats = o->repeats};
    memcpy(out->policies, o->policies, o->policy_count * sizeof *o->policies);
    struct validator v = {.o = o, .out = out, .started_ns = clock_ns()};
    out->found = calloc(o->policy_count * o->repeats, sizeof *out->found);
    v.scenario = cJSON_PrintUnformatted(o->scenario->node);
    v.plugins = plugins_text();
    int status = out->found && v.scenario && v.plugins ? 0 : error_no_memory(err);
    if (status == 0)
        status = scratch_make(&v.scratch, err) || make_weights(&v, err) || find_all(&v, err) ? -1 : 0;
    scratch_remove(&v.scratch);
    weights_release(&v.weights);
    cJSON_free(v.scenario);
    free(v.plugins);
    return status;
}

void engine_validation_release(struct engine_validation *v)
{
    for (size_t i = 0; i < v->policy_count; i++) {
        latencies_release(&v->measured[i]);
        latencies_release(&v->simulated[i]);
    }
    free(v->found);
    v->found = NULL;
}
