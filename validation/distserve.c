/* SPDX-License-Identifier: MIT */
#include "validation/distserve.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/lines.h"
#include "base/output.h"
#include "validation/scratch.h"

/* Of the authors' serving benchmark: limits of the SLO (s); how both servers were started; the KV tokens that they
 * found to fit, by tensor parallel degree (simdistserve/estimators/profile_data/max_num_tokens.csv). */
static const double ttft_limit_s = 0.2, tpot_limit_s = 0.1;
static const char model[] = "opt-13b", profiled_model[] = "facebook/opt-13b";
enum {
    BLOCK_TOKENS = 16,
    VLLM_TOKENS = 16384,
    PREFILL_TOKENS = 8192,
    DECODE_TOKENS = 65536,
    PREFILL_SEQUENCES = 128,
    SEQUENCES = 1024
};
static const double kv_tokens_of_degree[] = {0, 66144, 163008};
static const double nvlink_bytes_per_s = 300e9, swap_bytes = 16.0 * (1 << 30);

/* Of the authors' simulator (simdistserve/base/worker.py, estimators/time_estimator.py). */
static const double ray_ns = 2e6, ray_ns_per_token = 100, prefill_more_ns = 1e6;

/* vllm-300-3, distserve-c21d11-300-4.5: prefill pools of TP 2 and one stage, decode pools of TP 1 and one stage. */
static bool read_name(const char *file, struct distserve_run *run)
{
    unsigned prefill_stages = 1, decode_stages = 1;
    int end = 0;
    size_t length = strlen(file);
    if (length < 7 || length >= DISTSERVE_NAME || strcmp(file + length - 6, ".jsonl") != 0)
        return false;
    *run = (struct distserve_run){.prefill_tp = 1, .decode_tp = 1};
    memcpy(run->name, file, length - 6);
    /* The widths bound the whole numbers: NOLINTBEGIN(cert-err34-c) */
    if (sscanf(run->name, "vllm-%9zu-%lf%n", &run->requests, &run->rate_per_s, &end) == 2 && !run->name[end])
        return true;
    run->disaggregated = true;
    if (sscanf(run->name, "distserve-%9zu-%lf%n", &run->requests, &run->rate_per_s, &end) == 2 && !run->name[end]) {
        run->refused = "its pools are not stated";
        return true;
    }
    if (sscanf(run->name, "distserve-c%1u%1ud%1u%1u-%9zu-%lf%n", &run->prefill_tp, &prefill_stages, &run->decode_tp,
               &decode_stages, &run->requests, &run->rate_per_s, &end) != 6 ||
        run->name[end])
        return false;
    /* NOLINTEND(cert-err34-c) */
    if (prefill_stages != 1 || decode_stages != 1)
        run->refused = "what its pools ran on is not known";
    else if (run->prefill_tp < 1 || run->prefill_tp > 2 || run->decode_tp < 1 || run->decode_tp > 2)
        run->refused = "the KV tokens of its tensor parallel degree are not known";
    return true;
}

