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

const char *const kernel_kind_names[KERNEL_KINDS] = {
    "GEMM bf16",    "GEMM fp8",    "prefill attention", "decode attention", "all-reduce",
    "experts bf16", "experts fp8", "experts fp4",       "experts int4",
};

enum { SHORTEST_GEMM_SIDE = 1024, LARGEST_GROUP = 8, SHORTEST_CONTEXT = 64, LONGEST_MESSAGE = 1 << 26, HEAD_DIM = 128 };
enum { SHARING_HEADS = 4, MUCH_KV = 1 << 26 }; /* query heads of a KV head; bytes */

/* Where kernels of each kind are found, and what the file calls their format: the first name that it knows. Models in
 * 8 bits have their experts scaled by block. */
static const struct {
    enum kernel_file file;
    enum dtype dtype;
    const char *formats[2];
} kinds[KERNEL_KINDS] = {
    [KERNEL_GEMM_BF16] = {KERNELS_GEMM, DTYPE_BF16, {"bfloat16"}},
    [KERNEL_GEMM_FP8] = {KERNELS_GEMM, DTYPE_FP8, {"fp8"}},
    [KERNEL_PREFILL] = {KERNELS_CONTEXT, DTYPE_BF16, {"bfloat16"}},
    [KERNEL_DECODE] = {KERNELS_GENERATION, DTYPE_BF16, {"bfloat16"}},
    [KERNEL_ALL_REDUCE] = {KERNELS_ALL_REDUCE, DTYPE_BF16, {NULL}},
    [KERNEL_EXPERTS_BF16] = {KERNELS_MOE, DTYPE_BF16, {"bfloat16"}},
    [KERNEL_EXPERTS_FP8] = {KERNELS_MOE, DTYPE_FP8, {"fp8_block", "fp8"}},
    [KERNEL_EXPERTS_FP4] = {KERNELS_MOE, DTYPE_FP4, {"nvfp4", "w4a16_mxfp4"}},
    [KERNEL_EXPERTS_INT4] = {KERNELS_MOE, DTYPE_INT4, {"int4_wo"}},
};

struct kernels {
    struct kernel *items[KERNEL_KINDS];
    size_t count[KERNEL_KINDS];
};

/* Popularity of experts by a power law of 1.2, as the importer takes it. Experts that are no gated MLP are left out,
 * and those of one GPU of several that share whole experts, whose tokens the files do not state. */
static bool wanted_experts(const struct kernel *k)
{
    return k->tokens >= 1 && k->expert == 1 && strcmp(k->distribution, "power_law_1.2") == 0 &&
           !strstr(k->source, "nongated");
}

static bool wanted(const struct kernel *k, enum kernel_kind kind, const char *format)
{
    if (kind == KERNEL_ALL_REDUCE)
        return k->gpus > 1 && k->size <= LONGEST_MESSAGE && !strstr(k->source, "eager");
    if (!format || strcmp(k->dtype, format) != 0)
        return false;
    if (kind == KERNEL_PREFILL || kind == KERNEL_DECODE)
        return strcmp(k->kv_dtype, "bfloat16") == 0 && k->window == 0 && k->head_dim == HEAD_DIM &&
               k->heads <= LARGEST_GROUP * k->kv_heads &&
               (kind == KERNEL_DECODE ? k->step + 1 >= SHORTEST_CONTEXT : k->isl > 1);
    if (kinds[kind].file == KERNELS_MOE)
        return wanted_experts(k);
    return k->m >= 1 && k->n >= SHORTEST_GEMM_SIDE && k->k >= SHORTEST_GEMM_SIDE;
}

/* Keeps the kernels that are wanted, of the first format that there are any of. */
static size_t keep(struct kernel *kernels, size_t count, enum kernel_kind kind)
{
    size_t kept = 0;
    for (size_t f = 0; f < 2 && kept == 0; f++)
        for (size_t i = 0; i < count; i++)
            if (wanted(&kernels[i], kind, kinds[kind].formats[f])) /* nothing is moved before the format is found */
                kernels[kept++] = kernels[i];
    return kept;
}

/* Whether it took less than its arithmetic at the peak of the datasheet: a launch that failed, or shapes that are not
 * those written down. */
static bool impossible(const struct device *d, const struct kernel *k, enum kernel_kind kind)
{
    double flops = 2 * k->m * k->n * k->k;
    if (kind == KERNEL_PREFILL)
        flops = 4 * k->sequences * k->heads * k->head_dim * k->isl * (k->step + (k->isl + 1) / 2);
    return flops / device_peak_flops(d, kinds[kind].dtype) > k->ms * 1e-3;
}

/* Of a file with more than one such kernel in a hundred nothing is believed. */
static size_t believe(const struct device *d, struct kernel *kernels, size_t count, enum kernel_kind kind,
                      size_t *impossible_count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += !impossible(d, &kernels[i], kind);
    *impossible_count = count - kept;
    if (100 * *impossible_count > count)
        return 0;
    kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!impossible(d, &kernels[i], kind))
            kernels[kept++] = kernels[i];
    return kept;
}

