/* SPDX-License-Identifier: MIT */
#include "profiles/fit_kernels.h"

#include <gsl/gsl_multimin.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/aiconfigurator.h"
#include "profiles/roofline.h"

const char *const kernel_kind_names[KERNEL_KINDS] = {"GEMM bf16", "GEMM fp8", "prefill attention", "decode attention",
                                                     "all-reduce"};

enum { SHORTEST_GEMM_SIDE = 1024, LARGEST_GROUP = 8, SHORTEST_CONTEXT = 64, LONGEST_MESSAGE = 1 << 26 };

/* Where kernels of each kind are found. */
static const enum kernel_file files[KERNEL_KINDS] = {
    [KERNEL_GEMM_BF16] = KERNELS_GEMM,    [KERNEL_GEMM_FP8] = KERNELS_GEMM,         [KERNEL_PREFILL] = KERNELS_CONTEXT,
    [KERNEL_DECODE] = KERNELS_GENERATION, [KERNEL_ALL_REDUCE] = KERNELS_ALL_REDUCE,
};

struct kernels {
    struct kernel *items[KERNEL_KINDS];
    size_t count[KERNEL_KINDS];
};

static bool wanted(const struct kernel *k, enum kernel_kind kind)
{
    if (kind == KERNEL_ALL_REDUCE)
        return k->gpus > 1 && k->size <= LONGEST_MESSAGE && !strstr(k->source, "eager");
    if (kind == KERNEL_PREFILL || kind == KERNEL_DECODE)
        return strcmp(k->dtype, "bfloat16") == 0 && strcmp(k->kv_dtype, "bfloat16") == 0 && k->window == 0 &&
               k->heads <= LARGEST_GROUP * k->kv_heads &&
               (kind == KERNEL_DECODE ? k->step + 1 >= SHORTEST_CONTEXT : k->isl > 1);
    return strcmp(k->dtype, kind == KERNEL_GEMM_FP8 ? "fp8" : "bfloat16") == 0 && k->m >= 1 &&
           k->n >= SHORTEST_GEMM_SIDE && k->k >= SHORTEST_GEMM_SIDE;
}

static int read_kind(const char *folder, enum kernel_kind kind, struct kernels *out, struct error *err)
{
    char file[1024];
    size_t count = 0, kept = 0;
    snprintf(file, sizeof file, "%s/%s", folder, kernel_file_names[files[kind]]);
    if (kernels_read(file, files[kind], &out->items[kind], &count, err))
        return -1;
    struct kernel *kernels = out->items[kind];
    for (size_t i = 0; i < count; i++)
        if (wanted(&kernels[i], kind))
            kernels[kept++] = kernels[i];
    out->count[kind] = kept;
    return kept ? 0 : error_set(err, ERROR_INPUT, "%s: holds no %s kernels to fit to", file, kernel_kind_names[kind]);
}

/* ln(roofline / measured). */
static double log_ratio(const struct device *d, const struct kernel *k, enum kernel_kind kind)
{
    struct attention a = {k->heads, k->kv_heads, k->head_dim, dtype_bytes(DTYPE_BF16)};
    double ns = 0;
    switch (kind) {
    case KERNEL_GEMM_BF16:
    case KERNEL_GEMM_FP8:
        ns = roofline_gemm_ns(d, kind == KERNEL_GEMM_FP8 ? DTYPE_FP8 : DTYPE_BF16, k->m, k->n, k->k);
        break;
    case KERNEL_ALL_REDUCE:
        ns = roofline_all_reduce_ns(d, k->gpus, k->size * dtype_bytes(DTYPE_BF16));
        break;
    case KERNEL_PREFILL:
    case KERNEL_DECODE:
    case KERNEL_KINDS:
        ns = roofline_attention_ns(d, DTYPE_BF16, &a, k->sequences, k->isl, k->step);
    }
    return log(ns / (k->ms * 1e6));
}

/* What is fitted: shares between 0 and 1 walk as logits, the others as logarithms, so that a simplex may go anywhere.
 */
static const struct parameter {
    size_t offset;
    bool share;
    double otherwise; /* to start from where a device does not say */
} parameters[] = {
    {offsetof(struct device, gemm_efficiency), true, 0.75},
    {offsetof(struct device, bandwidth_efficiency), true, 0.85},
    {offsetof(struct device, roofline_corner), false, 2},
    {offsetof(struct device, gemm_launch_ns), false, 4000},
    {offsetof(struct device, gemm_efficiency_8bit), true, 0.75},
    {offsetof(struct device, gemm_launch_ns_8bit), false, 4000},
    {offsetof(struct device, attention_efficiency), true, 0.5},
    {offsetof(struct device, attention_bandwidth_efficiency), true, 0.85},
    {offsetof(struct device, attention_launch_ns), false, 8000},
    {offsetof(struct device, link_bytes_per_s), false, 25e9},
    {offsetof(struct device, link_latency_ns), false, 10000},
};

/* Parameters that are fitted together, and the kernels they are fitted to, each kind with equal weight. */
static const struct stage {
    size_t first, count;
    enum kernel_kind from, to;
} stages[] = {{0, 4, KERNEL_GEMM_BF16, KERNEL_GEMM_BF16},
              {4, 2, KERNEL_GEMM_FP8, KERNEL_GEMM_FP8},
              {6, 3, KERNEL_PREFILL, KERNEL_DECODE},
              {9, 2, KERNEL_ALL_REDUCE, KERNEL_ALL_REDUCE}};

