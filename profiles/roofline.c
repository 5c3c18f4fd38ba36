/* SPDX-License-Identifier: MIT */
/* Roofline (Williams, Waterman, Patterson 2009): an operation takes the longer of its arithmetic at
 * peak × efficiency and its bytes at bandwidth × efficiency, plus a launch. */
#include <math.h>
#include <stdlib.h>

#include "profiles/cost.h"
#include "profiles/roofline.h"

struct gemm {
    double n, k; /* of one GPU's shard */
};

struct roofline {
    double flops_per_ns, bytes_per_ns, half_peak_tokens, launch_ns, gemm_launch_ns, attention_launch_ns;
    double layers, weight_bytes, hidden, heads, head_dim; /* heads of one GPU */
    /* Attention of one GPU in one layer: arithmetic of a query token with a key, bytes of a KV token, bytes of a
     * query token in and out. */
    double ns_per_score, ns_per_kv_token, ns_per_query;
    struct gemm gemms[4], head;
    double all_reduce_ns, all_reduce_ns_per_token; /* one all-reduce, α + β·bytes */
    double gate_width;
};

static double gemm_ns(const struct roofline *r, const struct gemm *g, double m)
{
    double efficiency = m / (m + r->half_peak_tokens);
    double arithmetic = 2 * m * g->n * g->k / (r->flops_per_ns * efficiency);
    double bytes = r->weight_bytes * (g->n * g->k + m * (g->n + g->k)) / r->bytes_per_ns;
    return fmax(arithmetic, bytes) + r->gemm_launch_ns;
}

static double token_ns(const void *self, double tokens, double *outside)
{
    const struct roofline *r = self;
    (void)outside;
    double ns = 0;
    for (size_t i = 0; i < 4; i++)
        ns += gemm_ns(r, &r->gemms[i], tokens);
    /* Two norms with residual, rotary and activation read and write their rows: bytes-bound. */
    double rows = r->weight_bytes * tokens * (8 * r->hidden + 3 * r->gate_width + 4 * r->heads * r->head_dim);
    ns += rows / r->bytes_per_ns + 4 * r->launch_ns;
    ns += 2 * (r->all_reduce_ns + r->all_reduce_ns_per_token * tokens);
    return ns * r->layers + r->weight_bytes * tokens * r->hidden * 4 / r->bytes_per_ns + 2 * r->launch_ns;
}

static double head_ns(const void *self, double sequences, double *outside)
{
    const struct roofline *r = self;
    (void)outside;
    return gemm_ns(r, &r->head, sequences) + 4 * sequences * r->head.n / r->bytes_per_ns + r->launch_ns;
}

/* Causal: a chunk of n after k tokens has n (k + (n + 1) / 2) scores. Both its arithmetic and its bytes are straight
 * lines in k. */
static struct attention_piece prefill_piece(const void *self, double new_tokens, double kv_before)
{
    const struct roofline *r = self;
    double scores = r->ns_per_score * new_tokens, arithmetic = scores * (new_tokens + 1) / 2;
    double bytes = (r->ns_per_kv_token + r->ns_per_query) * new_tokens;
    bool by_bytes = bytes + r->ns_per_kv_token * kv_before > arithmetic + scores * kv_before;
    bool crosses = by_bytes ? scores > r->ns_per_kv_token : scores < r->ns_per_kv_token;
    return (struct attention_piece){.until = crosses ? (bytes - arithmetic) / (scores - r->ns_per_kv_token) : INFINITY,
                                    .ns = r->layers * (r->attention_launch_ns + (by_bytes ? bytes : arithmetic)),
                                    .slope = r->layers * (by_bytes ? r->ns_per_kv_token : scores)};
}

/* Arithmetic and bytes are both straight lines in KV tokens; the longer of the two is two pieces at most. */
static struct attention_piece decode_piece(const void *self, double sequences, double kv_tokens)
{
    const struct roofline *r = self;
    double excess = r->ns_per_score - r->ns_per_kv_token;
    double meet = excess > 0 ? sequences * r->ns_per_query / excess : INFINITY;
    bool by_bytes = kv_tokens <= meet;
    return (struct attention_piece){.until = by_bytes ? meet : INFINITY,
                                    .ns = r->layers *
                                          (r->attention_launch_ns + (by_bytes ? sequences * r->ns_per_query : 0)),
                                    .slope = r->layers * (by_bytes ? r->ns_per_kv_token : r->ns_per_score)};
}

static double or_else(double value, double otherwise)
{
    return value > 0 ? value : otherwise;
}

