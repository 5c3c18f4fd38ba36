/* SPDX-License-Identifier: MIT */
#include "reports/validate_points.h"

#include <ctype.h>
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

static const struct csv_column columns[] = {
    {"id", offsetof(struct point, id), POINT_TEXT, CSV_OPTIONAL},
    {"backend", offsetof(struct point, backend), 24, CSV_OPTIONAL},
    {"model_path", offsetof(struct point, model_path), POINT_TEXT, CSV_OPTIONAL},
    {"system", offsetof(struct point, system), 24, CSV_OPTIONAL},
    {"mode", offsetof(struct point, mode), 16, CSV_OPTIONAL},
    {"gemm_quant_mode", offsetof(struct point, quantisation), 24, CSV_OPTIONAL},
    {"isl", offsetof(struct point, isl), 0, CSV_POSITIVE},
    {"osl", offsetof(struct point, osl), 0, CSV_POSITIVE},
    {"batch_size", offsetof(struct point, concurrency), 0, CSV_OPTIONAL},
    {"tp_size", offsetof(struct point, tp), 0, CSV_OPTIONAL},
    {"pp_size", offsetof(struct point, pp), 0, CSV_OPTIONAL},
    {"attention_dp_size", offsetof(struct point, attention_dp), 0, CSV_OPTIONAL},
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

static void cut_suffix(char *name, const char *suffix)
{
    size_t length = strlen(name), cut = strlen(suffix);
    if (length > cut && strcmp(name + length - cut, suffix) == 0)
        name[length - cut] = 0;
}

/* "nvidia/Llama-3.1-8B-Instruct-FP8" → "llama-3.1-8b": what kernels see is the same. */
static void model_name(const struct point *p, char *out, size_t size)
{
    const char *slash = strrchr(p->model_path, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : p->model_path);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    cut_suffix(out, "-fp8");
    cut_suffix(out, "-instruct");
}

static bool is_shipped(const char *kind, const char *name)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, kind) == 0 && strcmp(f->name, name) == 0)
            return true;
    return false;
}

const char *point_refused(const struct point *p, const char *device)
{
    char model[POINT_TEXT], system[24];
    model_name(p, model, sizeof model);
    snprintf(system, sizeof system, "%s", p->system);
    for (char *c = system; *c; c++)
        *c = *c == '_' ? '-' : *c;
    size_t length = strlen(system); /* h100-sxm, also as fitted to an engine's kernels: h100-sxm-vllm-0.19 */
    if (is_shipped("device", device) &&
        (strncmp(system, device, length) != 0 || (device[length] && device[length] != '-')))
        return "measured on another system";
    if (strcmp(p->mode, "agg") != 0)
        return "disaggregated";
    if (!is_shipped("model", model))
        return "a model that is not shipped";
    if (p->pp > 1 || p->attention_dp > 1)
        return "pipeline or attention data parallel";
    if (p->concurrency < 1 || p->tp < 1)
        return "no concurrency or tensor parallel degree given";
    if (p->quantisation[0] && strncmp(p->quantisation, "fp8", 3) != 0)
        return "weights neither 16-bit nor fp8";
    return NULL;
}

static void add_length(cJSON *lengths, const char *name, double tokens)
{
    cJSON *length = cJSON_AddObjectToObject(lengths, name);
    cJSON_AddStringToObject(length, "name", "fixed");
    cJSON_AddNumberToObject(length, "tokens", tokens);
}

cJSON *point_scenario(const struct point *p, const char *device)
{
    char model[POINT_TEXT];
    model_name(p, model, sizeof model);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", p->id);
    cJSON_AddStringToObject(root, "model", model);
    cJSON_AddStringToObject(root, "device", device);
    cJSON *engine = cJSON_AddObjectToObject(root, "engine");
    if (strcmp(p->backend, "vllm") == 0)
        cJSON_AddStringToObject(engine, "preset", "vllm-0.19");
    cJSON_AddBoolToObject(engine, "schedule_ahead", true);
    if (p->quantisation[0])
        cJSON_AddStringToObject(engine, "weight_dtype", "fp8");
    cJSON *workload = cJSON_AddObjectToObject(root, "workload");
    cJSON *arrivals = cJSON_AddObjectToObject(workload, "arrivals");
    cJSON_AddStringToObject(arrivals, "name", "closed_loop");
    cJSON_AddNumberToObject(arrivals, "concurrency", p->concurrency);
    cJSON_AddNumberToObject(workload, "requests", 10 * p->concurrency);
    cJSON *lengths = cJSON_AddObjectToObject(workload, "lengths");
    add_length(lengths, "prompt", p->isl);
    add_length(lengths, "output", p->osl);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(root, "cluster"), "tensor_parallel", p->tp);
    cJSON *batching = cJSON_AddObjectToObject(cJSON_AddObjectToObject(root, "policy"), "batching");
    cJSON_AddStringToObject(batching, "name", "unified_budget");
    cJSON_AddNumberToObject(batching, "token_budget", 8192);
    cJSON_AddNumberToObject(batching, "max_sequences", fmax(256, p->concurrency));
    cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "output"), "warmup", "none");
    return root;
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
