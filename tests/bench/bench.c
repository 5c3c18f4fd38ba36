/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* wait4, for the peak memory of one child */
/* How fast the simulator is: a table of workloads, each run in a process of its own so that its peak memory is its
 * own. The yardstick is a bare event loop (M/M/1, one binary heap, nothing kept), timed in the same run.
 *
 * Every workload is run --repeat times (5), in turn with all others, and the loop before each run: rows are medians,
 * with their least and largest value. --against compares with a file of --json, of this machine alone.
 *
 *   bench [--json FILE] [--only TEXT] [--requests N] [--repeat N] [--against FILE] [--week]
 *   bench --versus COMMAND --versus-requests N --scenario FILE    another simulator next to ours
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
#include "tests/bench/machine.h"

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

enum { REPEATS_MAX = 25 };

/* The runs of a workload: seconds of each, and the bare loop's events per second just before. */
struct runs {
    struct result last;
    int count;
    double wall_s[REPEATS_MAX], bare_per_s[REPEATS_MAX];
};

struct spread {
    double median, least, most;
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
    enum { EVENTS = 4000000 };
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
    const char *json, *only, *against, *versus, *scenario;
    double requests, versus_requests;
    int repeat;
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

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct spread spread_of(const double *values, int count)
{
    double sorted[REPEATS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_numbers);
    return (struct spread){(sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[0], sorted[count - 1]};
}

/* What a row of the table says, over the workload's runs. */
struct row {
    struct spread per_s, wall_s, bare_per_s, bare_events;
};

static struct row row_of(const struct runs *r)
{
    double per_s[REPEATS_MAX], bare_events[REPEATS_MAX];
    for (int i = 0; i < r->count; i++) {
        per_s[i] = r->last.requests / r->wall_s[i];
        bare_events[i] = r->bare_per_s[i] * r->wall_s[i] / r->last.requests;
    }
    return (struct row){spread_of(per_s, r->count), spread_of(r->wall_s, r->count), spread_of(r->bare_per_s, r->count),
                        spread_of(bare_events, r->count)};
}

static void add_spread(cJSON *row, const char *name, struct spread s)
{
    char key[60];
    cJSON_AddNumberToObject(row, name, s.median);
    snprintf(key, sizeof key, "%s_least", name);
    cJSON_AddNumberToObject(row, key, s.least);
    snprintf(key, sizeof key, "%s_most", name);
    cJSON_AddNumberToObject(row, key, s.most);
}

static void add_row(cJSON *rows, const struct bench_case *c, const struct runs *runs)
{
    char policy[40];
    cJSON *out = cJSON_CreateObject();
    const struct result *r = &runs->last;
    struct row row = row_of(runs);
    cJSON_AddStringToObject(out, "workload", c->name);
    cJSON_AddStringToObject(out, "policy", short_policy(c, policy, sizeof policy));
    cJSON_AddNumberToObject(out, "requests", r->requests);
    cJSON_AddNumberToObject(out, "runs", runs->count);
    add_spread(out, "wall_s", row.wall_s);
    add_spread(out, "requests_per_s", row.per_s);
    add_spread(out, "bare_events_per_s", row.bare_per_s);
    add_spread(out, "bare_events_per_request", row.bare_events);
    cJSON_AddNumberToObject(out, "iterations_per_s", r->iterations / row.wall_s.median);
    cJSON_AddNumberToObject(out, "output_tokens_per_s", r->output_tokens / row.wall_s.median);
    cJSON_AddNumberToObject(out, "ns_per_iteration", 1e9 * row.wall_s.median / r->iterations);
    cJSON_AddNumberToObject(out, "mean_batch", r->batch);
    cJSON_AddNumberToObject(out, "peak_mb", r->peak_mb);
    cJSON_AddItemToArray(rows, out);
}

/* The row of the same workload, policy and number of requests in an earlier file, or NULL. */
static const cJSON *same_row(const cJSON *before, const struct bench_case *c, double requests)
{
    char policy[40];
    const cJSON *row;
    short_policy(c, policy, sizeof policy);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(before, "rows"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(row, "workload"));
        const char *under = cJSON_GetStringValue(cJSON_GetObjectItem(row, "policy"));
        const cJSON *count = cJSON_GetObjectItem(row, "requests");
        if (name && under && strcmp(name, c->name) == 0 && strcmp(under, policy) == 0 && cJSON_IsNumber(count) &&
            count->valuedouble == requests)
            return row;
    }
    return NULL;
}

/* By the bare events that a request takes; the same where the two spreads have a value in common. */
static void print_change(const cJSON *before, const struct bench_case *c, const struct runs *runs)
{
    const cJSON *row = same_row(before, c, runs->last.requests);
    const cJSON *median = cJSON_GetObjectItem(row, "bare_events_per_request");
    const cJSON *least = cJSON_GetObjectItem(row, "bare_events_per_request_least");
    const cJSON *most = cJSON_GetObjectItem(row, "bare_events_per_request_most");
    struct spread now = row_of(runs).bare_events;
    if (cJSON_IsNumber(median) && cJSON_IsNumber(least) && cJSON_IsNumber(most))
        printf("  %6.2f x%s", median->valuedouble / now.median,
               now.least <= most->valuedouble && least->valuedouble <= now.most ? " (within spread)" : "");
}

static void print_row(const struct bench_case *c, const struct runs *runs, const cJSON *before)
{
    char policy[40];
    const struct result *r = &runs->last;
    struct row row = row_of(runs);
    printf("%-32s %-16s %10.0f %10.0f %10.0f %12.0f %8.1f %7.1f %7.1f %6.1f %6.1f %6.1f %6.1f", c->name,
           short_policy(c, policy, sizeof policy), row.per_s.median, row.per_s.least, row.per_s.most,
           r->iterations / row.wall_s.median, 1e9 * row.wall_s.median / r->iterations, r->batch, r->peak_mb,
           row.bare_per_s.median * 1e-6, row.bare_events.median, row.bare_events.least, row.bare_events.most);
    if (before)
        print_change(before, c, runs);
    putchar('\n');
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

static void fit_growths(const struct runs *runs, cJSON *root)
{
    cJSON *all = cJSON_AddObjectToObject(root, "growth_exponents");
    printf("\ntime of a request ~ x^exponent, for x =\n");
    for (size_t g = 0; g < sizeof growths / sizeof *growths; g++) {
        double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
        for (int i = 0; i < 4 && growths[g].points[i].name; i++)
            for (size_t c = 0; cases[c].name; c++) {
                if (strcmp(cases[c].name, growths[g].points[i].name) != 0 || runs[c].count == 0)
                    continue;
                double x = log(growths[g].points[i].x), y = -log(row_of(&runs[c]).per_s.median);
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

/* Each workload once, with the bare loop before it. */
static int run_round(const struct options *o, struct runs *runs)
{
    for (const struct bench_case *c = cases; c->name; c++) {
        struct runs *r = &runs[c - cases];
        if (!wanted(c, o))
            continue;
        r->bare_per_s[r->count] = bare_loop_events_per_s();
        if (run_apart(c, c->requests * o->requests, &r->last))
            return -1;
        r->wall_s[r->count++] = r->last.wall_s;
    }
    return 0;
}

static void print_table(const struct runs *runs, const cJSON *before)
{
    printf("%-32s %-16s %10s %10s %10s %12s %8s %7s %7s %6s %6s %6s %6s%s\n", "workload", "policy", "requests/s",
           "least", "most", "iterat./s", "ns/iter.", "batch", "peak MB", "bare M", "bare e", "least", "most",
           before ? "  before : now" : "");
    for (const struct bench_case *c = cases; c->name; c++)
        if (runs[c - cases].count)
            print_row(c, &runs[c - cases], before);
    printf("\nmedians of alternating runs, with the least and the largest value; bare M: million events/s of the bare\n"
           "loop (M/M/1, one heap), timed before each run; bare e: as long as so many of its events a request takes\n");
}

static int bench_all(struct options *o, const cJSON *before)
{
    cJSON *root = cJSON_CreateObject(), *rows = cJSON_CreateArray();
    static struct runs runs[sizeof cases / sizeof *cases];
    int status = 0;
    cJSON_AddItemToObject(root, "machine", machine_describe());
    cJSON_AddItemToObject(root, "rows", rows);
    for (int i = 0; i < o->repeat && status == 0; i++) {
        fprintf(stderr, "bench: round %d of %d\n", i + 1, o->repeat);
        status = run_round(o, runs);
    }
    for (const struct bench_case *c = cases; c->name && status == 0; c++)
        if (runs[c - cases].count)
            add_row(rows, c, &runs[c - cases]);
    if (status == 0)
        print_table(runs, before);
    if (status == 0 && !o->only)
        fit_growths(runs, root);
    if (status == 0 && !o->only)
        status = bench_threads(o, root);
    if (status == 0 && o->json)
        status = write_json(o->json, root);
    cJSON_Delete(root);
    return status;
}

/* Another simulator's command next to ours on a scenario, both timed as a whole: starting up, reading the workload,
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
    struct options o = {.requests = 1e6, .repeat = 5};
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
        else if (value && strcmp(argv[i], "--against") == 0)
            o.against = argv[++i];
        else if (value && strcmp(argv[i], "--repeat") == 0 && atoi(value) >= 1 && atoi(value) <= REPEATS_MAX)
            o.repeat = atoi(argv[++i]);
        else if (value && strcmp(argv[i], "--versus") == 0)
            o.versus = argv[++i];
        else if (value && strcmp(argv[i], "--scenario") == 0)
            o.scenario = argv[++i];
        else if (value && strcmp(argv[i], "--versus-requests") == 0)
            o.versus_requests = strtod(argv[++i], NULL);
        else {
            fprintf(stderr, "usage: bench [--json FILE] [--only TEXT] [--requests N] [--repeat 1..25] [--against FILE] "
                            "[--week]\n"
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
    cJSON *before = NULL;
    if (o.against && !(before = machine_read_bench(o.against)))
        return 2;
    int status = bench_all(&o, before);
    cJSON_Delete(before);
    return status ? 1 : 0;
}
