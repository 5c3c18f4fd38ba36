/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* wait4, for the peak memory of one child */
/* How fast the simulator is: a table of workloads, each run in a process of its own so that its peak memory is its
 * own. The yardstick is a bare event loop (M/M/1, one binary heap, nothing kept), timed in the same run.
 *
 *   bench [--json FILE] [--only TEXT] [--requests N] [--week]
 *   bench --versus COMMAND --versus-requests N --scenario FILE    another simulator beside ours
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "planner/parallel.h"
#include "simulation/simulation.h"

#include <gsl/gsl_randist.h>

#define TRACES "../shared/data/traces/"

struct bench_case {
    const char *name, *policy;
    const char *workload; /* JSON, without "requests" or "limit" */
    const char *cluster;  /* JSON */
    double requests;      /* 1: as many as --requests says */
    bool trace;           /* "requests" limits a trace */
    bool step;
    bool rows;
    bool long_run; /* only with --week */
};

struct result {
    double wall_s, requests, iterations, output_tokens, batch, peak_mb;
};

#define AZURE_LENGTHS "\"lengths\": {\"name\": \"empirical\", \"trace\": \"" TRACES "azure_llm_2023_conv.csv\"}"
#define POISSON(rate) "\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": " rate "}, " AZURE_LENGTHS
#define AZURE_TRACE "\"trace\": \"" TRACES "azure_llm_2023_conv.csv\", \"repeat\": 1000000"
#define MOONCAKE "\"trace\": \"" TRACES "mooncake_conversation.jsonl\", \"repeat\": 1000000"
#define ONE "{\"replicas\": 1}"
#define CHUNKED "{\"name\": \"chunked_prefill\", \"token_budget\": 512}"
#define CHUNKED_1024 "{\"name\": \"chunked_prefill\", \"token_budget\": 1024}"
#define ROUTED(replicas, routing) "{\"replicas\": " replicas ", \"routing\": \"" routing "\"}"
#define WEEK "\"arrivals\": {\"name\": \"diurnal\", \"rate_per_s\": 66.14, \"amplitude\": 0.6}, " AZURE_LENGTHS

