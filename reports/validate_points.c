/* SPDX-License-Identifier: MIT */
#include "reports/validate_points.h"

#include <ctype.h>
#include <errno.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "profiles/shipped.h"

enum { COLUMNS_MAX = 128, LINE_BYTES = 8192 };

/* Where a column goes: text of `size` bytes, or a number when size is 0. */
static const struct column {
    const char *name;
    size_t offset, size;
    bool required; /* a number above 0 in every line */
} columns[] = {
    {"id", offsetof(struct point, id), POINT_TEXT, false},
    {"backend", offsetof(struct point, backend), 24, false},
    {"model_path", offsetof(struct point, model_path), POINT_TEXT, false},
    {"system", offsetof(struct point, system), 24, false},
    {"mode", offsetof(struct point, mode), 16, false},
    {"gemm_quant_mode", offsetof(struct point, quantisation), 24, false},
    {"isl", offsetof(struct point, isl), 0, true},
    {"osl", offsetof(struct point, osl), 0, true},
    {"batch_size", offsetof(struct point, concurrency), 0, false},
    {"tp_size", offsetof(struct point, tp), 0, false},
    {"pp_size", offsetof(struct point, pp), 0, false},
    {"attention_dp_size", offsetof(struct point, attention_dp), 0, false},
    {"silicon_ttft_ms", offsetof(struct point, ttft_ms), 0, true},
    {"silicon_tpot_ms", offsetof(struct point, tpot_ms), 0, true},
};

enum { COLUMN_COUNT = sizeof columns / sizeof *columns };

/* Cuts a line at its commas, in place. Returns how many fields there are; more than COLUMNS_MAX are left out. */
static size_t split(char *line, char **fields)
{
    size_t count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && count < COLUMNS_MAX;) {
        fields[count++] = at;
        at = strchr(at, ',');
        if (at)
            *at++ = 0;
    }
    return count;
}

static int read_header(char *line, const char *file, size_t *places, struct error *err)
{
    char *fields[COLUMNS_MAX];
    size_t count = split(line, fields);
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        places[c] = SIZE_MAX;
        for (size_t i = 0; i < count; i++)
            if (strcmp(fields[i], columns[c].name) == 0)
                places[c] = i;
        if (places[c] == SIZE_MAX)
            return error_set(err, ERROR_INPUT, "%s:1: has no column \"%s\"", file, columns[c].name);
    }
    return 0;
}

static int read_point(char *line, const char *file, long number, const size_t *places, struct point *out,
                      struct error *err)
{
    char *fields[COLUMNS_MAX];
    size_t count = split(line, fields);
    *out = (struct point){0};
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        const char *text = places[c] < count ? fields[places[c]] : "";
        char *at = (char *)out + columns[c].offset, *end = NULL;
        if (columns[c].size) {
            snprintf(at, columns[c].size, "%s", text);
            continue;
        }
        double value = strtod(text, &end);
        if (*end || !(value >= 0 && value < 1e9) || (columns[c].required && value == 0))
            return error_set(err, ERROR_INPUT, "%s:%ld: %s: expected a number %s, found \"%.40s\"", file, number,
                             columns[c].name, columns[c].required ? "above 0" : "or nothing", text);
        memcpy(at, &value, sizeof value);
    }
    return 0;
}

int points_read(const char *file, struct points *out, struct error *err)
{
    char line[LINE_BYTES];
    size_t places[COLUMN_COUNT];
    FILE *in = fopen(file, "r");
    if (!in)
        return error_set(err, ERROR_INPUT, "%s: cannot be opened: %s", file, strerror(errno));
    int status = 0;
    for (long number = 1; status == 0 && fgets(line, sizeof line, in); number++) {
        if (number == 1) {
            status = read_header(line, file, places, err);
            continue;
        }
        struct point *grown = array_grow(out->items, &out->capacity, out->count + 1, sizeof *grown);
        if (!grown) {
            status = error_no_memory(err);
            break;
        }
        out->items = grown;
        status = read_point(line, file, number, places, &out->items[out->count++], err);
    }
    fclose(in);
    if (status == 0 && out->count == 0)
        status = error_set(err, ERROR_INPUT, "%s: holds no points", file);
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
    if (is_shipped("device", device) && strcmp(system, device) != 0)
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
