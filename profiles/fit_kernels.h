/* SPDX-License-Identifier: MIT */
/* fit_kernels.h — a roofline's efficiencies fitted to measured kernels of its device.
 *
 * Reads AIConfigurator's tables of one system and engine (latencies in ms), as CSV or gzip: gemm_perf.csv,
 * context_attention_perf.csv, generation_attention_perf.csv, custom_allreduce_perf.csv and moe_perf.csv, of them the
 * kernels that models are made of: GEMMs in bf16 and fp8 with n and k from 1 024 on; attention in bf16 over a bf16
 * cache, heads of 128, without a window, at most eight query heads to a KV head, decodes over 64 tokens or more;
 * all-reduces (message sizes are numbers of bf16 values) of at most 2^26 values, not eager; gated experts whose
 * popularity falls by a power law of 1.2. Minimises the mean |ln(roofline / measured)| with Nelder–Mead (GSL) in
 * stages: bf16 GEMMs fit gemm_efficiency, bandwidth_efficiency, roofline_corner and gemm_launch_ns; fp8 GEMMs their own
 * efficiency and launch; attention, prefill and decode with equal weight, its two efficiencies and its launch;
 * all-reduces the link; experts of each format their efficiency and launch. A stage without kernels leaves its
 * parameters as they are. A launch that is longer than its kernels can take is refused; so are kernels that take less
 * than their arithmetic at peak, and all of a kind where they are more than one in a hundred; and all decodes where
 * most that could share KV among query heads took longer than reading it for each of them: the benchmark ran another
 * kernel than servers do. */
#ifndef TANDEM_PROFILES_FIT_KERNELS_H
#define TANDEM_PROFILES_FIT_KERNELS_H

#include "profiles/device.h"

enum kernel_kind {
    KERNEL_GEMM_BF16,
    KERNEL_GEMM_FP8,
    KERNEL_PREFILL,
    KERNEL_DECODE,
    KERNEL_ALL_REDUCE,
    KERNEL_EXPERTS_BF16,
    KERNEL_EXPERTS_FP8,
    KERNEL_EXPERTS_FP4,
    KERNEL_EXPERTS_INT4,
    KERNEL_KINDS
};

extern const char *const kernel_kind_names[KERNEL_KINDS];

struct kernel_errors {
    size_t points;      /* 0: none were found, and nothing was fitted to them */
    double median, p90; /* of |roofline / measured − 1| */
};

/* A constant that no kernel can have: what came out of the fit, the most that is possible, and what stands instead. */
struct refused_constant {
    const char *name;
    double fitted, most, used;
};

enum { CONSTANTS_MAX = 24 };

struct kernel_fit {
    struct refused_constant refused[CONSTANTS_MAX];
    size_t refused_count;
    size_t impossible[KERNEL_KINDS]; /* kernels that took less than their arithmetic at peak, and do not count */
    bool kv_read_anew[KERNEL_KINDS]; /* most decodes took longer than reading KV for each query head; none counts */
    struct kernel_errors before[KERNEL_KINDS], after[KERNEL_KINDS];
    unsigned evaluations;
};

/* Replaces the fitted parameters of a roofline device. */
int kernels_fit(const char *folder, struct device *device, struct kernel_fit *out, struct error *err);

#endif
