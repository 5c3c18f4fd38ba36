/* SPDX-License-Identifier: MIT */
/* device.h — a GPU or CPU: its datasheet, how much of it kernels reach, and any measured tables. */
#ifndef TANDEM_PROFILES_DEVICE_H
#define TANDEM_PROFILES_DEVICE_H

#include <stdint.h>

#include "profiles/purchase.h"
#include "profiles/table.h"

enum device_kind {
    DEVICE_ROOFLINE, /* datasheet and efficiencies */
    DEVICE_TABLES,   /* measured tables on top of a roofline, which costs what they do not hold */
    DEVICE_LINEAR,   /* a stated straight line in tokens, for theory and teaching */
};

struct device {
    char name[64];
    char system[64]; /* what it is a device of: as the file says, else the shipped device at the bottom of it, else its
                        name */
    enum device_kind kind;
    double memory_bytes, bandwidth_bytes_per_s;
    double peak_flops[DTYPE_COUNT]; /* dense, per second; 0: the device does not have that format */
    double gemm_efficiency, attention_efficiency, bandwidth_efficiency;
    double gemm_tile_rows;  /* rows of the smallest tile that GEMM kernels compute */
    double roofline_corner; /* p: a GEMM takes the p-norm of its arithmetic and its bytes; 0: the longer of them */
    double launch_ns;       /* per kernel */
    /* Where they differ for GEMMs, for those in 8-bit formats (whose activations must be quantised first), and for
     * attention kernels; 0: as above. */
    double gemm_launch_ns, gemm_efficiency_8bit, gemm_launch_ns_8bit;
    double attention_bandwidth_efficiency, attention_launch_ns;
    /* Of a layer's grouped expert GEMMs, by the format of their weights; efficiency 0: as dense GEMMs'. */
    double expert_efficiency[DTYPE_COUNT], expert_launch_ns[DTYPE_COUNT], expert_bandwidth_efficiency[DTYPE_COUNT];
    double host_ns, host_ns_per_sequence;
    double
        eager_layer_ns; /* on the GPU, between a layer's kernels, where they are launched one by one (no CUDA graph) */
    double cold_decode_ns; /* that decodes right after an iteration with prompts take longer: prompts took the caches */
    double link_bytes_per_s, link_latency_ns;  /* between GPUs of one node, per direction */
    double memory_utilization, reserved_bytes; /* share engines may use; context, graphs, activations */
    double price_per_hour, power_w; /* price_per_hour: as the file says, else the listed one on demand; 0: none */
    struct purchase purchase;       /* as the file says, else its base, else the shipped device of its system */
    char source[256];
    /* DEVICE_LINEAR */
    double base_ns, ns_per_prefill_token, ns_per_prefill_token_squared;
    struct linear_decodes {
        double base_ns, ns_per_decode_sequence, ns_per_kv_token; /* base_ns: next to the device's */
    } decodes, many_decodes;
    double many_from; /* sequences from which many_decodes holds; 0: decodes always does */
    /* DEVICE_TABLES; tables without a shape are of this model and degree. No model: all tables have shapes. */
    char model[64];
    uint32_t tensor_parallel;
    struct cost_table *tables;
    size_t table_count, table_capacity;
};

/* Reads a device by its shipped name, or a device or profile from a path. Release with device_release. */
int device_load(const char *name_or_path, struct device *out, struct error *err);

/* The same from a document, which device_load would find under the name. */
int device_take(const struct json *root, const char *name_or_path, struct device *out, struct error *err);
void device_release(struct device *device);

/* The format that weights of a format are computed in: their own, or, where the device has no arithmetic for it, fp16
 * and bf16 for each other, else the next wider one that it has. */
enum dtype device_arithmetic(const struct device *device, enum dtype dtype);

/* The peak of that arithmetic. */
double device_peak_flops(const struct device *device, enum dtype dtype);

/* The table of an operation that has no shape, or NULL. */
const struct cost_table *device_table(const struct device *device, const char *op);

#endif
