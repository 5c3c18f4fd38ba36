/* SPDX-License-Identifier: MIT */
/* model.h — a decoder-only transformer's sizes. */
#ifndef TANDEM_PROFILES_MODEL_H
#define TANDEM_PROFILES_MODEL_H

#include <stdint.h>

#include "profiles/dtype.h"

struct model {
    char name[64];
    uint32_t layers, hidden, intermediate, heads, kv_heads, head_dim, vocab;
    uint32_t max_tokens; /* longest sequence, prompt and output */
    bool gated_mlp;      /* gate and up projections (SwiGLU), else up alone */
    bool tied_head;      /* output head shares the embedding's weights */
    enum dtype dtype;    /* of arithmetic; by default bf16, fp8 or fp32 as bytes_per_weight says */
    uint32_t bytes_per_weight, bytes_per_kv;
};

/* Reads a model by its shipped name, or from a path to a JSON file. */
int model_load(const char *name_or_path, struct model *out, struct error *err);

double model_parameters(const struct model *m);

/* KV bytes of one token in all layers, over all KV heads (grouped heads counted once). */
double model_kv_bytes_per_token(const struct model *m);

#endif
