/* SPDX-License-Identifier: MIT */
#include "validation/measured.h"

#include <gsl/gsl_multimin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/lines.h"
#include "base/present.h"
#include "profiles/shipped.h"

struct stamps {
    double arrival, queued, first_token, last_token;
    uint32_t output_tokens;
};

static int read_stamps(const struct line *line, const char *file, struct stamps *out, struct error *err)
{
    char place[600];
    struct json root;
    long long tokens = 0;
    snprintf(place, sizeof place, "%s:%ld", file, line->number);
    if (json_parse(line->text, place, &root, err))
        return -1;
    int status = json_read_number(&root, "arrival_time", true, 0, 1e12, &out->arrival, err) ||
                 json_read_number(&root, "queued_ts", true, 0, 1e12, &out->queued, err) ||
                 json_read_number(&root, "first_token_ts", true, 0, 1e12, &out->first_token, err) ||
                 json_read_number(&root, "last_token_ts", true, 0, 1e12, &out->last_token, err) ||
                 json_read_integer(&root, "output_toks", true, 1, 100000000, &tokens, err);
    out->output_tokens = (uint32_t)tokens;
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    if (status == 0 && !(out->queued <= out->first_token && out->first_token <= out->last_token))
        status = error_set(err, ERROR_INPUT,
                           "%s: expected queued_ts, first_token_ts and last_token_ts in that order, found %.9g, %.9g, "
                           "%.9g",
                           place, out->queued, out->first_token, out->last_token);
    return status ? -1 : 0;
}

