/* SPDX-License-Identifier: MIT */
/* cpu.h — a step on a CPU in 32-bit floats: the order of operations is written once (cpu.c), the kernels twice, plainly
 * and fast. */
#ifndef TANDEM_ENGINE_REF_CPU_H
#define TANDEM_ENGINE_REF_CPU_H

#include "engine_ref/backend.h"
#include "engine_ref/workers.h"

struct cpu;

struct cpu_kernels {
    void (*start)(void); /* once for an instance; may be NULL */
    /* y[rows][outputs] = x[rows][inputs] · w[outputs][inputs]ᵀ, added to what y has where `add`. */
    void (*gemm)(struct cpu *c, float *y, const float *x, const float *w, size_t rows, size_t outputs, size_t inputs,
                 bool add);
    /* y[rows][width] = x / rms(x) · weight; y may be x. Rows are `stride` apart. */
    void (*norm)(struct cpu *c, float *y, const float *x, const float *weight, size_t rows, size_t width,
                 size_t stride);
    /* Rotates queries and keys of qkv[rows] in place, and puts keys and values into the cache. */
    void (*rotary)(struct cpu *c, uint32_t layer, const struct step *s);
    /* out[rows][heads][head_dim] from qkv; spans first … last − 1, and squares. */
    void (*paged)(struct cpu *c, uint32_t layer, const struct step *s, size_t first, size_t last);
    void (*squares)(struct cpu *c, const struct step *s);
    /* act[rows][intermediate] from gate_up[rows]. */
    void (*activation)(struct cpu *c, size_t rows);
};

extern const struct cpu_kernels cpu_reference_kernels, cpu_fast_kernels;

struct cpu {
    const struct weights *w;
    struct engine_limits limits;
    const struct cpu_kernels *kernels;
    struct profiler *profiler;
    struct workers *workers;
    float *keys, *values;   /* [layers][kv_heads][blocks · block_tokens][head_dim] */
    float *cosines, *sines; /* [max_tokens][head_dim / 2] */
    float *x, *normed;      /* [rows][hidden] */
    float *qkv;             /* [rows][qkv_width] */
    float *attended;        /* [rows][query_width] */
    float *gate_up, *act;   /* [rows][gate_up_width], [rows][intermediate] */
    float *logits;          /* [outputs][vocab] */
    size_t output_count;    /* of the last step */
    float *scratch;         /* [threads][scratch_floats] */
    size_t scratch_floats;
};

enum { QUERY_TILE = 64 }; /* queries whose scores are kept at once */

/* Where a slot's key or value is. */
static inline size_t cache_at(const struct cpu *c, uint32_t layer, uint32_t kv_head, size_t slot)
{
    const struct model *m = &c->w->model;
    size_t slots = c->limits.blocks * c->limits.block_tokens;
    layer = c->w->one_layer ? 0 : layer;
    return ((layer * (size_t)m->kv_heads + kv_head) * slots + slot) * m->head_dim;
}

/* The slot of a span's key; masked ones stand for the last real one. */
static inline size_t span_slot(const struct cpu *c, const struct paged_span *p, uint32_t key)
{
    uint32_t last = p->kv_before + p->count - 1, at = key < last ? key : last;
    return (size_t)p->blocks[at / c->limits.block_tokens] * c->limits.block_tokens + at % c->limits.block_tokens;
}

#endif
