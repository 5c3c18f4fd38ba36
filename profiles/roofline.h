/* SPDX-License-Identifier: MIT */
/* roofline.h — what a roofline says of single kernels, for comparison with measured ones. */
#ifndef TANDEM_PROFILES_ROOFLINE_H
#define TANDEM_PROFILES_ROOFLINE_H

#include "profiles/device.h"

struct attention {
    double heads, kv_heads, head_dim, bytes_per_kv; /* of one GPU in one layer; bytes of one value in the KV cache */
};

/* m × k by k × n, weights and activations in `dtype`. */
double roofline_gemm_ns(const struct device *d, enum dtype dtype, double m, double n, double k);

/* One launch of causal attention: `sequences`, each with `new_tokens` after `kv_before`; one new token is a decode. */
double roofline_attention_ns(const struct device *d, enum dtype dtype, const struct attention *a, double sequences,
                             double new_tokens, double kv_before);

/* Ring all-reduce: latency + 2(p−1)/p of the bytes over each link (Thakur et al. 2005). */
double roofline_all_reduce_ns(const struct device *d, double gpus, double bytes);

#endif