static int by_system_and_rate(const void *a, const void *b)
{
    const struct distserve_run *x = a, *y = b;
    if (x->disaggregated != y->disaggregated)
        return x->disaggregated - y->disaggregated;
    if (x->rate_per_s != y->rate_per_s)
        return x->rate_per_s < y->rate_per_s ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int list_runs(const char *folder, struct distserve_runs *out, struct error *err)
{
    DIR *dir = opendir(folder);
    struct distserve_run run;
    size_t capacity = 0;
    int status = 0;
    if (!dir)
        return error_not_opened(err, folder);
    errno = 0;
    for (struct dirent *entry = readdir(dir); status == 0 && entry; errno = 0, entry = readdir(dir)) {
        if (!read_name(entry->d_name, &run))
            continue;
        struct distserve_run *grown = array_grow(out->items, &capacity, out->count + 1, sizeof *grown);
        if (!grown) {
            status = error_no_memory(err);
            continue;
        }
        out->items = grown;
        out->items[out->count++] = run;
    }
    if (status == 0 && errno)
        status = error_set(err, ERROR_IO, "%s: cannot be read: %s", folder, strerror(errno));
    closedir(dir);
    if (status == 0 && out->count == 0)
        return error_set(err, ERROR_INPUT, "%s: holds no runs; expected files like vllm-300-3.jsonl", folder);
    if (status == 0)
        qsort(out->items, out->count, sizeof *out->items, by_system_and_rate);
    return status;
}

static void count_request(struct attained *counts, double ttft_s, double decode_s, double output_tokens)
{
    bool prompt = ttft_s <= ttft_limit_s, steady = decode_s <= tpot_limit_s * (output_tokens - 1);
    counts->ttft += prompt;
    counts->tpot += steady;
    counts->both += prompt && steady;
}

static struct attained shares(struct attained counts, size_t requests)
{
    double n = (double)requests;
    return (struct attained){counts.ttft / n, counts.tpot / n, counts.both / n};
}

static int count_line(const struct line *line, const char *file, struct attained *counts, struct error *err)
{
    char place[1100];
    struct json root;
    double arrival, first, complete, tokens;
    snprintf(place, sizeof place, "%s:%ld", file, line->number);
    if (json_parse(line->text, place, &root, err))
        return -1;
    int status = json_read_number(&root, "arrival_s", true, 0, 1e9, &arrival, err) ||
                 json_read_number(&root, "first_token_s", true, 0, 1e9, &first, err) ||
                 json_read_number(&root, "complete_s", true, 0, 1e9, &complete, err) ||
                 json_read_number(&root, "output_tokens", true, 1, 1e8, &tokens, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    if (status == 0 && !(arrival <= first && first <= complete))
        status = error_set(err, ERROR_INPUT,
                           "%s: expected arrival_s, first_token_s and complete_s in that order, found %.9g, %.9g, %.9g",
                           place, arrival, first, complete);
    if (status == 0)
        count_request(counts, first - arrival, complete - first, tokens);
    return status ? -1 : 0;
}

static void path_of(const char *folder, const struct distserve_run *run, char *file, size_t size)
{
    snprintf(file, size, "%s/%s.jsonl", folder, run->name);
}

static int read_run(const char *folder, struct distserve_run *run, struct error *err)
{
    char file[1024];
    struct line line;
    struct attained counts = {0};
    size_t requests = 0;
    path_of(folder, run, file, sizeof file);
    struct lines *in = lines_open(file, err);
    if (!in)
        return -1;
    int got;
    while ((got = lines_next(in, &line, err)) == 1 && (got = count_line(&line, file, &counts, err)) == 0)
        requests++;
    lines_close(in);
    if (got == 0 && requests == 0)
        return error_set(err, ERROR_INPUT, "%s: holds no requests", file);
    run->requests = requests;
    run->measured = shares(counts, requests);
    return got;
}

int distserve_read(const char *folder, struct distserve_runs *out, struct error *err)
{
    *out = (struct distserve_runs){0};
    int status = list_runs(folder, out, err);
    for (size_t i = 0; status == 0 && i < out->count; i++)
        status = read_run(folder, &out->items[i], err);
    return status;
}

void distserve_release(struct distserve_runs *runs)
{
    free(runs->items);
    *runs = (struct distserve_runs){0};
}

/* A fit as it stands in a profiler's file, in ms. */
struct fitted {
    double prefill[3], few[3], many[3], threshold;
};

static int read_three(const struct json *degree, const char *key, double *out, struct error *err)
{
    struct json list = json_member(degree, key);
    for (int i = 0; i < 3; i++) {
        const cJSON *item = cJSON_GetArrayItem(list.node, i);
        if (!cJSON_IsNumber(item))
            return error_set(err, ERROR_INPUT, "%s: %s: expected three numbers", degree->file, key);
        out[i] = item->valuedouble;
    }
    return 0;
}

static int read_fit(const char *file, unsigned degree, struct fitted *out, struct error *err)
{
    struct json root;
    char name[16];
    snprintf(name, sizeof name, "%u", degree);
    if (json_load(file, &root, err))
        return -1;
    struct json of_model = json_member(&root, profiled_model), fit = json_member(&of_model, name);
    int status = fit.node ? 0
                          : error_set(err, ERROR_INPUT, "%s: expected costs of %s with tensor parallel %u", file,
                                      profiled_model, degree);
    if (status == 0)
        status = read_three(&fit, "prefill", out->prefill, err) ||
                 read_three(&fit, "decoding_smallbs", out->few, err) ||
                 read_three(&fit, "decoding_largebs", out->many, err) ||
                 json_read_number(&fit, "decoding_large_small_bs_threshold", true, 1, 1e6, &out->threshold, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status ? -1 : 0;
}

static void add_decodes(cJSON *line, const double *decode, double prefill_base_ns, double host_ns,
                        double host_per_token)
{
    cJSON_AddNumberToObject(line, "decode_base_ns", decode[0] * 1e6 + host_ns - prefill_base_ns);
    cJSON_AddNumberToObject(line, "ns_per_kv_token", decode[1] * 1e6 + host_per_token);
    cJSON_AddNumberToObject(line, "ns_per_decode_sequence", decode[2] * 1e6);
}

/* A stated line: iterations hold prompts or decodes, never both, so that what decodes have next to the base is the
 * difference of the two. */
static cJSON *device_of(const struct fitted *f, enum distserve_costs costs)
{
    bool host = costs == DISTSERVE_WITH_RAY;
    double host_ns = host ? ray_ns : 0, per_token = host ? ray_ns_per_token : 0;
    double base = f->prefill[0] * 1e6 + host_ns + (host ? prefill_more_ns : 0);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", "fitted");
    cJSON_AddStringToObject(root, "kind", "linear");
    cJSON_AddNumberToObject(root, "base_ns", base);
    cJSON_AddNumberToObject(root, "ns_per_prefill_token", f->prefill[1] * 1e6 + per_token);
    cJSON_AddNumberToObject(root, "ns_per_prefill_token_squared", f->prefill[2] * 1e6);
    add_decodes(root, f->few, base, host_ns, per_token);
    cJSON *many = cJSON_AddObjectToObject(root, "many_decodes");
    cJSON_AddNumberToObject(many, "sequences", f->threshold);
    add_decodes(many, f->many, base, host_ns, per_token);
    return root;
}

static int write_device(const char *folder, const char *system, unsigned degree, enum distserve_costs costs,
                        const char *file, struct error *err)
{
    char profiler[1024];
    struct fitted fit;
    snprintf(profiler, sizeof profiler, "%s/profiler.%s.json", folder, system);
    if (read_fit(profiler, degree, &fit, err))
        return -1;
    cJSON *root = device_of(&fit, costs);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    int status = text ? output_write(file, text, err) : error_no_memory(err);
    cJSON_free(text);
    return status;
}

/* The device that prefills comes first, and the one that decodes, or does both, second. */
static int make_devices(const char *folder, const struct distserve_run *run, enum distserve_costs costs,
                        const struct scratch *s, struct error *err)
{
    const char *system = run->disaggregated ? "distserve" : "vllm";
    return write_device(folder, system, run->prefill_tp, costs, s->profiles[0], err) ||
                   write_device(folder, system, run->decode_tp, costs, s->profiles[1], err)
               ? -1
               : 0;
}

static void add_batching(cJSON *at, const char *name, const char *limit, double tokens, double sequences)
{
    cJSON *batching = cJSON_AddObjectToObject(at, "batching");
    cJSON_AddStringToObject(batching, "name", name);
    cJSON_AddNumberToObject(batching, limit, tokens);
    cJSON_AddNumberToObject(batching, "max_sequences", sequences);
}

static void add_blocks(cJSON *at, unsigned degree)
{
    cJSON_AddNumberToObject(at, "kv_blocks", kv_tokens_of_degree[degree] / BLOCK_TOKENS);
}

/* Prompts go to one pool; decodes that find no memory are swapped out. */
static void add_pools(cJSON *root, cJSON *policy, const struct distserve_run *run, const struct scratch *devices)
{
    cJSON *placement = cJSON_AddObjectToObject(cJSON_AddObjectToObject(root, "cluster"), "placement");
    cJSON_AddStringToObject(placement, "name", "disaggregated");
    cJSON *prefill = cJSON_AddObjectToObject(placement, "prefill");
    cJSON_AddStringToObject(prefill, "device", devices->profiles[0]);
    add_blocks(prefill, run->prefill_tp);
    add_batching(prefill, "prefill_first", "max_batched_tokens", PREFILL_TOKENS, PREFILL_SEQUENCES);
    cJSON *decode = cJSON_AddObjectToObject(placement, "decode");
    add_blocks(decode, run->decode_tp);
    add_batching(decode, "unified_budget", "token_budget", DECODE_TOKENS, SEQUENCES);
    cJSON *swap = cJSON_AddObjectToObject(policy, "preemption");
    cJSON_AddStringToObject(swap, "name", "swap");
    cJSON_AddNumberToObject(swap, "host_bytes", swap_bytes);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(placement, "link"), "bytes_per_s", nvlink_bytes_per_s);
}

static struct json scenario_of(const char *folder, const struct distserve_run *run, const struct scratch *devices)
{
    char trace[1024];
    path_of(folder, run, trace, sizeof trace);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", run->name);
    cJSON_AddStringToObject(root, "model", model);
    cJSON_AddStringToObject(root, "device", devices->profiles[1]);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "workload"), "trace", trace);
    cJSON *policy = cJSON_AddObjectToObject(root, "policy");
    cJSON_AddNumberToObject(policy, "kv_block_tokens", BLOCK_TOKENS);
    if (run->disaggregated) {
        add_pools(root, policy, run, devices);
    } else {
        add_batching(policy, "prefill_first", "max_batched_tokens", VLLM_TOKENS, SEQUENCES);
        add_blocks(policy, run->decode_tp);
    }
    return (struct json){.node = root, .file = run->name};
}

