/* SPDX-License-Identifier: MIT */
#include "profiles/aiconfigurator.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/present.h"

#define COLUMN(column, member, need)                                                                                   \
    {                                                                                                                  \
        column, offsetof(struct kernel, member), 0, CSV_##need                                                         \
    }
#define TEXT(column, member)                                                                                           \
    {                                                                                                                  \
        column, offsetof(struct kernel, member), KERNEL_TEXT, CSV_OPTIONAL                                             \
    }

static const struct csv_column gemm_columns[] = {TEXT("gemm_dtype", dtype), COLUMN("m", m, OPTIONAL),
                                                 COLUMN("n", n, POSITIVE), COLUMN("k", k, POSITIVE),
                                                 COLUMN("latency", ms, POSITIVE)};

static const struct csv_column attention_columns[] = {TEXT("attn_dtype", dtype),
                                                      TEXT("kv_cache_dtype", kv_dtype),
                                                      COLUMN("batch_size", sequences, POSITIVE),
                                                      COLUMN("isl", isl, POSITIVE),
                                                      COLUMN("num_heads", heads, POSITIVE),
                                                      COLUMN("num_key_value_heads", kv_heads, POSITIVE),
                                                      COLUMN("head_dim", head_dim, POSITIVE),
                                                      COLUMN("step", step, OPTIONAL),
                                                      COLUMN("window_size", window, MAY_LACK),
                                                      COLUMN("latency", ms, POSITIVE)};

static const struct csv_column all_reduce_columns[] = {TEXT("kernel_source", source),
                                                       COLUMN("num_gpus", gpus, POSITIVE),
                                                       COLUMN("message_size", size, POSITIVE),
                                                       COLUMN("latency", ms, POSITIVE)};

static const struct csv_column nccl_columns[] = {TEXT("op_name", op), TEXT("nccl_dtype", dtype),
                                                 COLUMN("num_gpus", gpus, POSITIVE),
                                                 COLUMN("message_size", size, POSITIVE),
                                                 COLUMN("latency", ms, POSITIVE)};

static const struct csv_column moe_columns[] = {TEXT("moe_dtype", dtype),
                                                {"kernel_source", offsetof(struct kernel, source), KERNEL_TEXT,
                                                 CSV_MAY_LACK},
                                                TEXT("distribution", distribution),
                                                COLUMN("num_tokens", tokens, POSITIVE),
                                                COLUMN("hidden_size", hidden, POSITIVE),
                                                COLUMN("inter_size", intermediate, POSITIVE),
                                                COLUMN("topk", top_k, POSITIVE),
                                                COLUMN("num_experts", experts, POSITIVE),
                                                COLUMN("moe_tp_size", tensor, POSITIVE),
                                                COLUMN("moe_ep_size", expert, POSITIVE),
                                                COLUMN("latency", ms, POSITIVE)};

#define COLUMNS(list) list, sizeof list / sizeof *list

static const struct {
    const struct csv_column *columns;
    size_t count;
} files[KERNEL_FILES] = {
    [KERNELS_GEMM] = {COLUMNS(gemm_columns)},
    [KERNELS_CONTEXT] = {COLUMNS(attention_columns)},
    [KERNELS_GENERATION] = {COLUMNS(attention_columns)},
    [KERNELS_ALL_REDUCE] = {COLUMNS(all_reduce_columns)},
    [KERNELS_NCCL] = {COLUMNS(nccl_columns)},
    [KERNELS_MOE] = {COLUMNS(moe_columns)},
};

const char *const kernel_file_names[KERNEL_FILES] = {
    [KERNELS_GEMM] = "gemm_perf.csv",
    [KERNELS_CONTEXT] = "context_attention_perf.csv",
    [KERNELS_GENERATION] = "generation_attention_perf.csv",
    [KERNELS_ALL_REDUCE] = "custom_allreduce_perf.csv",
    [KERNELS_NCCL] = "nccl_perf.csv",
    [KERNELS_MOE] = "moe_perf.csv",
};

int kernels_read(const char *file, enum kernel_file kind, struct kernel **out, size_t *count, struct error *err)
{
    void *items = NULL;
    int status = csv_read(file, files[kind].columns, files[kind].count, sizeof **out, &items, count, err);
    *out = items;
    return status;
}

int kernels_find(const char *folder, enum kernel_file kind, char *out, size_t size, struct error *err)
{
    static const char *const packed[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        snprintf(out, size, "%s/%s%s", folder, kernel_file_names[kind], packed[i]);
        int found = file_present(out, err);
        if (found)
            return found;
    }
    snprintf(out, size, "%s/%s", folder, kernel_file_names[kind]);
    return 0;
}

bool kernel_dtype(const char *name, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } names[] = {{"bfloat16", DTYPE_BF16}, {"float16", DTYPE_FP16}, {"half", DTYPE_FP16}, {"fp8", DTYPE_FP8},
                 {"int8", DTYPE_INT8},     {"int4_wo", DTYPE_INT4}, {"nvfp4", DTYPE_FP4}, {"w4a16_mxfp4", DTYPE_FP4}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0) {
            *out = names[i].dtype;
            return true;
        }
    return false;
}
