/* SPDX-License-Identifier: MIT */
#include "validation/points.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "profiles/shipped.h"
#include "validation/measured.h"

static const struct csv_column columns[] = {
    {"id", offsetof(struct point, id), POINT_TEXT, CSV_OPTIONAL},
    {"silicon_data_source", offsetof(struct point, data_source), POINT_SOURCE, CSV_MAY_LACK},
    {"backend", offsetof(struct point, backend), 24, CSV_OPTIONAL},
    {"model_path", offsetof(struct point, model_path), POINT_TEXT, CSV_OPTIONAL},
    {"system", offsetof(struct point, system), POINT_SYSTEM, CSV_OPTIONAL},
    {"mode", offsetof(struct point, mode), 16, CSV_OPTIONAL},
    {"gemm_quant_mode", offsetof(struct point, quantisation), 24, CSV_OPTIONAL},
    {"isl", offsetof(struct point, isl), 0, CSV_POSITIVE},
    {"osl", offsetof(struct point, osl), 0, CSV_POSITIVE},
    {"batch_size", offsetof(struct point, concurrency), 0, CSV_OPTIONAL},
    {"tp_size", offsetof(struct point, tp), 0, CSV_OPTIONAL},
    {"pp_size", offsetof(struct point, pp), 0, CSV_OPTIONAL},
    {"attention_dp_size", offsetof(struct point, attention_dp), 0, CSV_OPTIONAL},
    {"moe_tp_size", offsetof(struct point, moe_tp), 0, CSV_MAY_LACK},
    {"moe_ep_size", offsetof(struct point, moe_ep), 0, CSV_MAY_LACK},
    {"silicon_ttft_ms", offsetof(struct point, ttft_ms), 0, CSV_POSITIVE},
    {"silicon_tpot_ms", offsetof(struct point, tpot_ms), 0, CSV_POSITIVE},
};

int points_read(const char *file, struct points *out, struct error *err)
{
    void *items = NULL;
    int status =
        csv_read(file, columns, sizeof columns / sizeof *columns, sizeof *out->items, &items, &out->count, err);
    out->items = items;
    return status;
}

void points_release(struct points *points)
{
    free(points->items);
    *points = (struct points){0};
}

/* h100_sxm is h100-sxm, also as fitted to an engine's kernels (h100-sxm-vllm-0.19). */
static bool same_system(const struct point *p, const char *device)
{
    char system[POINT_SYSTEM];
    snprintf(system, sizeof system, "%s", p->system);
    for (char *c = system; *c; c++)
        *c = *c == '_' ? '-' : *c;
    size_t length = strlen(system);
    return strncmp(system, device, length) == 0 && (!device[length] || device[length] == '-');
}

/* Weights as the model is shipped, or in fp8. */
static bool is_fp8(const struct point *p)
{
    return strncmp(p->quantisation, "fp8", 3) == 0;
}

const char *point_refused(const struct point *p, const char *system)
{
    char model[POINT_TEXT];
    if (*system && !same_system(p, system))
        return "measured on another system";
    if (strcmp(p->mode, "agg") != 0)
        return "disaggregated";
    if (!shipped_resolve("model", p->model_path, model, sizeof model))
        return "a model that is not shipped";
    double gpus = p->tp * fmax(p->attention_dp, 1), expert_gpus = fmax(p->moe_tp, 1) * fmax(p->moe_ep, 1);
    if (p->pp > 1)
        return "pipeline parallel";
    if (p->tp > 8)
        return "tensor parallel beyond a node of 8 GPUs";
    if (expert_gpus > 1 && gpus != expert_gpus)
        return "experts and attention on different numbers of GPUs";
    if (p->concurrency < 1 || p->tp < 1)
        return "no concurrency or tensor parallel degree given";
    return NULL;
}

/* InferenceMAX draws lengths between 0.8 of the stated ones and those (its README: RANDOM_RANGE_RATIO 0.8), which keeps
 * clients out of step; others send what is stated. Its points name a workflow run, or whether they were work in
 * progress. */
static double shortest_share(const struct point *p)
{
    return strstr(p->data_source, "workflow_run_id=") || strstr(p->data_source, "wip=") ? 0.8 : 1;
}

static void add_length(cJSON *lengths, const char *name, double tokens, double share)
{
    cJSON *length = cJSON_AddObjectToObject(lengths, name);
    cJSON_AddStringToObject(length, "name", share < 1 ? "uniform" : "fixed");
    if (share < 1) {
        cJSON_AddNumberToObject(length, "min", fmax(1, floor(share * tokens)));
        cJSON_AddNumberToObject(length, "max", tokens);
    } else {
        cJSON_AddNumberToObject(length, "tokens", tokens);
    }
}

