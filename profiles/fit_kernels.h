/* SPDX-License-Identifier: MIT */
/* fit_kernels.h — a roofline's efficiencies fitted to measured kernels of its device.
 *
 * Reads AIConfigurator's tables of one system and engine (latencies in ms): gemm_perf.csv, context_attention_perf.csv,
 * generation_attention_perf.csv and custom_allreduce_perf.csv, of them the kernels that models are made of: GEMMs in
 * bf16 and fp8 with n and k from 1 024 on; attention in bf16 over a bf16 cache without a window, at most eight query
 * heads to a KV head, decodes over 64 tokens or more; all-reduces (message sizes are numbers of bf16 values) of at most
 * 2^26 values, not eager. Minimises the mean |ln(roofline / measured)| with Nelder–Mead (GSL) in four stages: bf16
 * GEMMs fit gemm_efficiency, bandwidth_efficiency, roofline_corner and launch_ns; fp8 GEMMs their own efficiency and
 * launch; attention, prefill and decode with equal weight, its two efficiencies and its launch; all-reduces the link.
 */
#ifndef TANDEM_PROFILES_FIT_KERNELS_H
#define TANDEM_PROFILES_FIT_KERNELS_H

#include "profiles/device.h"

enum kernel_kind { KERNEL_GEMM_BF16, KERNEL_GEMM_FP8, KERNEL_PREFILL, KERNEL_DECODE, KERNEL_ALL_REDUCE, KERNEL_KINDS };

extern const char *const kernel_kind_names[KERNEL_KINDS];

struct kernel_errors {
    size_t points;
    double median, p90; /* of |roofline / measured − 1| */
};

struct kernel_fit {
    struct kernel_errors before[KERNEL_KINDS], after[KERNEL_KINDS];
    unsigned evaluations;
};

/* Replaces the fitted parameters of a roofline device. */
int kernels_fit(const char *folder, struct device *device, struct kernel_fit *out, struct error *err);

#endif