static int read_all(struct lines *in, const char *file, struct stamps **items, size_t *count, struct error *err)
{
    size_t capacity = 0;
    struct line line;
    int got;
    while ((got = lines_next(in, &line, err)) == 1) {
        struct stamps *grown = array_grow(*items, &capacity, *count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        *items = grown;
        if (read_stamps(&line, file, &grown[(*count)++], err))
            return -1;
    }
    return got == 0 && *count == 0 ? error_set(err, ERROR_INPUT, "%s: holds no requests", file) : got;
}

int measured_read(const char *folder, struct latencies *out, struct error *err)
{
    char file[512];
    snprintf(file, sizeof file, "%s/requests.jsonl", folder);
    struct lines *in = lines_open(file, err);
    if (!in)
        return -1;
    struct stamps *items = NULL;
    size_t count = 0;
    int status = read_all(in, file, &items, &count, err);
    lines_close(in);
    double offset = INFINITY;
    for (size_t i = 0; status == 0 && i < count; i++)
        offset = fmin(offset, items[i].queued - items[i].arrival);
    for (size_t i = 0; status == 0 && i < count; i++) {
        double arrival = items[i].arrival + offset;
        if (latencies_add(out, items[i].first_token - arrival, items[i].last_token - arrival, items[i].output_tokens))
            status = error_no_memory(err);
    }
    free(items);
    return status;
}

struct settings {
    const char *model, *version;
    long long max_sequences, token_budget, tensor_parallel, data_parallel, blocks, block_tokens;
    double link_gb_per_s, link_latency_ns; /* 0, −1: not stated */
    bool expert_parallel, prefix_caching, whole_must_fit;
    bool ahead_stated, schedule_ahead; /* where it is not stated, the engine's default */
};

/* Settings that a file does not name are vLLM's defaults. */
static int read_settings(const struct json *meta, struct settings *s, struct error *err)
{
    struct json engine = json_member(meta, "engine_kwargs"), kv = json_member(meta, "kv_cache");
    struct json resolved = json_member(meta, "resolved_config"), scheduler = json_member(&resolved, "scheduler_config");
    *s = (struct settings){.ahead_stated = json_member(&scheduler, "async_scheduling").node != NULL,
                           .max_sequences = 256,
                           .token_budget = 2048,
                           .tensor_parallel = 1,
                           .data_parallel = 1,
                           .link_latency_ns = -1,
                           .block_tokens = 16,
                           .prefix_caching = true,
                           .whole_must_fit = true};
    return json_read_string(meta, "model", true, &s->model, err) ||
           json_read_string(meta, "vllm_version", false, &s->version, err) ||
           json_read_bool(&scheduler, "async_scheduling", &s->schedule_ahead, err) ||
           json_read_integer(&engine, "max_num_seqs", false, 1, 65536, &s->max_sequences, err) ||
           json_read_integer(&engine, "max_num_batched_tokens", false, 1, 1000000, &s->token_budget, err) ||
           json_read_integer(&engine, "tensor_parallel_size", false, 1, 64, &s->tensor_parallel, err) ||
           json_read_integer(&engine, "data_parallel_size", false, 1, 64, &s->data_parallel, err) ||
           json_read_bool(&engine, "enable_expert_parallel", &s->expert_parallel, err) ||
           json_read_integer(&kv, "num_gpu_blocks", false, 2, 1000000000, &s->blocks, err) ||
           json_read_integer(&kv, "block_size", false, 1, 4096, &s->block_tokens, err) ||
           json_read_bool(&kv, "enable_prefix_caching", &s->prefix_caching, err) ||
           json_read_bool(&scheduler, "scheduler_reserve_full_isl", &s->whole_must_fit, err);
}

/* Links between the server's GPUs, where a config.json next to the run states them (LLMServingSim's cluster file:
 * link_bw in GB/s, link_latency in ns). */
static int read_link(const char *folder, struct settings *s, struct error *err)
{
    char file[512];
    struct json root;
    snprintf(file, sizeof file, "%s/config.json", folder);
    int found = file_present(file, err);
    if (found != 1)
        return found;
    if (json_load(file, &root, err))
        return -1;
    int status = json_read_number(&root, "link_bw", false, 1e-3, 1e6, &s->link_gb_per_s, err) ||
                 json_read_number(&root, "link_latency", false, 0, 1e12, &s->link_latency_ns, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status ? -1 : 0;
}

static cJSON *build_scenario(const char *folder, const char *device, const struct settings *s)
{
    char model[64], trace[512];
    shipped_resolve("model", s->model, model, sizeof model);
    snprintf(trace, sizeof trace, "%s/requests.jsonl", folder);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", folder);
    cJSON_AddStringToObject(root, "model", model);
    cJSON_AddStringToObject(root, "device", device);
    cJSON *engine = cJSON_AddObjectToObject(root, "engine");
    if (s->version)
        cJSON_AddStringToObject(engine, "preset", "vllm-0.19");
    if (s->ahead_stated)
        cJSON_AddBoolToObject(engine, "schedule_ahead", s->schedule_ahead);
    cJSON *workload = cJSON_AddObjectToObject(root, "workload");
    cJSON_AddStringToObject(workload, "trace", trace);
    cJSON *cluster = cJSON_AddObjectToObject(root, "cluster");
    cJSON_AddNumberToObject(cluster, "tensor_parallel", (double)s->tensor_parallel);
    if (s->data_parallel > 1) {
        cJSON_AddNumberToObject(cluster, "data_parallel", (double)s->data_parallel);
        cJSON_AddStringToObject(cluster, "routing", "least_outstanding_tokens");
    }
    if (s->expert_parallel)
        cJSON_AddNumberToObject(cluster, "expert_parallel", (double)(s->tensor_parallel * s->data_parallel));
    cJSON *link = cJSON_AddObjectToObject(cluster, "link");
    if (s->link_gb_per_s > 0)
        cJSON_AddNumberToObject(link, "bytes_per_s", s->link_gb_per_s * 1e9);
    if (s->link_latency_ns >= 0)
        cJSON_AddNumberToObject(link, "latency_ns", s->link_latency_ns);
    cJSON *policy = cJSON_AddObjectToObject(root, "policy");
    cJSON *batching = cJSON_AddObjectToObject(policy, "batching");
    cJSON_AddStringToObject(batching, "name", "unified_budget");
    cJSON_AddNumberToObject(batching, "token_budget", (double)s->token_budget);
    cJSON_AddNumberToObject(batching, "max_sequences", (double)s->max_sequences);
    cJSON_AddBoolToObject(batching, "whole_must_fit", s->whole_must_fit);
    cJSON_AddBoolToObject(policy, "prefix_caching", s->prefix_caching);
    cJSON_AddNumberToObject(policy, "kv_block_tokens", (double)s->block_tokens);
    if (s->blocks) /* one of them is the null block, which holds nothing */
        cJSON_AddNumberToObject(policy, "kv_blocks", (double)s->blocks - 1);
    cJSON_AddBoolToObject(cJSON_AddObjectToObject(root, "output"), "requests", true);
    return root;
}

int measured_scenario(const char *folder, const char *device, struct json *out, struct error *err)
{
    char file[512];
    struct json meta;
    struct settings settings;
    snprintf(file, sizeof file, "%s/meta.json", folder);
    if (json_load(file, &meta, err))
        return -1;
    int status = read_settings(&meta, &settings, err) || read_link(folder, &settings, err);
    if (status == 0)
        *out = (struct json){.node = build_scenario(folder, device, &settings), .file = folder};
    cJSON_Delete((cJSON *)(uintptr_t)meta.node);
    return status ? -1 : 0;
}

static int read_lengths(const struct line *line, const char *file, const char *const keys[2], long long *out,
                        struct error *err)
{
    char place[600];
    struct json root;
    snprintf(place, sizeof place, "%s:%ld", file, line->number);
    if (json_parse(line->text, place, &root, err))
        return -1;
    int status = json_read_integer(&root, keys[0], true, 0, 100000000, &out[0], err) ||
                 json_read_integer(&root, keys[1], true, 1, 100000000, &out[1], err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status ? -1 : 0;
}

/* One line of each file: 1 when both hold the same request, 0 at the end of both. */
static int same_request(struct lines *served, const char *requests, struct lines *hashed, const char *hashes,
                        struct error *err)
{
    static const char *const stamped[2] = {"input_toks", "output_toks"}, *const traced[2] = {"prompt_tokens",
                                                                                             "output_tokens"};
    struct line a, b;
    long long of_server[2], of_trace[2];
    int got = lines_next(served, &a, err), more = got < 0 ? -1 : lines_next(hashed, &b, err);
    if (got < 0 || more < 0)
        return -1;
    if (got != more)
        return error_set(err, ERROR_INPUT, "%s: expected as many requests as in %s, found %s", hashes, requests,
                         more ? "more" : "fewer");
    if (got == 0)
        return 0;
    if (read_lengths(&a, requests, stamped, of_server, err) || read_lengths(&b, hashes, traced, of_trace, err))
        return -1;
    if (of_server[0] != of_trace[0] || of_server[1] != of_trace[1])
        return error_set(
            err, ERROR_INPUT,
            "%s:%ld: expected the request of %s:%ld, of %lld prompt and %lld output tokens, found %lld and "
            "%lld",
            hashes, b.number, requests, a.number, of_server[0], of_server[1], of_trace[0], of_trace[1]);
    return 1;
}

static int check_same_requests(const char *requests, const char *hashes, struct error *err)
{
    struct lines *served = lines_open(requests, err), *hashed = served ? lines_open(hashes, err) : NULL;
    int same = hashed ? 1 : -1;
    while (same == 1)
        same = same_request(served, requests, hashed, hashes, err);
    if (served)
        lines_close(served);
    if (hashed)
        lines_close(hashed);
    return same;
}

int measured_share_prefixes(const char *folder, struct json *scenario, bool *found, struct error *err)
{
    char requests[512], hashes[512];
    snprintf(requests, sizeof requests, "%s/requests.jsonl", folder);
    snprintf(hashes, sizeof hashes, "%s/prefix_hashes.jsonl", folder);
    int there = file_present(hashes, err);
    *found = there == 1;
    if (there != 1)
        return there;
    cJSON *workload = cJSON_GetObjectItem((cJSON *)(uintptr_t)scenario->node, "workload");
    cJSON *trace = cJSON_CreateString(hashes);
    if (!trace || !cJSON_ReplaceItemInObject(workload, "trace", trace))
        return error_no_memory(err);
    return check_same_requests(requests, hashes, err);
}

/* Keeps what is compared. */
struct collector {
    struct latencies *simulated;
    bool out_of_memory;
};

static void collect(void *state, struct station_id station, const struct request *r)
{
    struct collector *c = state;
    double ttft = sim_time_to_s(r->first_token - r->arrival), e2e = sim_time_to_s(r->last_token - r->arrival);
    (void)station;
    if (latencies_add(c->simulated, ttft, e2e, r->output_tokens))
        c->out_of_memory = true;
}

int measured_simulate(struct simulation *s, struct store *store, struct latencies *out, struct error *err)
{
    struct collector collector = {.simulated = out};
    const struct observer observer = {.state = &collector, .finished = collect};
    const struct simulation_options o = {.observers = &observer, .store = store};
    s->scenario.keep_requests = 1;
    if (simulation_run(s, &o, err))
        return -1;
    if (collector.out_of_memory)
        return error_no_memory(err);
    if (s->summary.totals.rejected)
        return error_set(err, ERROR_RUN, "%llu requests were rejected, the last one because: %s; the server took them",
                         (unsigned long long)s->summary.totals.rejected, s->metrics.reject_reason);
    return 0;
}

struct fit_job {
    const struct json *root;
    struct latencies measured;
    struct host_fit *result;
    struct error *err;
    bool failed;
};

static int set_host(struct json *root, const double *host, struct error *err)
{
    static const char *const paths[2] = {"engine.host_ns", "engine.host_ns_per_sequence"};
    for (int i = 0; i < 2; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.3f", host[i]);
        if (json_set_path(root, paths[i], text, err))
            return -1;
    }
    return 0;
}

static int simulate_host(struct fit_job *job, const double *host, double *error)
{
    struct json root = *job->root;
    struct simulation *s = NULL;
    struct latencies simulated = {0};
    struct comparison comparison;
    job->result->runs++;
    root.node = cJSON_Duplicate(root.node, 1);
    if (!root.node)
        return error_no_memory(job->err);
    if (set_host(&root, host, job->err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    if (simulation_open(root, &s, job->err))
        return -1;
    int status = measured_simulate(s, NULL, &simulated, job->err);
    if (status == 0) {
        latencies_compare(&job->measured, &simulated, &comparison);
        *error = comparison.mean_absolute;
    }
    latencies_release(&simulated);
    simulation_close(s);
    return status;
}

/* The simplex walks in units of 100 µs an iteration and 1 µs a sequence; what is below 0 counts as 0. */
static void to_host(const gsl_vector *at, double *host)
{
    host[0] = fmax(0, gsl_vector_get(at, 0) * 1e5);
    host[1] = fmax(0, gsl_vector_get(at, 1) * 1e3);
}

static double error_at(const gsl_vector *at, void *state)
{
    struct fit_job *job = state;
    double host[2], error = 1e9;
    to_host(at, host);
    if (!job->failed && simulate_host(job, host, &error))
        job->failed = true;
    double below = fmin(0, gsl_vector_get(at, 0)) + fmin(0, gsl_vector_get(at, 1));
    return error - 1e-3 * below; /* a slope back to where values mean something */
}

/* A simplex that has come to rest is set up anew around where it lies, smaller each time: the error has kinks, where
 * one more or less request goes into a batch, and the two values can stand in for each other. */
static int walk_simplex(struct fit_job *job, gsl_multimin_fminimizer *minimizer, gsl_vector *start, gsl_vector *step)
{
    static const double steps[] = {16, 8, 4, 2};
    gsl_multimin_function function = {.f = error_at, .n = 2, .params = job};
    gsl_vector_set(start, 0, 5);
    gsl_vector_set(start, 1, 5);
    for (size_t round = 0; round < sizeof steps / sizeof *steps; round++) {
        gsl_vector_set_all(step, steps[round]);
        gsl_multimin_fminimizer_set(minimizer, &function, start, step);
        for (int i = 0; i < 60 && !job->failed; i++)
            if (gsl_multimin_fminimizer_iterate(minimizer) ||
                gsl_multimin_test_size(gsl_multimin_fminimizer_size(minimizer), 0.05) == GSL_SUCCESS)
                break;
        gsl_vector_memcpy(start, gsl_multimin_fminimizer_x(minimizer));
    }
    if (job->failed)
        return -1;
    double host[2];
    to_host(start, host);
    job->result->host_ns = host[0];
    job->result->host_ns_per_sequence = host[1];
    return simulate_host(job, host, &job->result->after);
}

int measured_fit_host(const char *folder, const struct json *root, struct host_fit *out, struct error *err)
{
    *out = (struct host_fit){0};
    struct fit_job job = {.root = root, .result = out, .err = err};
    gsl_multimin_fminimizer *minimizer = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, 2);
    gsl_vector *start = gsl_vector_alloc(2), *step = gsl_vector_alloc(2);
    int status = minimizer && start && step ? 0 : error_no_memory(err);
    if (status == 0)
        status = measured_read(folder, &job.measured, err) ||
                 simulate_host(&job, (const double[]){0, 0}, &out->before) ||
                 walk_simplex(&job, minimizer, start, step);
    out->shown = status == 0 && out->after < out->before - 1e-5;
    if (status == 0 && !out->shown) {
        out->host_ns = out->host_ns_per_sequence = 0;
        out->after = out->before;
    }
    latencies_release(&job.measured);
    gsl_multimin_fminimizer_free(minimizer);
    gsl_vector_free(start);
    gsl_vector_free(step);
    return status ? -1 : 0;
}