static const struct bench_case cases[] = {
    {"Poisson 2/s", CHUNKED, POISSON("2"), ONE, 1, false, false, false, false},
    {"Poisson 8/s", CHUNKED, POISSON("8"), ONE, 1, false, false, false, false},
    {"Poisson 19.5/s, near saturation", CHUNKED, POISSON("19.5"), ONE, 1, false, false, false, false},
    {"Poisson 20.8/s, budget 1024", CHUNKED_1024, POISSON("20.8"), ONE, 1, false, false, false, false},
    {"Azure conversation trace", "\"static_padded\"", AZURE_TRACE, ONE, 1, true, false, false, false},
    {"Azure conversation trace", "\"static_prepacked\"", AZURE_TRACE, ONE, 1, true, false, false, false},
    {"Azure conversation trace", "\"continuous\"", AZURE_TRACE, ONE, 1, true, false, false, false},
    {"Azure conversation trace", "\"prefill_first\"", AZURE_TRACE, ONE, 1, true, false, false, false},
    {"Azure conversation trace", "\"chunked_prefill\"", AZURE_TRACE, ONE, 1, true, false, false, false},
    {"Azure conversation trace", "\"unified_budget\"", AZURE_TRACE, ONE, 1, true, false, false, false},
    {"step by step, trace", "\"static_padded\"", AZURE_TRACE, ONE, 0.1, true, true, false, false},
    {"step by step, trace", "\"static_prepacked\"", AZURE_TRACE, ONE, 0.1, true, true, false, false},
    {"step by step, trace", "\"continuous\"", AZURE_TRACE, ONE, 0.1, true, true, false, false},
    {"step by step, trace", "\"prefill_first\"", AZURE_TRACE, ONE, 0.1, true, true, false, false},
    {"step by step, trace", "\"chunked_prefill\"", AZURE_TRACE, ONE, 0.1, true, true, false, false},
    {"step by step, trace", "\"unified_budget\"", AZURE_TRACE, ONE, 0.1, true, true, false, false},
    {"step by step, Poisson 2/s", CHUNKED, POISSON("2"), ONE, 0.1, false, true, false, false},
    {"Mooncake trace, 8 replicas", CHUNKED, MOONCAKE, ROUTED("8", "least_outstanding_tokens"), 0.2, true, false, false,
     false},
    {"10 replicas, 8/s each", CHUNKED, POISSON("80"), ROUTED("10", "round_robin"), 1, false, false, false, false},
    {"100 replicas, 8/s each", CHUNKED, POISSON("800"), ROUTED("100", "round_robin"), 1, false, false, false, false},
    {"1000 replicas, 8/s each", CHUNKED, POISSON("8000"), ROUTED("1000", "round_robin"), 1, false, false, false, false},
    {"10 replicas, least tokens", CHUNKED, POISSON("80"), ROUTED("10", "least_outstanding_tokens"), 1, false, false,
     false, false},
    {"100 replicas, least tokens", CHUNKED, POISSON("800"), ROUTED("100", "least_outstanding_tokens"), 1, false, false,
     false, false},
    {"1000 replicas, least tokens", CHUNKED, POISSON("8000"), ROUTED("1000", "least_outstanding_tokens"), 1, false,
     false, false, false},
    {"1000 replicas, central queue", CHUNKED, POISSON("8000"), ROUTED("1000", "central_queue"), 0.3, false, false,
     false, false},
    {"with all rows into SQLite", CHUNKED, POISSON("8"), ONE, 0.3, false, false, true, false},
    {"100 thousand requests", CHUNKED, POISSON("8"), ONE, 0.1, false, false, false, false},
    {"10 million requests", CHUNKED, POISSON("8"), ONE, 10, false, false, false, false},
    {"a week, 40 million, 64 replicas", CHUNKED, WEEK, ROUTED("64", "least_outstanding_tokens"), 40, false, false,
     false, true},
    {0},
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Arrivals and departures of M/M/1 through a binary heap of two events, waiting requests counted. */
static double bare_loop_events_per_s(void)
{
    enum { EVENTS = 20000000 };
    gsl_rng *rng = random_stream_create(1, "bare loop");
    double heap[4] = {0, gsl_ran_exponential(rng, 1), INFINITY, 0};
    unsigned kind[4] = {0, 0, 1, 0}; /* 0: arrival, 1: departure */
    uint64_t waiting = 0, sum = 0;
    double start = now_s();
    for (int i = 0; i < EVENTS; i++) {
        double now = heap[1];
        if (kind[1] == 0) {
            heap[1] = now + gsl_ran_exponential(rng, 1 / 0.9);
            if (waiting++ == 0)
                heap[2] = now + gsl_ran_exponential(rng, 1);
        } else {
            heap[1] = --waiting ? now + gsl_ran_exponential(rng, 1) : INFINITY;
        }
        if (heap[2] < heap[1]) {
            double at = heap[1];
            unsigned what = kind[1];
            heap[1] = heap[2], kind[1] = kind[2];
            heap[2] = at, kind[2] = what;
        }
        sum += waiting;
    }
    double wall = now_s() - start;
    gsl_rng_free(rng);
    return sum > 0 ? EVENTS / wall : 0;
}

static char *scenario_text(const struct bench_case *c, double requests)
{
    char *text = malloc(4000);
    if (text)
        snprintf(text, 4000,
                 "{\"name\": \"bench\", \"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": %s,"
                 "\"policy\": {\"batching\": %s}, \"output\": {\"requests\": %s},"
                 "\"workload\": {%s, \"requests\": %.0f}}",
                 c->cluster, c->policy, c->rows ? "true" : "false", c->workload, requests);
    return text;
}

static int run_root(struct json root, bool step, bool rows, struct result *out, struct error *err)
{
    struct simulation *s = NULL;
    struct store *store = NULL;
    char file[] = "/tmp/tandem-bench-XXXXXX";
    double start = now_s();
    if (simulation_open(root, &s, err))
        return -1;
    if (rows) {
        close(mkstemp(file));
        if (store_open(file, &store, err))
            return -1;
    }
    const struct simulation_options o = {.step = step, .store = store};
    if (simulation_run(s, &o, err) || (store && simulation_keep(s, store, err) < 0))
        return -1;
    store_close(store);
    if (store)
        unlink(file);
    *out = (struct result){.wall_s = now_s() - start,
                           .requests = (double)s->summary.totals.arrived,
                           .iterations = (double)s->summary.totals.iterations,
                           .output_tokens = (double)s->summary.output_tokens,
                           .batch = s->summary.mean_batch_sequences};
    simulation_close(s);
    return 0;
}

static int run_case(const struct bench_case *c, double requests, struct result *out, struct error *err)
{
    struct json root;
    char *text = scenario_text(c, requests);
    int status = text ? json_parse(text, "bench", &root, err) : error_no_memory(err);
    if (status == 0)
        status = run_root(root, c->step, c->rows, out, err);
    free(text);
    return status;
}

/* In a child, whose peak memory the system keeps for us. */
static int run_apart(const struct bench_case *c, double requests, struct result *out)
{
    int ends[2], status = 0;
    struct rusage usage;
    if (pipe(ends))
        return -1;
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        struct result r = {0};
        int failed = run_case(c, requests, &r, &err);
        if (failed)
            fprintf(stderr, "bench: %s\n", err.text);
        _exit(failed || write(ends[1], &r, sizeof r) != sizeof r);
    }
    close(ends[1]);
    bool got = read(ends[0], out, sizeof *out) == sizeof *out;
    close(ends[0]);
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0 || !got)
        return -1;
    out->peak_mb = (double)usage.ru_maxrss / 1024;
    return 0;
}

