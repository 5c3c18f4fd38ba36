/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "engine_ref/selfcheck.h"
#include "engine_ref/server.h"
#include "engine_ref/sweep.h"
#include "engine_ref/workers.h"
#include "profiles/import.h"
#include "profiles/shipped.h"
#include "reports/formats/text.h"
#include "simulation/simulation.h"

enum {
    OPT_SET,
    OPT_POLICY,
    OPT_MODEL,
    OPT_BACKEND,
    OPT_THREADS,
    OPT_WEIGHTS,
    OPT_OUT,
    OPT_MOST,
    OPT_POINT,
    OPT_PACE,
    OPT_ROWS,
    OPT_TEMPERATURE,
    OPT_ONE_LAYER,
    OPT_PEER,
    OPT_DB,
    OPT_QUIET
};

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "serve: override a scenario value; may be repeated"},
    {"--policy", "NAME", "serve: the batching policy, as --set policy.batching"},
    {"--model", "NAME", "bench, profile: the model (default demo-11m)"},
    {"--backend", "NAME", "cpu, cpu-reference, or cuda where it is built in (default: the first)"},
    {"--threads", "N", "threads of a CPU backend (default: all)"},
    {"--weights", "FILE", "weights from a safetensors file (default: random ones from the seed)"},
    {"--out", "FILE",
     "profile: the profile to write (default MODEL-BACKEND.json); what is measured is kept in FILE.points, "
     "and a profile that was interrupted goes on from there"},
    {"--most", "TOKENS", "profile: the longest step and sequence (default 2048)"},
    {"--point-s", "SECONDS", "profile: most time for one step's repetitions (default 0.15)"},
    {"--pace", "SPEED",
     "serve: wait for arrivals on the wall clock, at so many times their speed (default: idle time is "
     "skipped)"},
    {"--rows", "N", "serve: tokens of the largest step, padding included (default 16384)"},
    {"--temperature", "T", "serve: sample tokens with a temperature (default 0: the likeliest)"},
    {"--one-layer", NULL,
     "bench, profile: keep one layer's weights and KV for all of them, for models that memory does not hold"},
    {"--peer", "shared|socket",
     "serve: the engine that decodes is a process of its own, to which KV goes through shared memory or a socket"},
    {"--db", "FILE", "serve: results database (default tandem.db)"},
    {"--quiet", NULL, "print nothing but results"},
    PLUGIN_OPTION,
    {0},
};

static int read_number(const struct arguments *args, int option, double least, double most, double otherwise,
                       double *out, struct error *err)
{
    const char *text = args->values[option];
    char *end = NULL;
    *out = text ? strtod(text, &end) : otherwise;
    if (text && (end == text || *end || !(*out >= least && *out <= most)))
        return error_set(err, ERROR_INPUT, "%s %s: expected a number from %.10g to %.10g", options[option].name, text,
                         least, most);
    return 0;
}

static int read_workers(const struct arguments *args, size_t *threads, struct error *err)
{
    double n;
    if (read_number(args, OPT_THREADS, 1, 256, (double)workers_usual(), &n, err))
        return -1;
    *threads = (size_t)n;
    return 0;
}

/* An instance for measuring: a model's weights, and room for the sweep. */
struct bench {
    struct weights weights;
    struct instance engine;
};

static void bench_close(struct bench *b)
{
    instance_release(&b->engine);
    weights_release(&b->weights);
}

static int bench_open(const struct arguments *args, const struct sweep_options *o, struct bench *b, struct error *err)
{
    struct model model;
    size_t threads;
    const struct backend *backend = backend_find(args->values[OPT_BACKEND], err);
    *b = (struct bench){0};
    if (!backend)
        return -1;
    if (model_load(args->values[OPT_MODEL] ? args->values[OPT_MODEL] : "demo-11m", &model, err) ||
        read_workers(args, &threads, err) ||
        weights_create(&b->weights, &model, args->values[OPT_ONE_LAYER] != NULL, err))
        return -1;
    struct engine_limits limits = sweep_limits(o, 16, threads);
    if (weights_fill(&b->weights, 1, err) == 0 &&
        instance_create(&b->engine, &b->weights, backend, &limits, 1, err) == 0)
        return 0;
    bench_close(b);
    return -1;
}