/* Of decodes with several query heads to a KV head and enough KV that nothing else counts: whether a kernel took longer
 * than reading that KV once for each of those heads. No server runs such a kernel: heads of a group share what is read.
 */
static bool could_share(const struct kernel *k, double *shared_s, double bytes_per_s)
{
    double bytes = 2 * k->kv_heads * k->head_dim * dtype_bytes(DTYPE_BF16) * (k->step + 1) * k->sequences;
    *shared_s = k->heads / k->kv_heads * bytes / bytes_per_s;
    return k->heads >= SHARING_HEADS * k->kv_heads && bytes >= MUCH_KV;
}

static bool shares_kv(const struct device *d, const struct kernel *kernels, size_t count)
{
    size_t could = 0, anew = 0;
    double each_s = 0;
    for (size_t i = 0; i < count; i++)
        if (could_share(&kernels[i], &each_s, d->bandwidth_bytes_per_s)) {
            could++;
            anew += kernels[i].ms * 1e-3 > each_s;
        }
    return 2 * anew <= could;
}

/* A file that is not there holds no kernels of its kinds; GEMMs in 16 bits there have to be. */
static int read_kind(const struct device *d, const char *folder, enum kernel_kind kind, struct kernels *out,
                     struct kernel_fit *fit, struct error *err)
{
    char file[1024];
    size_t count = 0;
    int found = kernels_find(folder, kinds[kind].file, file, sizeof file, err);
    if (found < 0 || (found == 0 && kind != KERNEL_GEMM_BF16))
        return found;
    if (kernels_read(file, kinds[kind].file, &out->items[kind], &count, err))
        return -1;
    count = keep(out->items[kind], count, kind);
    out->count[kind] = believe(d, out->items[kind], count, kind, &fit->impossible[kind]);
    fit->kv_read_anew[kind] = kind == KERNEL_DECODE && !shares_kv(d, out->items[kind], out->count[kind]);
    out->count[kind] = fit->kv_read_anew[kind] ? 0 : out->count[kind];
    if (out->count[kind] == 0 && kind == KERNEL_GEMM_BF16)
        return error_set(err, ERROR_INPUT, "%s: holds no %s kernels to fit to", file, kernel_kind_names[kind]);
    return 0;
}

static double experts_ns(const struct device *d, const struct kernel *k, enum dtype dtype)
{
    const struct operation op = {.kind = WORK_EXPERTS,
                                 .dtype = dtype,
                                 .weight_bytes = dtype_bytes(dtype),
                                 .experts = {.hidden = k->hidden,
                                             .intermediate = k->intermediate,
                                             .experts = k->experts,
                                             .top_k = k->top_k,
                                             .gated = 1,
                                             .tensor = k->tensor,
                                             .expert = k->expert,
                                             .imbalance = 1}};
    return roofline_operation_ns(d, &op, k->tokens);
}

/* ln(roofline / measured). */
static double log_ratio(const struct device *d, const struct kernel *k, enum kernel_kind kind)
{
    struct attention a = {k->heads, k->kv_heads, k->head_dim, dtype_bytes(DTYPE_BF16)};
    double ns = 0;
    switch (kinds[kind].file) {
    case KERNELS_GEMM:
        ns = roofline_gemm_ns(d, kinds[kind].dtype, k->m, k->n, k->k);
        break;
    case KERNELS_ALL_REDUCE:
        ns = roofline_all_reduce_ns(d, k->gpus, k->size * dtype_bytes(DTYPE_BF16));
        break;
    case KERNELS_MOE:
        ns = experts_ns(d, k, kinds[kind].dtype);
        break;
    case KERNELS_CONTEXT:
    case KERNELS_GENERATION:
    case KERNELS_NCCL:
    case KERNEL_FILES:
        ns = roofline_attention_ns(d, DTYPE_BF16, &a, k->sequences, k->isl, k->step);
    }
    return log(ns / (k->ms * 1e6));
}

/* What is fitted: shares between 0 and 1 walk as logits, the others as logarithms, so that a simplex may go anywhere.
 * A launch is a kernel or a few, not more than `most`: what a fit makes longer is work of the benchmark around it. */