static void set_rates(struct roofline *r, const struct device *d, enum dtype dtype, double bytes_per_weight)
{
    bool narrow = dtype_bytes(dtype) == 1;
    double efficiency = narrow ? or_else(d->gemm_efficiency_8bit, d->gemm_efficiency) : d->gemm_efficiency;
    r->flops_per_ns = device_peak_flops(d, dtype) * efficiency * 1e-9;
    r->gemm_launch_ns = narrow ? or_else(d->gemm_launch_ns_8bit, d->launch_ns) : d->launch_ns;
    r->bytes_per_ns = d->bandwidth_bytes_per_s * d->bandwidth_efficiency * 1e-9;
    r->half_peak_tokens = d->half_peak_tokens;
    r->launch_ns = d->launch_ns;
    r->weight_bytes = bytes_per_weight;
}

static void set_attention(struct roofline *r, const struct device *d, enum dtype dtype, const struct attention *a)
{
    r->heads = a->heads;
    r->head_dim = a->head_dim;
    r->ns_per_score = 4 * a->heads * a->head_dim / (device_peak_flops(d, dtype) * d->attention_efficiency * 1e-9);
    double efficiency = or_else(d->attention_bandwidth_efficiency, d->bandwidth_efficiency);
    double bytes_per_ns = d->bandwidth_bytes_per_s * efficiency * 1e-9;
    r->ns_per_kv_token = 2 * a->kv_heads * a->head_dim * a->bytes_per_kv / bytes_per_ns;
    r->ns_per_query = 2 * r->weight_bytes * a->heads * a->head_dim / bytes_per_ns;
    r->attention_launch_ns = or_else(d->attention_launch_ns, d->launch_ns);
}

double roofline_gemm_ns(const struct device *d, enum dtype dtype, double m, double n, double k)
{
    struct roofline r = {0};
    set_rates(&r, d, dtype, dtype_bytes(dtype));
    return gemm_ns(&r, &(struct gemm){n, k}, m);
}

double roofline_attention_ns(const struct device *d, enum dtype dtype, const struct attention *a, double sequences,
                             double new_tokens, double kv_before)
{
    struct roofline r = {.layers = 1};
    set_rates(&r, d, dtype, dtype_bytes(dtype));
    set_attention(&r, d, dtype, a);
    if (new_tokens == 1) {
        struct attention_piece piece = decode_piece(&r, sequences, sequences * (kv_before + 1));
        return piece.ns + piece.slope * sequences * (kv_before + 1);
    }
    struct attention_piece piece = prefill_piece(&r, new_tokens, kv_before);
    return sequences * (piece.ns + piece.slope * kv_before) - (sequences - 1) * r.attention_launch_ns;
}

double roofline_all_reduce_ns(const struct device *d, double gpus, double bytes)
{
    return d->link_latency_ns + 2 * (gpus - 1) / gpus * bytes / d->link_bytes_per_s * 1e9;
}

int roofline_create(const struct cost_model *cm, struct cost_backend *out, struct error *err)
{
    struct roofline *r = calloc(1, sizeof *r);
    if (!r)
        return error_no_memory(err);
    const struct model *m = &cm->model;
    const struct device *d = &cm->device;
    double tp = cm->tensor_parallel, kv_heads = fmax(1, m->kv_heads / tp);
    set_rates(r, d, m->dtype, m->bytes_per_weight);
    set_attention(r, d, m->dtype, &(struct attention){m->heads / tp, kv_heads, m->head_dim, m->bytes_per_kv});
    r->layers = m->layers;
    r->hidden = m->hidden;
    r->gate_width = m->intermediate / tp;
    r->gemms[0] = (struct gemm){(r->heads + 2 * kv_heads) * m->head_dim, m->hidden}; /* qkv */
    r->gemms[1] = (struct gemm){m->hidden, r->heads * m->head_dim};                  /* o */
    r->gemms[2] = (struct gemm){r->gate_width * (m->gated_mlp ? 2 : 1), m->hidden};  /* gate and up */
    r->gemms[3] = (struct gemm){m->hidden, r->gate_width};                           /* down */
    r->head = (struct gemm){m->vocab / tp, m->hidden};
    if (tp > 1) {
        r->all_reduce_ns = roofline_all_reduce_ns(d, tp, 0);
        r->all_reduce_ns_per_token = roofline_all_reduce_ns(d, tp, m->hidden * r->weight_bytes) - r->all_reduce_ns;
    }
    *out = (struct cost_backend){.token_ns = token_ns,
                                 .head_ns = head_ns,
                                 .prefill_piece = prefill_piece,
                                 .decode_piece = decode_piece,
                                 .launch_ns = r->layers * r->attention_launch_ns,
                                 .destroy = free,
                                 .self = r};
    return 0;
}