/* Arithmetic and bytes of a step: every weight once, KV read and written, activations left out. */
static void step_work(const struct model *m, const struct step_shape *shape, double *flops, double *bytes)
{
    double rows = (double)shape->chunks * shape->new_tokens + shape->decodes, outputs = shape->chunks + shape->decodes;
    double head = (double)m->hidden * m->vocab, layers = model_parameters(m) - head * (m->tied_head ? 1 : 2);
    double per_score = 4.0 * m->layers * m->heads * m->head_dim, n = shape->new_tokens;
    double scores =
        shape->chunks * n * (shape->kv_before + (n + 1) / 2) + (double)shape->decodes * (shape->decode_kv + 1);
    double kv = (double)shape->chunks * (shape->kv_before + n) + (double)shape->decodes * (shape->decode_kv + 1);
    *flops = 2 * layers * rows + 2 * head * outputs + per_score * scores;
    *bytes = (layers + head) * 4 + kv * 2.0 * m->layers * m->kv_heads * m->head_dim * 4;
}

/* What a GPU's tracer says of the last step; nothing on a CPU. */
static void print_launches(const struct profiler *p)
{
    if (p->kernels > 0)
        printf(
            "  %llu kernels, %.1f us from launch to start in sum, the GPU busy %.0f %% of %.2f ms: waits for the %s\n",
            (unsigned long long)p->kernels, (double)p->queue_ns * 1e-3, 100.0 * (double)p->busy_ns / (double)p->span_ns,
            (double)p->span_ns * 1e-6, p->gpu_bound ? "GPU" : "CPU");
    if (p->dropped > 0)
        printf("  %llu records of the trace were lost\n", (unsigned long long)p->dropped);
}

static int run_bench(const struct arguments *args, struct error *err)
{
    static const struct step_shape shapes[] = {{1, 128, 0, 0, 0, 0},   {1, 512, 0, 0, 0, 0},   {1, 1024, 0, 0, 0, 0},
                                               {0, 0, 0, 1, 255, 0},   {0, 0, 0, 8, 255, 0},   {0, 0, 0, 32, 255, 0},
                                               {0, 0, 0, 32, 1023, 0}, {1, 224, 0, 32, 255, 0}};
    struct sweep_options o = {.most_tokens = 1024, .most_sequences = 32, .most_kv = 1024, .half_width = 0.01};
    struct bench b;
    struct hardware peak;
    if (bench_open(args, &o, &b, err))
        return -1;
    const struct model *m = &b.weights.model;
    if (b.engine.backend->measure_hardware(b.engine.state, &peak, err)) {
        bench_close(&b);
        return -1;
    }
    printf("%s, %.1f M parameters, backend %s, %zu threads; measured peaks: %.1f GFLOP/s, %.1f GB/s\n\n", m->name,
           model_parameters(m) * 1e-6, b.engine.backend->name, b.engine.limits.threads, peak.flops_per_s * 1e-9,
           peak.bytes_per_s * 1e-9);
    printf("%-34s %10s %10s %10s %8s  %s\n", "step", "ms", "tokens/s", "GFLOP/s", "GB/s", "of the roofline");
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof shapes / sizeof *shapes; i++) {
        const struct step_shape *s = &shapes[i];
        struct step_times t;
        double flops, bytes;
        status = sweep_measure(&b.engine, &o, s, 1, &t, err);
        step_work(m, s, &flops, &bytes);
        double least =
            flops / peak.flops_per_s > bytes / peak.bytes_per_s ? flops / peak.flops_per_s : bytes / peak.bytes_per_s;
        char name[64];
        snprintf(name, sizeof name, "%u prompt tokens, %u decodes at %u", s->chunks * s->new_tokens, s->decodes,
                 s->decode_kv + (s->decodes > 0));
        if (status == 0) {
            printf("%-34s %10.2f %10.0f %10.1f %8.1f  %.0f %%\n", name, t.step_ns * 1e-6,
                   (s->chunks * s->new_tokens + s->decodes) / (t.step_ns * 1e-9), flops / t.step_ns, bytes / t.step_ns,
                   100 * least / (t.step_ns * 1e-9));
            print_launches(&b.engine.profiler);
        }
    }
    bench_close(&b);
    return status;
}

