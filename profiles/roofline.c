/* SPDX-License-Identifier: MIT */
#include "profiles/roofline.h"

#include <math.h>
#include <string.h>

static double or_else(double value, double otherwise)
{
    return value > 0 ? value : otherwise;
}

static double bytes_per_ns(const struct device *d)
{
    return d->bandwidth_bytes_per_s * d->bandwidth_efficiency * 1e-9;
}

static bool is_8bit(const struct device *d, enum dtype dtype)
{
    return dtype_bytes(device_arithmetic(d, dtype)) == 1;
}

/* Arithmetic of a GEMM with weights in a format. */
static double flops_per_ns(const struct device *d, enum dtype dtype)
{
    double efficiency = is_8bit(d, dtype) ? or_else(d->gemm_efficiency_8bit, d->gemm_efficiency) : d->gemm_efficiency;
    return device_peak_flops(d, dtype) * efficiency * 1e-9;
}

static double gemm_launch_ns(const struct device *d, enum dtype dtype)
{
    double launch = or_else(d->gemm_launch_ns, d->launch_ns);
    return is_8bit(d, dtype) ? or_else(d->gemm_launch_ns_8bit, launch) : launch;
}

/* Activations are as wide as the arithmetic, whatever the weights are stored in. */
static double activation_bytes(const struct device *d, enum dtype dtype)
{
    return dtype_bytes(device_arithmetic(d, dtype));
}

/* Arithmetic and memory traffic overlap less well the nearer they are to equal: their p-norm, p being the device's
 * corner. Exact on every machine for p = 2. */
static double overlapped(const struct device *d, double arithmetic, double bytes)
{
    double longer = fmax(arithmetic, bytes), shorter = fmin(arithmetic, bytes), p = d->roofline_corner;
    if (p == 0 || shorter <= 0)
        return longer;
    return p == 2 ? sqrt(longer * longer + shorter * shorter) : longer * pow(1 + pow(shorter / longer, p), 1 / p);
}

/* Rows that a kernel computes for m: whole tiles of the smallest height that its matrix instructions have. */
static double tiled_rows(const struct device *d, double m)
{
    double tile = fmax(d->gemm_tile_rows, 1);
    return ceil(m / tile) * tile;
}

static double gemm_ns(const struct device *d, enum dtype dtype, double weight_bytes, double m, double n, double k)
{
    double arithmetic = 2 * tiled_rows(d, m) * n * k / flops_per_ns(d, dtype);
    double bytes = (weight_bytes * n * k + activation_bytes(d, dtype) * m * (n + k)) / bytes_per_ns(d);
    return overlapped(d, arithmetic, bytes) + gemm_launch_ns(d, dtype);
}

/* Rows of all experts awake, when each one's picks fill whole tiles: one tile at least, and half a tile is lost to the
 * last one's rest on average. */
static double tiled_picks(const struct device *d, double picks, double awake)
{
    double tile = fmax(d->gemm_tile_rows, 1);
    return fmax(awake * tile, picks + awake * (tile - 1) / 2);
}

static double expert_bytes_per_ns(const struct device *d, enum dtype dtype)
{
    return d->bandwidth_bytes_per_s * or_else(d->expert_bandwidth_efficiency[dtype], d->bandwidth_efficiency) * 1e-9;
}

/* Two grouped GEMMs over the experts that are awake, each on its share of the rows; the busiest GPU decides. Measured
 * ones take their arithmetic and their bytes one after the other: an expert's few tiles hide nothing of its weights. */
static double experts_ns(const struct device *d, const struct operation *op, double rows)
{
    const struct experts *e = &op->experts;
    double awake = fmax(experts_awake(e, rows), 1) + e->always, width = e->intermediate / e->tensor;
    double picks = rows * (e->top_k + e->always) / e->expert * e->imbalance, matrices = e->gated > 0 ? 3 : 2;
    double flops = 2 * tiled_picks(d, picks, awake) * matrices * e->hidden * width;
    double bytes = awake * matrices * e->hidden * width * op->weight_bytes +
                   picks * (2 * e->hidden + matrices * width) * activation_bytes(d, op->dtype);
    double own = d->expert_efficiency[op->dtype];
    if (own > 0)
        return flops / (device_peak_flops(d, op->dtype) * own * 1e-9) + bytes / expert_bytes_per_ns(d, op->dtype) +
               d->expert_launch_ns[op->dtype];
    return flops / flops_per_ns(d, op->dtype) + bytes / bytes_per_ns(d) + 2 * gemm_launch_ns(d, op->dtype) +
           2 * d->launch_ns;
}

double roofline_all_reduce_ns(const struct device *d, double gpus, double bytes)
{
    return d->link_latency_ns + 2 * (gpus - 1) / gpus * bytes / d->link_bytes_per_s * 1e9;
}

/* All-gather and reduce-scatter are the two halves of an all-reduce. */
static double collective_ns(const struct device *d, const struct operation *op, double rows)
{
    double bytes = rows * op->bytes_per_row, whole = roofline_all_reduce_ns(d, op->gpus, bytes);
    return strcmp(op->name, "all_reduce") == 0 ? whole : d->link_latency_ns + (whole - d->link_latency_ns) / 2;
}