cJSON *point_scenario(const struct point *p, const char *device)
{
    static const char *const presets[][2] = {{"vllm", "vllm-0.19"}, {"trtllm", "trtllm-1.2"}, {"sglang", "sglang-0.5"}};
    char model[POINT_TEXT];
    shipped_resolve("model", p->model_path, model, sizeof model);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", p->id);
    cJSON_AddStringToObject(root, "model", model);
    cJSON_AddStringToObject(root, "device", device);
    cJSON *engine = cJSON_AddObjectToObject(root, "engine");
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(p->backend, presets[i][0]) == 0)
            cJSON_AddStringToObject(engine, "preset", presets[i][1]);
    if (is_fp8(p))
        cJSON_AddStringToObject(engine, "weight_dtype", "fp8");
    cJSON *workload = cJSON_AddObjectToObject(root, "workload");
    cJSON *arrivals = cJSON_AddObjectToObject(workload, "arrivals");
    cJSON_AddStringToObject(arrivals, "name", "closed_loop");
    cJSON_AddNumberToObject(arrivals, "concurrency", p->concurrency);
    cJSON_AddNumberToObject(workload, "requests", 10 * p->concurrency);
    cJSON *lengths = cJSON_AddObjectToObject(workload, "lengths");
    add_length(lengths, "prompt", p->isl, shortest_share(p));
    add_length(lengths, "output", p->osl, shortest_share(p));
    cJSON *cluster = cJSON_AddObjectToObject(root, "cluster");
    cJSON_AddNumberToObject(cluster, "tensor_parallel", p->tp);
    if (p->attention_dp > 1)
        cJSON_AddNumberToObject(cluster, "data_parallel", p->attention_dp);
    if (p->moe_ep > 1)
        cJSON_AddNumberToObject(cluster, "expert_parallel", p->moe_ep);
    cJSON *batching = cJSON_AddObjectToObject(cJSON_AddObjectToObject(root, "policy"), "batching");
    if (strcmp(p->backend, "sglang") == 0) { /* prompts go before decodes, and do not share their iterations */
        cJSON_AddStringToObject(batching, "name", "prefill_first");
        cJSON_AddNumberToObject(batching, "max_batched_tokens", fmax(8192, p->isl));
    } else {
        cJSON_AddStringToObject(batching, "name", "unified_budget");
        cJSON_AddNumberToObject(batching, "token_budget", 8192);
    }
    cJSON_AddNumberToObject(batching, "max_sequences", fmax(256, p->concurrency));
    cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "output"), "warmup", "none");
    return root;
}

int point_simulate(struct point *p, struct json root, struct store *store, struct error *err)
{
    struct simulation *s = NULL;
    struct latencies simulated = {0};
    if (simulation_open(root, &s, err))
        return -1;
    int status = measured_simulate(s, NULL, &simulated, err);
    if (status == 0) {
        p->simulated_ttft_ms = s->summary.metrics[METRIC_TTFT].at[STAT_MEAN].value * 1e-6;
        p->simulated_tpot_ms = s->summary.metrics[METRIC_TPOT].at[STAT_MEAN].value * 1e-6;
        if (store && simulation_keep(s, store, err) < 0)
            status = -1;
    }
    latencies_release(&simulated);
    simulation_close(s);
    return status;
}

static double quantile_of(double *values, size_t count, double q)
{
    gsl_sort(values, 1, count);
    return gsl_stats_quantile_from_sorted_data(values, 1, count, q);
}

int points_compare(const struct points *points, const char *backend, const char *model_path, struct point_errors *out,
                   struct error *err)
{
    *out = (struct point_errors){0};
    double *values = calloc(6 * points->count + 1, sizeof *values);
    if (!values)
        return error_no_memory(err);
    size_t n = 0, most = points->count;
    double *measured[2] = {values, values + most}, *simulated[2] = {values + 2 * most, values + 3 * most};
    for (size_t i = 0; i < points->count; i++) {
        const struct point *p = &points->items[i];
        if (p->simulated_tpot_ms <= 0 || (backend && strcmp(p->backend, backend) != 0) ||
            (model_path && strcmp(p->model_path, model_path) != 0))
            continue;
        measured[0][n] = p->ttft_ms;
        measured[1][n] = p->tpot_ms;
        simulated[0][n] = p->simulated_ttft_ms;
        simulated[1][n++] = p->simulated_tpot_ms;
    }
    out->count = n;
    if (n > 0) {
        double *error = values + 4 * most, rank[2] = {NAN, NAN};
        for (int k = 0; k < 2 && n > 2; k++)
            rank[k] = gsl_stats_spearman(measured[k], 1, simulated[k], 1, n, values + 4 * most);
        out->ttft_rank = rank[0];
        out->tpot_rank = rank[1];
        for (size_t i = 0; i < n; i++)
            error[i] = fabs(simulated[0][i] / measured[0][i] - 1);
        out->ttft_median = quantile_of(error, n, 0.5);
        out->ttft_p90 = quantile_of(error, n, 0.9);
        for (size_t i = 0; i < n; i++)
            error[i] = fabs(simulated[1][i] / measured[1][i] - 1);
        out->tpot_mean = gsl_stats_mean(error, 1, n);
        out->tpot_median = quantile_of(error, n, 0.5);
        out->tpot_p90 = quantile_of(error, n, 0.9);
        out->tpot_worst = error[n - 1];
    }
    free(values);
    return 0;
}