/* 32-bit floats have 24 bits, bf16 has 8. */
static int run_check(const struct arguments *args, struct error *err)
{
    const struct backend *backend = backend_find(args->values[OPT_BACKEND], err);
    int wrong = backend ? selfcheck(backend, 1, strcmp(backend->name, "cuda") == 0 ? 2e-2 : 1e-4, stdout, err) : -1;
    return wrong > 0 ? error_set(err, ERROR_RUN, "%d layouts differ from the reference", wrong) : wrong;
}

static int run_profile(const struct arguments *args, struct error *err)
{
    double most, point;
    if (read_number(args, OPT_MOST, 64, 1 << 20, 2048, &most, err) ||
        read_number(args, OPT_POINT, 1e-6, 3600, 0.15, &point, err))
        return -1;
    const char *model = args->values[OPT_MODEL] ? args->values[OPT_MODEL] : "demo-11m";
    const char *backend = args->values[OPT_BACKEND] ? args->values[OPT_BACKEND] : "cpu";
    char file[512], points[600], name[200];
    const char *base = strrchr(model, '/') ? strrchr(model, '/') + 1 : model;
    const char *ending = strstr(base, ".json"); /* of a path; a shipped name may have points in it */
    snprintf(name, sizeof name, "%.*s-%s", (int)(ending ? (size_t)(ending - base) : strlen(base)), base, backend);
    snprintf(file, sizeof file, "%s.json", name);
    if (args->values[OPT_OUT])
        snprintf(file, sizeof file, "%s", args->values[OPT_OUT]);
    snprintf(points, sizeof points, "%s.points", file);
    struct sweep_options o = {.name = name,
                              .most_tokens = (uint32_t)most,
                              .most_sequences = 64,
                              .most_kv = (uint32_t)most,
                              .tolerance = 0.02,
                              .point_s = point,
                              .half_width = 0.01,
                              .points_file = points,
                              .progress = progress_on_terminal() && !args->values[OPT_QUIET] ? stderr : NULL,
                              .stop = stop_on_signal()};
    struct bench b;
    if (bench_open(args, &o, &b, err))
        return -1;
    cJSON *profile = engine_sweep_run(&b.engine, &o, err);
    bench_close(&b);
    int status = profile ? profile_write(profile, file, err) : -1;
    cJSON_Delete(profile);
    if (status == 0)
        remove(points);
    if (status == 0)
        printf("%s: tables of %s; simulate with --set device=%s\n", PRINTABLE(file), PRINTABLE(model), PRINTABLE(file));
    return status;
}

static bool is_trace(const char *word)
{
    static const char *const endings[] = {".csv", ".jsonl", ".gz"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strlen(word) > strlen(endings[i]) && strcmp(word + strlen(word) - strlen(endings[i]), endings[i]) == 0)
            return true;
    return false;
}

/* A trace is served as engine-demo's workload. */
static int use_trace(struct json *root, const char *file, struct error *err)
{
    cJSON *workload = cJSON_CreateObject();
    cJSON_AddStringToObject(workload, "trace", file);
    char *text = cJSON_PrintUnformatted(workload);
    int status = text ? json_set_path(root, "workload", text, err) : error_no_memory(err);
    cJSON_free(text);
    cJSON_Delete(workload);
    return status;
}