struct counter {
    struct attained counts;
    size_t finished;
};

static void count_finished(void *state, struct station_id station, const struct request *r)
{
    struct counter *c = state;
    (void)station;
    c->finished++;
    count_request(&c->counts, sim_time_to_s(r->first_token - r->arrival), sim_time_to_s(r->last_token - r->first_token),
                  r->output_tokens);
}

static int simulate_scenario(struct json root, struct distserve_run *run, struct attained *out, struct error *err)
{
    struct simulation *s = NULL;
    struct counter counter = {0};
    const struct observer observer = {.state = &counter, .finished = count_finished};
    const struct simulation_options o = {.observers = &observer};
    if (simulation_open(root, &s, err))
        return -1;
    int status = simulation_run(s, &o, err);
    if (status == 0 && counter.finished != run->requests)
        status = error_set(err, ERROR_RUN, "%s: %zu of %zu requests finished; the server finished all", run->name,
                           counter.finished, run->requests);
    *out = shares(counter.counts, run->requests);
    simulation_close(s);
    return status;
}

static int simulate(const char *folder, struct distserve_run *run, enum distserve_costs costs,
                    const struct distserve_change *change, struct error *err)
{
    struct scratch devices = {0};
    int status = scratch_make(&devices, err) || make_devices(folder, run, costs, &devices, err) ? -1 : 0;
    if (status == 0) {
        struct json root = scenario_of(folder, run, &devices);
        status = change ? change->apply(change->state, &root, err) : 0;
        if (status)
            cJSON_Delete((cJSON *)(uintptr_t)root.node);
        else
            status = simulate_scenario(root, run, &run->simulated[costs], err);
    }
    scratch_remove(&devices);
    return status;
}

int distserve_simulate(const char *folder, struct distserve_run *run, const struct distserve_change *change,
                       struct error *err)
{
    for (int costs = 0; costs < DISTSERVE_COSTS; costs++)
        if (simulate(folder, run, (enum distserve_costs)costs, change, err))
            return -1;
    return 0;
}