struct options {
    const char *json, *only, *versus, *scenario;
    double requests, versus_requests;
    bool week;
};

static bool wanted(const struct bench_case *c, const struct options *o)
{
    if (o->only && !strstr(c->name, o->only) && !strstr(c->policy, o->only))
        return false;
    return !c->long_run || o->week;
}

static const char *short_policy(const struct bench_case *c, char *out, size_t size)
{
    const char *start = strstr(c->policy, "name\": \"");
    snprintf(out, size, "%s", start ? start + 8 : c->policy + 1);
    out[strcspn(out, "\"")] = 0;
    return out;
}

static void add_row(cJSON *rows, const struct bench_case *c, const struct result *r, double bare)
{
    char policy[40];
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "workload", c->name);
    cJSON_AddStringToObject(row, "policy", short_policy(c, policy, sizeof policy));
    cJSON_AddNumberToObject(row, "requests", r->requests);
    cJSON_AddNumberToObject(row, "wall_s", r->wall_s);
    cJSON_AddNumberToObject(row, "requests_per_s", r->requests / r->wall_s);
    cJSON_AddNumberToObject(row, "iterations_per_s", r->iterations / r->wall_s);
    cJSON_AddNumberToObject(row, "output_tokens_per_s", r->output_tokens / r->wall_s);
    cJSON_AddNumberToObject(row, "ns_per_iteration", 1e9 * r->wall_s / r->iterations);
    cJSON_AddNumberToObject(row, "mean_batch", r->batch);
    cJSON_AddNumberToObject(row, "peak_mb", r->peak_mb);
    cJSON_AddNumberToObject(row, "bare_events_per_request", bare * r->wall_s / r->requests);
    cJSON_AddItemToArray(rows, row);
}

static void print_row(const struct bench_case *c, const struct result *r, double bare)
{
    char policy[40];
    printf("%-32s %-16s %11.0f %11.0f %12.0f %8.1f %7.1f %7.1f %8.1f\n", c->name,
           short_policy(c, policy, sizeof policy), r->requests / r->wall_s, r->iterations / r->wall_s,
           r->output_tokens / r->wall_s, 1e9 * r->wall_s / r->iterations, r->batch, r->peak_mb,
           bare * r->wall_s / r->requests);
    fflush(stdout);
}

