/* SPDX-License-Identifier: MIT */
/* fit_kernels.h — a roofline's efficiencies fitted to measured kernels of its device.
 *
 * Reads AIConfigurator's tables of one system and engine (latencies in ms): gemm_perf.csv, context_attention_perf.csv
 * and generation_attention_perf.csv, of them the kernels that models are made of: GEMMs in bf16 and fp8 with n and k
 * from 1 024 on, attention in bf16 over a bf16 cache without a window. Minimises the mean |ln(roofline / measured)|
 * over GEMMs, prefill and decode attention, each with equal weight, in gemm_efficiency, half_peak_tokens,
 * attention_efficiency, bandwidth_efficiency and launch_ns (Nelder–Mead, GSL). */
#ifndef TANDEM_PROFILES_FIT_KERNELS_H
#define TANDEM_PROFILES_FIT_KERNELS_H

#include "profiles/device.h"

enum kernel_kind { KERNEL_GEMM_BF16, KERNEL_GEMM_FP8, KERNEL_PREFILL, KERNEL_DECODE, KERNEL_KINDS };

extern const char *const kernel_kind_names[KERNEL_KINDS];

struct kernel_errors {
    size_t points;
    double median, p90; /* of |roofline / measured − 1| */
};

struct kernel_fit {
    struct kernel_errors before[KERNEL_KINDS], after[KERNEL_KINDS];
    unsigned evaluations;
};

/* Replaces the five parameters of a roofline device. */
int kernels_fit(const char *folder, struct device *device, struct kernel_fit *out, struct error *err);

#endif
