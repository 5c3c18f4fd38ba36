/* SPDX-License-Identifier: MIT */
#include "cli/engine_validation.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/findings.h"
#include "engine_ref/server.h"
#include "engine_ref/sweep.h"
#include "engine_ref/workers.h"
#include "profiles/import.h"
#include "profiles/shipped.h"
#include "validation/plot.h"

/* A policy as it changes the scenario. */
struct variant {
    const char *name, *path, *value;
    bool usual;
};

static const struct variant variants[] = {
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

enum { VARIANTS = sizeof variants / sizeof *variants, REPEATS_MAX = 100 };

struct validation {
    const struct arguments *args;
    const struct engine_validation *o;
    const struct variant *chosen[VARIANTS];
    size_t count;
    struct finding (*found)[REPEATS_MAX];                     /* [count][repeats] */
    struct latencies measured[VARIANTS], simulated[VARIANTS]; /* of the last repeat */
    char profiles[2][64];                                     /* measured before a policy is served, and after */
    bool profiled;                                            /* the first of them is there, of just now */
    int64_t started_ns;
    size_t done; /* policies served, in all repeats */
    struct weights weights;
};

static int choose(struct validation *v, struct error *err)
{
    const char *list = v->o->policies;
    for (size_t i = 0; !list && i < VARIANTS; i++)
        if (variants[i].usual)
            v->chosen[v->count++] = &variants[i];
    while (list && *list) {
        size_t length = strcspn(list, ","), i = 0;
        while (i < VARIANTS && !(strlen(variants[i].name) == length && strncmp(variants[i].name, list, length) == 0))
            i++;
        if (i == VARIANTS || v->count == VARIANTS)
            return error_set(err, ERROR_INPUT, "--policies: found %.*s, expected up to %d of those in --help",
                             (int)length, list, VARIANTS);
        v->chosen[v->count++] = &variants[i];
        list += length + (list[length] == ',');
    }
    return v->count > 0 ? 0 : error_set(err, ERROR_INPUT, "--policies: expected at least one");
}

static int load(const struct validation *v, const struct variant *variant, const char *device, struct simulation **out,
                struct error *err)
{
    struct json root;
    if (shipped_load("scenario", v->args->word_count > 1 ? v->args->words[1] : "engine-demo", &root, err))
        return -1;
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\"", device ? device : "");
    if (apply_settings(v->args, &root, err) || json_set_path(&root, variant->path, variant->value, err) ||
        (device && json_set_path(&root, "device", quoted, err))) {
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

static int run(const struct validation *v, struct simulation *s, const struct observer *others, struct latencies *out,
               struct error *err)
{
    const struct observer observer = {.state = out, .next = others, .finished = collect};
    const struct simulation_options o = {.observers = &observer, .control = {.stop = v->o->stop}};
    return simulation_run(s, &o, err);
}

/* Serves the policy, and prices every batch by the profile. */
static int serve(const struct validation *v, const struct variant *variant, struct latencies *out,
                 struct run_summary *summary, struct priced kinds[PRICED_KINDS], struct error *err)
{
    struct simulation *s = NULL, *priced_by = NULL;
    struct server server;
    const struct server_options o = {.backend = v->o->backend, .weights = &v->weights};
    int status = load(v, variant, NULL, &s, err) || load(v, variant, v->profiles[0], &priced_by, err) ||
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

static int simulate(const struct validation *v, const struct variant *variant, const char *profile,
                    struct latencies *out, struct run_summary *summary, struct error *err)
{
    struct simulation *s = NULL;
    if (load(v, variant, profile, &s, err))
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
static int measure_profile(struct validation *v, const char *file, struct error *err)
{
    struct simulation *s = NULL;
    struct instance e;
    if (load(v, v->chosen[0], NULL, &s, err))
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

/* The mean of what two profiles foretell. */
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

/* The policy served between two profiles, and simulated from both: a machine that gets slower or faster meanwhile
 * changes both sides alike, and what is left of that shows as an interval. */
static int compare(struct validation *v, size_t i, unsigned long repeat, struct error *err)
{
    struct run_summary real, first, second;
    struct latencies early = {0};
    struct finding *f = &v->found[i][repeat];
    struct comparison other;
    latencies_release(&v->measured[i]);
    latencies_release(&v->simulated[i]);
    memset(f->priced, 0, sizeof f->priced);
    if (serve(v, v->chosen[i], &v->measured[i], &real, f->priced, err) || measure_profile(v, v->profiles[1], err) ||
        simulate(v, v->chosen[i], v->profiles[0], &early, &first, err) ||
        simulate(v, v->chosen[i], v->profiles[1], &v->simulated[i], &second, err)) {
        latencies_release(&early);
        return -1;
    }
    latencies_compare(&v->measured[i], &early, &other);
    latencies_compare(&v->measured[i], &v->simulated[i], &f->latencies);
    average(&f->latencies, &other);
    latencies_release(&early);
    f->measured_rate = real.requests_per_s;
    f->simulated_rate = (first.requests_per_s + second.requests_per_s) / 2;
    f->throughput_error = f->simulated_rate / f->measured_rate - 1;
    f->measured_e2e_s = mean_e2e_s(&real);
    f->simulated_e2e_s = (mean_e2e_s(&first) + mean_e2e_s(&second)) / 2;
    return rename(v->profiles[1], v->profiles[0]) == 0
               ? 0
               : error_set(err, ERROR_IO, "%s: cannot be renamed", v->profiles[1]);
}

/* All that decides what is found, but for the machine. */
static int key_of(const struct validation *v, size_t i, unsigned long repeat, char *out, size_t size, struct error *err)
{
    size_t used = (size_t)snprintf(out, size, "%s repeat %lu of %s on %s by %s", v->chosen[i]->name, repeat,
                                   v->args->word_count > 1 ? v->args->words[1] : "engine-demo",
                                   v->o->backend ? v->o->backend : "the usual backend", TANDEM_VERSION);
    char *plugins = plugins_text();
    if (!plugins)
        return error_no_memory(err);
    if (v->args->plugin_count > 0 && used < size)
        used += (size_t)snprintf(out + used, size - used, " with %s", plugins);
    free(plugins);
    for (int k = 0; k < v->args->set_count && used < size; k++)
        used += (size_t)snprintf(out + used, size - used, " %s", v->args->sets[k]);
    return used < size ? 0 : error_set(err, ERROR_INPUT, "--set, --plugin: too much of it");
}

static void say_what_is_next(const struct validation *v, size_t i, unsigned long repeat, bool known)
{
    size_t left = v->count * (v->o->repeats - repeat) - i;
    fprintf(stderr, "repeat %lu of %lu: %s", repeat + 1, v->o->repeats, v->chosen[i]->name);
    if (known)
        fprintf(stderr, " was there");
    else if (v->done > 0)
        fprintf(stderr, ", about %.0f s left",
                (double)(clock_ns() - v->started_ns) * 1e-9 / (double)v->done * (double)left);
    fprintf(stderr, "\n");
}

/* Finds it, or takes what an interrupted validation has found. */
static int find(struct validation *v, size_t i, unsigned long repeat, struct error *err)
{
    char key[4096];
    bool known;
    struct finding *f = &v->found[i][repeat];
    if (key_of(v, i, repeat, key, sizeof key, err) ||
        findings_recall(v->o->points, key, &known, f, &v->measured[i], &v->simulated[i], err))
        return -1;
    say_what_is_next(v, i, repeat, known);
    if (known) {
        v->profiled = false;
        return 0;
    }
    int status = v->profiled ? 0 : measure_profile(v, v->profiles[0], err);
    v->profiled = true;
    if (status == 0)
        status = compare(v, i, repeat, err);
    if (*v->o->stop) /* whatever was being done is not whole */
        return error_set(err, ERROR_RUN, "interrupted; the same command goes on with what is in %s", v->o->points);
    v->done++;
    return status ? -1 : findings_keep(v->o->points, key, f, &v->measured[i], &v->simulated[i], err);
}

/* A mean over repeats and half its 95 % interval (Student's t). */
struct spread {
    double mean, half;
};

static struct spread spread_of(const double *x, unsigned long n)
{
    double sum = 0, squares = 0;
    for (unsigned long i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / (double)n;
    for (unsigned long i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double sd = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
    return (struct spread){mean, n > 1 ? gsl_cdf_tdist_Pinv(0.975, (double)(n - 1)) * sd / sqrt((double)n) : NAN};
}

static void print_spread(const double *x, unsigned long n)
{
    struct spread s = spread_of(x, n);
    if (n > 1)
        printf("  %+6.2f ± %4.2f", 100 * s.mean, 100 * s.half);
    else
        printf("  %+13.2f", 100 * s.mean);
}

static void print_errors(const struct validation *v)
{
    static const int shown[] = {0, 1, 4}; /* mean, p50, p99 */
    static const char *const columns[] = {"throughput", "TTFT mean", "TTFT p50", "TTFT p99", "TPOT mean",
                                          "TPOT p50",   "TPOT p99",  "E2E mean", "E2E p50",  "E2E p99"};
    unsigned long n = v->o->repeats;
    printf(n > 1 ? "error of the simulation in percent: mean over %lu repeats and its 95 %% interval\n\n%-17s"
                 : "error of the simulation in percent: %lu repeat, which has no interval\n\n%-17s",
           n, "");
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        printf("  %13s", columns[c]);
    printf("  %s\n", "mean |error| of 15");
    for (size_t i = 0; i < v->count; i++) {
        double x[REPEATS_MAX];
        printf("%-17s", v->chosen[i]->name);
        for (unsigned long r = 0; r < n; r++)
            x[r] = v->found[i][r].throughput_error;
        print_spread(x, n);
        for (int m = 0; m < MEASURED_METRICS; m++)
            for (size_t k = 0; k < 3; k++) {
                for (unsigned long r = 0; r < n; r++)
                    x[r] = v->found[i][r].latencies.error[m][shown[k]];
                print_spread(x, n);
            }
        for (unsigned long r = 0; r < n; r++)
            x[r] = v->found[i][r].latencies.mean_absolute;
        printf("  %.2f\n", 100 * spread_of(x, n).mean);
    }
}

/* Where the error of a run comes from: every served iteration, priced by the profile measured just before. */
static void print_priced(const struct validation *v)
{
    static const char *const kinds[PRICED_KINDS] = {"decodes", "prompts", "both"};
    printf("\nserved iterations, each priced by the profile: how many, the mean measured and priced in ms, error of "
           "the sum "
           "and spread of single ones in percent\n");
    for (size_t i = 0; i < v->count; i++)
        for (int k = 0; k < PRICED_KINDS; k++) {
            struct priced all = {0};
            for (unsigned long r = 0; r < v->o->repeats; r++) {
                const struct priced *p = &v->found[i][r].priced[k];
                all.count += p->count;
                all.taken_s += p->taken_s;
                all.said_s += p->said_s;
                all.errors += p->errors;
                all.squares += p->squares;
            }
            if (all.count == 0)
                continue;
            double error = all.said_s / all.taken_s - 1, mean = all.errors / all.count;
            double spread = sqrt(fmax(all.squares / all.count - mean * mean, 0));
            printf("%-17s  %-8s %7.0f  %8.3f  %8.3f  %+6.2f  %6.2f\n", v->chosen[i]->name, kinds[k], all.count,
                   1e3 * all.taken_s / all.count, 1e3 * all.said_s / all.count, 100 * error, 100 * spread);
        }
}

/* What a planner acts on: by how much one policy is better than another. */
static void print_ratios(const struct validation *v)
{
    unsigned long n = v->o->repeats;
    const struct finding *base = v->found[v->count - 1];
    printf("\nratio to %s: mean E2E measured, simulated, error of the ratio in percent; requests/s likewise\n",
           v->chosen[v->count - 1]->name);
    for (size_t i = 0; i + 1 < v->count; i++) {
        double real[REPEATS_MAX], simulated[REPEATS_MAX], error[REPEATS_MAX], rate[REPEATS_MAX];
        for (unsigned long r = 0; r < n; r++) {
            const struct finding *f = &v->found[i][r];
            real[r] = f->measured_e2e_s / base[r].measured_e2e_s;
            simulated[r] = f->simulated_e2e_s / base[r].simulated_e2e_s;
            error[r] = simulated[r] / real[r] - 1;
            rate[r] = f->simulated_rate / base[r].simulated_rate / (f->measured_rate / base[r].measured_rate) - 1;
        }
        printf("%-17s  %7.3f  %7.3f", v->chosen[i]->name, spread_of(real, n).mean, spread_of(simulated, n).mean);
        print_spread(error, n);
        printf("   requests/s");
        print_spread(rate, n);
        printf("\n");
    }
}

static int plot(const struct validation *v, struct error *err)
{
    struct plotted runs[VARIANTS];
    for (size_t i = 0; i < v->count; i++)
        runs[i] = (struct plotted){v->chosen[i]->name, &v->measured[i], &v->simulated[i],
                                   &v->found[i][v->o->repeats - 1].latencies};
    return plot_servers(v->o->plot, "The engine, served and simulated", runs, v->count, err);
}

/* One model's for all policies. */
static int make_weights(struct validation *v, struct error *err)
{
    struct simulation *s = NULL;
    if (load(v, v->chosen[0], NULL, &s, err))
        return -1;
    int status = weights_create(&v->weights, &scenario_cost(&s->scenario)->model, false, err) ||
                         weights_fill(&v->weights, s->scenario.seed, err)
                     ? -1
                     : 0;
    simulation_close(s);
    return status;
}

static int repeat_all(struct validation *v, struct error *err)
{
    for (unsigned long r = 0; r < v->o->repeats; r++)
        for (size_t i = 0; i < v->count; i++)
            if (find(v, i, r, err))
                return -1;
    remove(v->o->points);
    return 0;
}

int engine_validate(const struct arguments *args, const struct engine_validation *o, struct error *err)
{
    struct validation v = {.args = args, .o = o, .started_ns = clock_ns()};
    if (choose(&v, err))
        return -1;
    v.found = calloc(v.count, sizeof *v.found);
    if (!v.found)
        return error_no_memory(err);
    for (int i = 0; i < 2; i++)
        snprintf(v.profiles[i], sizeof v.profiles[i], "/tmp/tandem-engine-%ld-%d.json", (long)getpid(), i);
    int status = make_weights(&v, err) || repeat_all(&v, err) ? -1 : 0;
    if (status == 0) {
        print_errors(&v);
        print_priced(&v);
        if (v.count > 1)
            print_ratios(&v);
        status = o->plot ? plot(&v, err) : 0;
    }
    remove(v.profiles[0]);
    remove(v.profiles[1]);
    for (size_t i = 0; i < v.count; i++) {
        latencies_release(&v.measured[i]);
        latencies_release(&v.simulated[i]);
    }
    weights_release(&v.weights);
    free(v.found);
    return status;
}