static int thread_piece(void *job, size_t index, struct error *err)
{
    const struct options *o = job;
    struct result r;
    (void)index;
    return run_case(&cases[1], o->requests / 2, &r, err);
}

/* Four runs on one thread, then on as many as there are processors. */
static int bench_threads(struct options *o, cJSON *root)
{
    struct error err = {0};
    double wall[2];
    unsigned threads[2] = {1, parallel_processors()};
    for (int i = 0; i < 2; i++) {
        double start = now_s();
        if (parallel_run(thread_piece, o, 4, threads[i], &err)) {
            fprintf(stderr, "bench: %s\n", err.text);
            return -1;
        }
        wall[i] = now_s() - start;
    }
    printf("\nthreads: four runs of \"%s\" take %.2f s on 1 thread, %.2f s on %u: %.2f times as fast\n", cases[1].name,
           wall[0], wall[1], threads[1], wall[0] / wall[1]);
    cJSON_AddNumberToObject(root, "threads", threads[1]);
    cJSON_AddNumberToObject(root, "threads_speedup", wall[0] / wall[1]);
    return 0;
}

/* How the time of a request grows with something: the slope of a straight line through the logarithms. */
static const struct growth {
    const char *with;
    struct {
        const char *name;
        double x;
    } points[4];
} growths[] = {
    {"requests", {{"100 thousand requests", 1e5}, {"Poisson 8/s", 1e6}, {"10 million requests", 1e7}}},
    {"load (requests/s on one replica)",
     {{"Poisson 2/s", 2}, {"Poisson 8/s", 8}, {"Poisson 19.5/s, near saturation", 19.5}}},
    {"batch size", {{"Poisson 2/s", 3.1}, {"Poisson 8/s", 14.7}, {"Poisson 20.8/s, budget 1024", 123}}},
    {"replicas, round_robin",
     {{"Poisson 8/s", 1},
      {"10 replicas, 8/s each", 10},
      {"100 replicas, 8/s each", 100},
      {"1000 replicas, 8/s each", 1000}}},
    {"replicas, least_outstanding_tokens",
     {{"Poisson 8/s", 1},
      {"10 replicas, least tokens", 10},
      {"100 replicas, least tokens", 100},
      {"1000 replicas, least tokens", 1000}}},
};

static void fit_growths(const struct result *results, cJSON *root)
{
    cJSON *all = cJSON_AddObjectToObject(root, "growth_exponents");
    printf("\ntime of a request ~ x^exponent, for x =\n");
    for (size_t g = 0; g < sizeof growths / sizeof *growths; g++) {
        double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
        for (int i = 0; i < 4 && growths[g].points[i].name; i++)
            for (size_t c = 0; cases[c].name; c++) {
                if (strcmp(cases[c].name, growths[g].points[i].name) != 0 || results[c].requests == 0)
                    continue;
                double x = log(growths[g].points[i].x), y = log(results[c].wall_s / results[c].requests);
                n++, sx += x, sy += y, sxx += x * x, sxy += x * y;
            }
        double exponent = (n * sxy - sx * sy) / (n * sxx - sx * sx);
        printf("  %-36s %6.3f\n", growths[g].with, exponent);
        cJSON_AddNumberToObject(all, growths[g].with, exponent);
    }
}

static int write_json(const char *file, const cJSON *root)
{
    char *text = cJSON_Print(root);
    FILE *out = text ? fopen(file, "w") : NULL;
    bool ok = out && fprintf(out, "%s\n", text) > 0;
    ok = out && fclose(out) == 0 && ok;
    free(text);
    if (!ok)
        fprintf(stderr, "bench: %s cannot be written\n", file);
    return ok ? 0 : -1;
}