enum { STAGES = sizeof stages / sizeof *stages };

static double *field(struct device *d, const struct parameter *p)
{
    return (double *)(void *)((char *)d + p->offset);
}

struct fit_job {
    struct device device;
    const struct kernels *kernels;
    const struct stage *stage;
    unsigned evaluations;
};

static void put(struct fit_job *job, const gsl_vector *x)
{
    for (size_t i = 0; i < job->stage->count; i++) {
        const struct parameter *p = &parameters[job->stage->first + i];
        double value = exp(gsl_vector_get(x, i));
        *field(&job->device, p) = p->share ? value / (1 + value) : value;
    }
}

static void get(struct fit_job *job, gsl_vector *x)
{
    for (size_t i = 0; i < job->stage->count; i++) {
        const struct parameter *p = &parameters[job->stage->first + i];
        double value = *field(&job->device, p);
        value = value > 0 ? value : p->otherwise;
        gsl_vector_set(x, i, p->share ? log(fmin(value, 0.99) / (1 - fmin(value, 0.99))) : log(value));
    }
}

static double mean_error(const gsl_vector *x, void *params)
{
    struct fit_job *job = params;
    double sum = 0;
    put(job, x);
    job->evaluations++;
    for (enum kernel_kind kind = job->stage->from; kind <= job->stage->to; kind++) {
        double of_kind = 0;
        for (size_t i = 0; i < job->kernels->count[kind]; i++)
            of_kind += fabs(log_ratio(&job->device, &job->kernels->items[kind][i], kind));
        sum += of_kind / (double)job->kernels->count[kind];
    }
    return sum / (job->stage->to - job->stage->from + 1);
}

static int judge(const struct device *d, const struct kernels *kernels, struct kernel_errors *out, struct error *err)
{
    for (enum kernel_kind kind = 0; kind < KERNEL_KINDS; kind++) {
        size_t count = kernels->count[kind];
        double *errors = malloc(count * sizeof *errors);
        if (!errors)
            return error_no_memory(err);
        for (size_t i = 0; i < count; i++)
            errors[i] = fabs(exp(log_ratio(d, &kernels->items[kind][i], kind)) - 1);
        gsl_sort(errors, 1, count);
        out[kind] = (struct kernel_errors){.points = count,
                                           .median = gsl_stats_median_from_sorted_data(errors, 1, count),
                                           .p90 = gsl_stats_quantile_from_sorted_data(errors, 1, count, 0.9)};
        free(errors);
    }
    return 0;
}

/* Three simplexes, each around where the one before came to rest. */
static int fit_stage(struct fit_job *job, struct error *err)
{
    size_t n = job->stage->count;
    gsl_multimin_fminimizer *minimizer = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, n);
    gsl_vector *start = gsl_vector_alloc(n), *step = gsl_vector_alloc(n);
    gsl_multimin_function function = {.f = mean_error, .n = n, .params = job};
    int status = minimizer && start && step ? 0 : error_no_memory(err);
    if (status == 0)
        get(job, start);
    for (int round = 0; status == 0 && round < 3; round++) {
        gsl_vector_set_all(step, round == 0 ? 1 : 0.2);
        gsl_multimin_fminimizer_set(minimizer, &function, start, step);
        for (int i = 0; i < 500; i++)
            if (gsl_multimin_fminimizer_iterate(minimizer) ||
                gsl_multimin_test_size(gsl_multimin_fminimizer_size(minimizer), 1e-4) == GSL_SUCCESS)
                break;
        gsl_vector_memcpy(start, gsl_multimin_fminimizer_x(minimizer));
    }
    if (status == 0)
        put(job, start);
    gsl_multimin_fminimizer_free(minimizer);
    gsl_vector_free(start);
    gsl_vector_free(step);
    return status;
}

int kernels_fit(const char *folder, struct device *device, struct kernel_fit *out, struct error *err)
{
    struct kernels kernels = {0};
    struct fit_job job = {.device = *device, .kernels = &kernels};
    *out = (struct kernel_fit){0};
    int status = device->kind == DEVICE_ROOFLINE
                     ? 0
                     : error_set(err, ERROR_INPUT, "%s: is no roofline, so has no efficiencies to fit", device->name);
    for (enum kernel_kind kind = 0; status == 0 && kind < KERNEL_KINDS; kind++)
        status = read_kind(folder, kind, &kernels, err);
    if (status == 0)
        status = judge(&job.device, &kernels, out->before, err);
    for (job.stage = stages; status == 0 && job.stage < stages + STAGES; job.stage++)
        status = fit_stage(&job, err);
    if (status == 0)
        status = judge(&job.device, &kernels, out->after, err);
    for (enum kernel_kind kind = 0; kind < KERNEL_KINDS; kind++)
        free(kernels.items[kind]);
    out->evaluations = job.evaluations;
    for (size_t i = 0; status == 0 && i < sizeof parameters / sizeof *parameters; i++)
        *field(device, &parameters[i]) = *field(&job.device, &parameters[i]);
    return status ? -1 : 0;
}
