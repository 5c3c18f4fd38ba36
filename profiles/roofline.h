/* SPDX-License-Identifier: MIT */
/* roofline.h — what a device's datasheet and efficiencies say of single kernels. Roofline (Williams, Waterman,
 * Patterson 2009): an operation takes the longer of its arithmetic at peak × efficiency and its bytes at bandwidth ×
 * efficiency, plus a launch. GEMMs round the corner between the two (device.h, roofline_corner) and compute whole tiles
 * of rows; grouped GEMMs of experts take the sum. No time falls when rows, context or bytes grow. */
#ifndef TANDEM_PROFILES_ROOFLINE_H
#define TANDEM_PROFILES_ROOFLINE_H

#include "profiles/device.h"
#include "profiles/work.h"

/* One launch of an operation on so many rows (scaled by its rows_scale already). */
double roofline_operation_ns(const struct device *d, const struct operation *op, double rows);

/* m × k by k × n, weights and activations in `dtype`. */
double roofline_gemm_ns(const struct device *d, enum dtype dtype, double m, double n, double k);

/* Ring all-reduce: latency + 2(p−1)/p of the bytes over each link (Thakur et al. 2005). */
double roofline_all_reduce_ns(const struct device *d, double gpus, double bytes);

/* Attention where it is a straight line in KV tokens: of a fixed number of decoding sequences in the KV tokens of all
 * of them, of a prompt chunk of fixed length in the KV tokens before it. */
struct attention_line {
    double until;     /* KV tokens up to which it holds; INFINITY for the last one */
    double ns, slope; /* at 0 KV tokens (of the line drawn on), and for each */
};

/* Attention of one GPU in one layer, as a device runs it. */
struct attention_rates {
    double prefill_score_ns, decode_score_ns;                 /* a query token with a key token */
    double kv_token_ns, query_ns, decode_query_ns, launch_ns; /* decode_query_ns: of all queries of a decode */
    const struct attention_work *work;
};

struct attention_rates roofline_attention_rates(const struct device *d, enum dtype dtype,
                                                const struct attention_work *work);

/* One layer: a prompt chunk; `sequences` decodes with `kv_tokens` in all. The line that holds at the KV tokens given;
 * lines of decodes end where the next one begins. */
struct attention_line roofline_prefill(const struct attention_rates *r, double new_tokens, double kv_before);
struct attention_line roofline_decode(const struct attention_rates *r, double sequences, double kv_tokens);

struct attention {
    double heads, kv_heads, head_dim, bytes_per_kv; /* of one GPU in one layer; bytes of one value in the KV cache */
};

/* One launch of causal attention: `sequences`, each with `new_tokens` after `kv_before`; one new token is a decode. */
double roofline_attention_ns(const struct device *d, enum dtype dtype, const struct attention *a, double sequences,
                             double new_tokens, double kv_before);

#endif