static int bench_all(struct options *o)
{
    cJSON *root = cJSON_CreateObject(), *rows = cJSON_CreateArray();
    double bare = bare_loop_events_per_s();
    struct result results[sizeof cases / sizeof *cases] = {0};
    int status = 0;
    printf("bare event loop (M/M/1, one heap): %.1f million events/s\n\n", bare * 1e-6);
    printf("%-32s %-16s %11s %11s %12s %8s %7s %7s %8s\n", "workload", "policy", "requests/s", "iterat./s",
           "out tokens/s", "ns/iter.", "batch", "peak MB", "bare ev.");
    cJSON_AddNumberToObject(root, "bare_events_per_s", bare);
    cJSON_AddItemToObject(root, "rows", rows);
    for (const struct bench_case *c = cases; c->name && status == 0; c++) {
        struct result *r = &results[c - cases];
        if (!wanted(c, o))
            continue;
        status = run_apart(c, c->requests * o->requests, r);
        if (status == 0) {
            print_row(c, r, bare);
            add_row(rows, c, r, bare);
        }
    }
    printf("\nbare ev.: as long as so many events of the bare loop one request takes\n");
    if (status == 0 && !o->only)
        fit_growths(results, root);
    if (status == 0 && !o->only)
        status = bench_threads(o, root);
    if (status == 0 && o->json)
        status = write_json(o->json, root);
    cJSON_Delete(root);
    return status;
}

/* Another simulator's command beside ours on a scenario, both timed as a whole: starting up, reading the workload,
 * simulating, reporting. */
static int bench_versus(const struct options *o)
{
    struct error err = {0};
    struct json root;
    struct result r;
    double start = now_s();
    if (!o->scenario || o->versus_requests < 1) {
        fprintf(stderr, "bench: --versus needs --scenario FILE and --versus-requests N, how many COMMAND simulates\n");
        return -1;
    }
    if (json_load(o->scenario, &root, &err) || run_root(root, false, false, &r, &err)) {
        fprintf(stderr, "bench: %s\n", err.text);
        return -1;
    }
    double ours = r.requests / (now_s() - start);
    start = now_s();
    int status = system(o->versus);
    double theirs = o->versus_requests / (now_s() - start);
    if (status != 0) {
        fprintf(stderr, "bench: \"%s\" failed with status %d\n", o->versus, status);
        return -1;
    }
    printf("%-50s %12s %12s %8s\n", "", "requests", "requests/s", "ratio");
    printf("%-50.50s %12.0f %12.0f %8s\n", o->versus, o->versus_requests, theirs, "1");
    printf("%-50.50s %12.0f %12.0f %8.0f\n", o->scenario, r.requests, ours, ours / theirs);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.requests = 1e6};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--week") == 0)
            o.week = true;
        else if (value && strcmp(argv[i], "--json") == 0)
            o.json = argv[++i];
        else if (value && strcmp(argv[i], "--only") == 0)
            o.only = argv[++i];
        else if (value && strcmp(argv[i], "--requests") == 0)
            o.requests = strtod(argv[++i], NULL);
        else if (value && strcmp(argv[i], "--versus") == 0)
            o.versus = argv[++i];
        else if (value && strcmp(argv[i], "--scenario") == 0)
            o.scenario = argv[++i];
        else if (value && strcmp(argv[i], "--versus-requests") == 0)
            o.versus_requests = strtod(argv[++i], NULL);
        else {
            fprintf(stderr, "usage: bench [--json FILE] [--only TEXT] [--requests N] [--week]\n"
                            "       bench --versus COMMAND --versus-requests N --scenario FILE\n");
            return 2;
        }
    }
    if (o.versus)
        return bench_versus(&o) ? 1 : 0;
    if (access(TRACES "azure_llm_2023_conv.csv", R_OK) != 0) {
        fprintf(stderr, "bench: " TRACES " is absent; there is nothing to replay\n");
        return 0;
    }
    return bench_all(&o) ? 1 : 0;
}
