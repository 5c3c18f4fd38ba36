/* SPDX-License-Identifier: MIT */
/* aiconfigurator.h — AIConfigurator's tables of measured kernels (ai-dynamo/aiconfigurator, Apache-2.0), as CSV. */
#ifndef TANDEM_PROFILES_AICONFIGURATOR_H
#define TANDEM_PROFILES_AICONFIGURATOR_H

#include "profiles/dtype.h"

enum { KERNEL_TEXT = 32 };

/* A line of any of the tables; what a table has not got is 0. */
struct kernel {
    char dtype[KERNEL_TEXT], kv_dtype[KERNEL_TEXT], source[KERNEL_TEXT], distribution[KERNEL_TEXT], op[KERNEL_TEXT];
    double m, n, k;    /* GEMM */
    double gpus, size; /* collectives: values (all-reduce) or bytes (NCCL) */
    double sequences, isl, heads, kv_heads, head_dim, step, window; /* attention */
    double tokens, hidden, intermediate, top_k, experts, tensor, expert;
    double ms;
};

enum kernel_file {
    KERNELS_GEMM,       /* gemm_perf.csv */
    KERNELS_CONTEXT,    /* context_attention_perf.csv: whole prompts */
    KERNELS_GENERATION, /* generation_attention_perf.csv: one new token after `step` */
    KERNELS_ALL_REDUCE, /* custom_allreduce_perf.csv */
    KERNELS_NCCL,       /* nccl_perf.csv */
    KERNELS_MOE,        /* moe_perf.csv */
    KERNEL_FILES,
};

extern const char *const kernel_file_names[KERNEL_FILES];

/* Where a folder has the file, as CSV or gzip (.csv.gz): returns 1; 0, and the name of the first, where it has neither;
 * -1 where that cannot be told. */
int kernels_find(const char *folder, enum kernel_file kind, char *out, size_t size, struct error *err)
    __attribute__((warn_unused_result));

/* Reads a file's lines, owned by the caller (free). */
int kernels_read(const char *file, enum kernel_file kind, struct kernel **out, size_t *count, struct error *err);

/* Their names of number formats: bfloat16, fp8, half, int8, w4a16_mxfp4 …; false for one that is not ours. */
bool kernel_dtype(const char *name, enum dtype *out);

#endif