double roofline_operation_ns(const struct device *d, const struct operation *op, double rows)
{
    switch (op->kind) {
    case WORK_GEMM:
        return gemm_ns(d, op->dtype, op->weight_bytes, rows, op->n, op->k);
    case WORK_STREAM:
        return rows * op->bytes_per_row / bytes_per_ns(d) + op->launches * d->launch_ns;
    case WORK_EXPERTS:
        return experts_ns(d, op, rows);
    case WORK_COLLECTIVE:
        return collective_ns(d, op, rows);
    }
    return 0;
}

double roofline_gemm_ns(const struct device *d, enum dtype dtype, double m, double n, double k)
{
    return gemm_ns(d, dtype, dtype_bytes(dtype), m, n, k);
}

struct attention_rates roofline_attention_rates(const struct device *d, enum dtype dtype,
                                                const struct attention_work *work)
{
    double per_ns = device_peak_flops(d, dtype) * d->attention_efficiency * 1e-9;
    double efficiency = or_else(d->attention_bandwidth_efficiency, d->bandwidth_efficiency);
    double kv_per_ns = d->bandwidth_bytes_per_s * efficiency * 1e-9;
    double queries = or_else(work->decode_queries, 1);
    return (struct attention_rates){.prefill_score_ns = work->prefill_flops / per_ns,
                                    .decode_score_ns = work->decode_flops * queries / per_ns,
                                    .kv_token_ns = work->kv_bytes / kv_per_ns,
                                    .query_ns = work->query_bytes / kv_per_ns,
                                    .decode_query_ns = work->query_bytes * queries / kv_per_ns,
                                    .launch_ns = or_else(d->attention_launch_ns, d->launch_ns),
                                    .work = work};
}

/* The longer of arithmetic and bytes at kv_before, as a point: what is no straight line. */
static struct attention_line point(const struct attention_rates *r, double arithmetic, double bytes, double kv_before)
{
    return (struct attention_line){.until = kv_before, .ns = r->launch_ns + fmax(arithmetic, bytes)};
}

/* Within a window W a query sees min(keys, W); Σ over a chunk of n after k. */
static double windowed_scores(double n, double k, double window)
{
    double growing = fmin(n, fmax(0, window - k)); /* queries that still see everything */
    return growing * (k + (growing + 1) / 2) + (n - growing) * window;
}

/* Causal: a chunk of n after k tokens has n (k + (n + 1) / 2) scores. Both its arithmetic and its bytes are straight
 * lines in k. */
struct attention_line roofline_prefill(const struct attention_rates *r, double new_tokens, double kv_before)
{
    const struct attention_work *w = r->work;
    double n = new_tokens, scores = r->prefill_score_ns * n, arithmetic = scores * (n + 1) / 2;
    double bytes = (r->kv_token_ns + r->query_ns) * n;
    if (w->window > 0 && kv_before + n > w->window)
        return point(r, r->prefill_score_ns * windowed_scores(n, kv_before, w->window),
                     bytes + r->kv_token_ns * fmin(kv_before, w->window), kv_before);
    bool by_bytes = bytes + r->kv_token_ns * kv_before > arithmetic + scores * kv_before;
    bool crosses = by_bytes ? scores > r->kv_token_ns : scores < r->kv_token_ns;
    double until = crosses ? (bytes - arithmetic) / (scores - r->kv_token_ns) : INFINITY;
    if (w->window > 0)
        until = fmin(until, w->window - n);
    return (struct attention_line){.until = until,
                                   .ns = r->launch_ns + (by_bytes ? bytes : arithmetic),
                                   .slope = by_bytes ? r->kv_token_ns : scores};
}

/* Arithmetic and bytes are both straight lines in KV tokens; the longer of the two is two lines at most. Beyond a
 * window (of all sequences alike) nothing grows. */
struct attention_line roofline_decode(const struct attention_rates *r, double sequences, double kv_tokens)
{
    double excess = r->decode_score_ns - r->kv_token_ns, most = r->work->window * sequences;
    double meet = excess > 0 ? sequences * r->decode_query_ns / excess : INFINITY;
    bool past = most > 0 && kv_tokens > most, by_bytes = (past ? most : kv_tokens) <= meet;
    struct attention_line line = {.until = by_bytes ? meet : INFINITY,
                                  .ns = r->launch_ns + (by_bytes ? sequences * r->decode_query_ns : 0),
                                  .slope = by_bytes ? r->kv_token_ns : r->decode_score_ns};
    if (past)
        return (struct attention_line){.until = INFINITY, .ns = line.ns + line.slope * most};
    if (most > 0)
        line.until = fmin(line.until, most);
    return line;
}

double roofline_attention_ns(const struct device *d, enum dtype dtype, const struct attention *a, double sequences,
                             double new_tokens, double kv_before)
{
    const struct attention_work work = {.prefill_flops = 4 * a->heads * a->head_dim,
                                        .decode_flops = 4 * a->heads * a->head_dim,
                                        .kv_bytes = 2 * a->kv_heads * a->head_dim * a->bytes_per_kv,
                                        .query_bytes = 2 * dtype_bytes(dtype) * a->heads * a->head_dim};
    struct attention_rates r = roofline_attention_rates(d, dtype, &work);
    if (new_tokens == 1) {
        struct attention_line line = roofline_decode(&r, sequences, sequences * (kv_before + 1));
        return line.ns + line.slope * sequences * (kv_before + 1);
    }
    struct attention_line line = roofline_prefill(&r, new_tokens, kv_before);
    return sequences * (line.ns + line.slope * kv_before) - (sequences - 1) * r.launch_ns;
}