static int open_scenario(const struct arguments *args, struct simulation **out, struct error *err)
{
    struct json root;
    bool trace = is_trace(args->words[1]);
    const char *policy = args->values[OPT_POLICY];
    if (shipped_load("scenario", trace ? "engine-demo" : args->words[1], &root, err))
        return -1;
    if ((trace && use_trace(&root, args->words[1], err)) ||
        (policy && json_set_path(&root, "policy.batching", policy, err)) || apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return simulation_open(root, out, err);
}

static void print_engine(const struct server *server, double wall_s)
{
    double busy = 0;
    for (size_t i = 0; i < 2; i++)
        busy += (double)server->executors[i].busy_ns * 1e-9;
    printf("  engine     backend %s, %zu threads; %.2f s in steps, %.2f s outside them\n",
           server->engines[0].backend->name, server->engines[0].limits.threads, busy, wall_s - busy);
    const struct engine_executor *x = &server->executors[0];
    if (x->moved_blocks > 0)
        printf("  moved KV   %lld blocks at %.2f GB/s between engines%s\n", (long long)x->moved_blocks,
               (double)x->moved_blocks *
                   (double)(block_floats(&x->instance->weights->model, x->instance->limits.block_tokens) *
                            sizeof(float)) /
                   (double)x->move_ns,
               server->peer ? " in two processes" : "");
}

static int serve_and_keep(const struct arguments *args, struct simulation *s, struct server *server,
                          struct store *store, struct error *err)
{
    const struct observer observer = server_observer(server);
    const struct simulation_options o = {.observers = &observer, .control = {.stop = stop_on_signal()}, .store = store};
    if (simulation_run(s, &o, err) || server_error(server, err))
        return -1;
    size_t used = strlen(s->scenario.name);
    snprintf(s->scenario.name + used, sizeof s->scenario.name - used, " (served by %s)",
             server->engines[0].backend->name);
    if (s->summary.totals.stopped)
        signals_wait_for_keeping();
    int64_t id = simulation_keep(s, store, err);
    if (id < 0)
        return -1;
    if (!args->values[OPT_QUIET]) {
        text_print_summary(stdout, &s->scenario, &s->summary, &s->metrics, s->wall_s);
        print_engine(server, s->wall_s);
    }
    printf("  kept       run %lld in %s\n", (long long)id,
           PRINTABLE(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db"));
    if (s->summary.totals.stopped)
        return error_set(err, ERROR_RUN, "interrupted; what had finished was kept with status \"interrupted\"");
    return 0;
}

static int run_serve(const struct arguments *args, struct error *err)
{
    struct simulation *s = NULL;
    struct server server;
    struct store *store = NULL;
    struct server_options o = {.backend = args->values[OPT_BACKEND], .weights_file = args->values[OPT_WEIGHTS]};
    double rows, temperature;
    if (read_number(args, OPT_ROWS, 1, 1e6, 0, &rows, err) || read_number(args, OPT_PACE, 0, 1e6, 0, &o.pace, err) ||
        read_number(args, OPT_TEMPERATURE, 0, 1000, 0, &temperature, err))
        return -1;
    const char *peer = args->values[OPT_PEER];
    o.peer = peer ? peer_link_find(peer) : PEER_NONE;
    if (peer && o.peer == PEER_NONE)
        return error_set(err, ERROR_INPUT, "--peer %s: expected shared or socket", peer);
    o.rows = (size_t)rows;
    o.temperature = (float)temperature;
    if (read_workers(args, &o.threads, err) || open_scenario(args, &s, err))
        return -1;
    int status = server_open(&server, &s->scenario, &o, err);
    if (status == 0) {
        status = store_open(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", &store, err) ||
                         serve_and_keep(args, s, &server, store, err)
                     ? -1
                     : 0;
        server_close(&server);
    }
    store_close(store);
    simulation_close(s);
    return status;
}

static int run(const struct arguments *args, struct error *err)
{
    static const struct {
        const char *name;
        int words;
        int (*run)(const struct arguments *args, struct error *err);
    } runs[] = {{"check", 1, run_check}, {"bench", 1, run_bench}, {"profile", 1, run_profile}, {"serve", 2, run_serve}};
    if (need_words(args, 1, 2, command_engine.usage, err))
        return exit_for(err);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (strcmp(args->words[0], runs[i].name) == 0) {
            int words = runs[i].words;
            return need_words(args, words, words, command_engine.usage, err) || runs[i].run(args, err) ? exit_for(err)
                                                                                                       : EXIT_DONE;
        }
    error_set(err, ERROR_INPUT, "expected check, bench, profile or serve, found \"%s\"", args->words[0]);
    return EXIT_BAD_INPUT;
}

static const struct action actions[] = {
    {"check", ""},
    {"bench", "--model --threads --one-layer"},
    {"profile", "--model --threads --out --most --point-s --one-layer --quiet"},
    {"serve", "--set --policy --threads --weights --pace --rows --temperature --peer --db --quiet"},
    {0}};

const struct command command_engine = {
    .name = "engine",
    .usage = "engine check | bench | profile | serve SCENARIO|TRACE",
    .summary = "the real engine: its correctness and speed here, a profile of it, a workload served by it",
    .options = options,
    .actions = actions,
    .run = run,
};
