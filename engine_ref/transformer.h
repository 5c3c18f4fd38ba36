/* SPDX-License-Identifier: MIT */
/* transformer.h — a Llama-style decoder: its weights, and one step of it as every backend gets it.
 *
 * RMSNorm (Zhang and Sennrich 2019), rotary positions with halves rotated (Su et al. 2021), grouped-query attention
 * (Ainslie et al. 2023), SwiGLU (Shazeer 2020) or ReLU where the MLP has no gate. Matrices are [outputs][inputs],
 * row-major. */
#ifndef TANDEM_ENGINE_REF_TRANSFORMER_H
#define TANDEM_ENGINE_REF_TRANSFORMER_H

#include <stdbool.h>
#include <stddef.h>

#include "profiles/model.h"

#define NORM_EPSILON 1e-5f
#define ROTARY_BASE 10000.0f

struct layer_weights {
    float *attention_norm;        /* [hidden] */
    float *qkv;                   /* [(heads + 2 kv_heads) head_dim][hidden] queries, keys, values */
    float *query_norm, *key_norm; /* [head_dim]; NULL where the model has none */
    float *o;                     /* [hidden][heads head_dim] */
    float *mlp_norm;              /* [hidden] */
    float *gate_up;               /* [2 intermediate][hidden] gate, up; [intermediate][hidden] without a gate */
    float *down;                  /* [hidden][intermediate] */
};

struct weights {
    struct model model;
    struct layer_weights *layers;
    float *embedding; /* [vocab][hidden] */
    float *final_norm;
    float *head; /* [vocab][hidden]; the embedding where it is tied */
    float *memory;
    size_t count; /* floats in memory */
    bool one_layer;
};

/* Room for a model's weights, all 0. With `one_layer` all layers are the same memory: a step takes as long, what it
 * computes is of another model. Fails for models that the engine does not have (experts, latent attention, windows).
 * Release with weights_release. */
int weights_create(struct weights *w, const struct model *model, bool one_layer, struct error *err);

/* Rounds all to bf16 and back. */
void weights_round(struct weights *w);

/* Every matrix uniform with variance 1 / inputs, norms 1, from a seed. */
int weights_fill(struct weights *w, uint64_t seed, struct error *err);
void weights_release(struct weights *w);

/* Sizes of rows that every backend needs. */
static inline uint32_t query_width(const struct model *m)
{
    return m->heads * m->head_dim;
}

static inline uint32_t kv_width(const struct model *m)
{
    return m->kv_heads * m->head_dim;
}

static inline uint32_t qkv_width(const struct model *m)
{
    return query_width(m) + 2 * kv_width(m);
}

static inline uint32_t gate_up_width(const struct model *m)
{
    return (m->gated_mlp ? 2 : 1) * m->intermediate;
}

#define NO_SLOT UINT32_MAX

/* Queries in a row of the step that attend to keys in the paged cache: a prompt chunk, or one decode. Query i sees keys
 * 0 … kv_before + i. */
struct paged_span {
    uint32_t first, count;  /* rows of the step */
    uint32_t kv_before;     /* keys before the first query's own */
    uint32_t kv_read;       /* keys to go through, at least kv_before + count: what is beyond is masked (padding) */
    const uint32_t *blocks; /* block table */
    bool decode;            /* accounted as one; those that are come first in a step */
};

/* Rows of a padded or packed prefill: all `count` tokens against all, masked to what is before and of the same prompt;
 * padding sees itself alone. */
struct square_span {
    uint32_t first, count;
};

struct step_row {
    uint32_t token, position;
    uint32_t slot;   /* where its key and value go: block · block_tokens + place; NO_SLOT: nowhere (padding) */
    uint32_t prompt; /* in squares: which one it is of; 0: padding */
};

/* In ascending order of rows. */
struct step_output {
    uint32_t row;  /* whose next token is wanted */
    uint64_t draw; /* a random number for sampling it */
};

/* One iteration. Rows are tokens, padding included. */
struct step {
    struct step_row *rows;
    struct paged_span *spans;
    struct square_span *squares;
    struct step_output *outputs;
    size_t row_count, row_capacity, span_count, span_capacity, square_count, square_capacity, output_count,
        output_capacity;
};

void step_clear(struct step *s);
void step_release(struct step *s);

/* Each returns -1 when memory is short. */
int step_add_row(struct step *s, struct step_row row);
int step_add_span(struct step *s, struct paged_span span);
int step_add_square(struct step *s, struct square_span square);
int step_add_output(struct step *s, struct step_output output);

#endif