static const struct parameter {
    const char *name;
    size_t offset;
    bool share;
    double otherwise; /* to start from where a device does not say */
    double most;      /* 0: no limit */
} parameters[] = {
    {"gemm_efficiency", offsetof(struct device, gemm_efficiency), true, 0.75, 0},
    {"bandwidth_efficiency", offsetof(struct device, bandwidth_efficiency), true, 0.85, 0},
    {"roofline_corner", offsetof(struct device, roofline_corner), false, 2, 0},
    {"gemm_launch_ns", offsetof(struct device, gemm_launch_ns), false, 4000, 10000},
    {"gemm_efficiency_8bit", offsetof(struct device, gemm_efficiency_8bit), true, 0.75, 0},
    {"gemm_launch_ns_8bit", offsetof(struct device, gemm_launch_ns_8bit), false, 4000, 10000},
    {"attention_efficiency", offsetof(struct device, attention_efficiency), true, 0.5, 0},
    {"attention_bandwidth_efficiency", offsetof(struct device, attention_bandwidth_efficiency), true, 0.85, 0},
    {"attention_launch_ns", offsetof(struct device, attention_launch_ns), false, 8000, 30000},
    {"link_bytes_per_s", offsetof(struct device, link_bytes_per_s), false, 25e9, 0},
    {"link_latency_ns", offsetof(struct device, link_latency_ns), false, 10000, 30000},
#define EXPERTS(format, dtype)                                                                                         \
    {"expert_efficiency." format, offsetof(struct device, expert_efficiency[dtype]), true, 0.3, 0},                    \
        {"expert_bandwidth_efficiency." format, offsetof(struct device, expert_bandwidth_efficiency[dtype]), true,     \
         0.9, 0},                                                                                                      \
    {                                                                                                                  \
        "expert_launch_ns." format, offsetof(struct device, expert_launch_ns[dtype]), false, 30000, 100000             \
    }
    EXPERTS("bf16", DTYPE_BF16),
    EXPERTS("fp8", DTYPE_FP8),
    EXPERTS("fp4", DTYPE_FP4),
    EXPERTS("int4", DTYPE_INT4),
#undef EXPERTS
};

/* Parameters that are fitted together, and the kernels they are fitted to, each kind with equal weight. */
static const struct stage {
    size_t first, count;
    enum kernel_kind from, to;
} stages[] = {{0, 4, KERNEL_GEMM_BF16, KERNEL_GEMM_BF16},
              {4, 2, KERNEL_GEMM_FP8, KERNEL_GEMM_FP8},
              {6, 3, KERNEL_PREFILL, KERNEL_DECODE},
              {9, 2, KERNEL_ALL_REDUCE, KERNEL_ALL_REDUCE},
              {11, 3, KERNEL_EXPERTS_BF16, KERNEL_EXPERTS_BF16},
              {14, 3, KERNEL_EXPERTS_FP8, KERNEL_EXPERTS_FP8},
              {17, 3, KERNEL_EXPERTS_FP4, KERNEL_EXPERTS_FP4},
              {20, 3, KERNEL_EXPERTS_INT4, KERNEL_EXPERTS_INT4}};

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

/* What a place of the simplex stands for, within what a device's file may hold. */
static double meant_by(const struct parameter *p, double x)
{
    double value = exp(x);
    if (p->share)
        return fmax(value / (1 + value), 0.01);
    return p->offset == offsetof(struct device, roofline_corner) ? fmin(fmax(value, 1), 100) : value;
}

static void put(struct fit_job *job, const gsl_vector *x)
{
    for (size_t i = 0; i < job->stage->count; i++) {
        const struct parameter *p = &parameters[job->stage->first + i];
        *field(&job->device, p) = meant_by(p, gsl_vector_get(x, i));
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
        if (count == 0)
            continue;
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

static bool has_kernels(const struct kernels *kernels, const struct stage *stage)
{
    for (enum kernel_kind kind = stage->from; kind <= stage->to; kind++)
        if (kernels->count[kind] == 0)
            return false;
    return true;
}

/* Takes a launch that is too long for its kernels back to what it was, or, of GEMMs in 8 bits, to that in 16 bits; its
 * efficiency stays, which was fitted next to the surplus. */
static void refuse(struct fit_job *job, const struct device *before, struct kernel_fit *out)
{
    for (size_t i = 0; i < job->stage->count; i++) {
        const struct parameter *p = &parameters[job->stage->first + i];
        double *value = field(&job->device, p);
        bool of_8bit = p->offset == offsetof(struct device, gemm_launch_ns_8bit);
        if (p->most == 0 || *value <= p->most)
            continue;
        out->refused[out->refused_count++] =
            (struct refused_constant){.name = p->name, .fitted = *value, .most = p->most};
        memcpy(value, (const char *)before + p->offset, sizeof *value);
        if (of_8bit)
            *value = job->device.gemm_launch_ns;
        out->refused[out->refused_count - 1].used = *value;
    }
}

/* Fits a stage, or leaves a device as it is where there are no kernels. */
static int run_stage(struct fit_job *job, const struct device *before, struct kernel_fit *out, struct error *err)
{
    if (!has_kernels(job->kernels, job->stage))
        return 0;
    if (fit_stage(job, err))
        return -1;
    refuse(job, before, out);
    return 0;
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
        status = read_kind(device, folder, kind, &kernels, out, err);
    if (status == 0)
        status = judge(&job.device, &kernels, out->before, err);
    for (job.stage = stages; status == 0 && job.stage < stages + STAGES; job.stage++)
        status = run_stage(&job, device, out, err);
    if (status == 0)
        status = judge(&job.device, &kernels, out->after, err);
    for (enum kernel_kind kind = 0; kind < KERNEL_KINDS; kind++)
        free(kernels.items[kind]);
    out->evaluations = job.evaluations;
    for (size_t i = 0; status == 0 && i < sizeof parameters / sizeof *parameters; i++)
        *field(device, &parameters[i]) = *field(&job.device, &parameters[i]);
    return status ? -1 : 0;
}
