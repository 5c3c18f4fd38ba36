/* SPDX-License-Identifier: MIT */
/* model.h — a decoder-only transformer's sizes: dense or mixture of experts, with grouped-query or latent attention. */
#ifndef TANDEM_PROFILES_MODEL_H
#define TANDEM_PROFILES_MODEL_H

#include <stdint.h>

#include "profiles/dtype.h"
#include "workloads/kv_layout.h"

/* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): a token's keys and values of all heads are
 * kept as one vector of `kv_rank` values and a rotary key of `rope_dim`. kv_rank 0: the model has none of it. */
struct latent_attention {
    uint32_t kv_rank, q_rank; /* q_rank 0: queries are projected directly */
    uint32_t rope_dim, value_dim;
};

/* A mixture of experts in every layer after the first `dense_layers`. experts 0: the model is dense. */
struct expert_layers {
    uint32_t experts, top_k;      /* routed ones, and how many a token goes to */
    uint32_t intermediate;        /* width of one expert */
    uint32_t shared_intermediate; /* width of all shared experts together */
    uint32_t dense_layers;
    double bytes_per_weight; /* of expert weights, where they are kept in another format than the rest */
    enum dtype dtype;
};

/* Layers that keep a state of fixed size for a sequence instead of KV: gated delta nets, Mamba-2, lightning attention.
 * layers 0: the model has none. */
struct state_layers {
    uint32_t layers;
    uint32_t in_width, out_width; /* of the projections from and to the hidden state */
    uint32_t values;              /* of one sequence and layer, convolution included */
    double bytes_per_value;
};

enum { MODEL_LEFT_OUT_BYTES = 400 };

struct model {
    char name[64];
    uint32_t layers, hidden, intermediate, heads, kv_heads, head_dim, vocab;
    uint32_t attention_layers, mlp_layers; /* that have KV, and an MLP or experts: all of them in most models */
    uint32_t max_tokens;                   /* longest sequence, prompt and output */
    bool gated_mlp;                        /* gate and up projections (SwiGLU), else up alone */
    bool tied_head;                        /* output head shares the embedding's weights */
    bool qk_norm;                          /* queries and keys are normalised by head (Qwen3) */
    bool gated_attention;                  /* a gate as wide as the queries is projected with them (Qwen3-Next) */
    enum dtype dtype;                      /* of arithmetic; by default bf16, fp8 or fp32 as bytes_per_weight says */
    double bytes_per_weight, bytes_per_kv;
    double bytes_per_embedding; /* a weight of embedding and output head, which may be wider than the others */
    struct latent_attention latent;
    struct expert_layers moe;
    struct state_layers state;
    uint32_t window, windowed_layers;    /* layers whose attention sees the last `window` tokens alone */
    bool fused_shared_experts;           /* the engine runs shared experts with routed ones */
    bool uniform_kv;                     /* the engine keeps every token in those layers, too */
    char left_out[MODEL_LEFT_OUT_BYTES]; /* what of the model is not costed, as half sentences; "" for nothing */
};

/* Reads a model by its shipped name, by a repository's name that means a shipped one (model_name.h), or from a path: a
 * JSON file of ours, or a config.json of Hugging Face's form or the folder that it lies in (model_config.h). */
int model_load(const char *name_or_path, struct model *out, struct error *err);

/* Whether a name is a path (it has a '/' or ".json" in it) at which something lies. */
bool model_is_path(const char *name);

/* Reads a document of our own form. */
int model_read(const struct json *root, struct model *out, struct error *err);

/* A model as a document of our own form, with where its numbers come from; the caller's. NULL when memory is short. */
cJSON *model_json(const struct model *m, const char *source);

/* Weights in another format, but for embedding and output head; those that are narrower already stay as they are. */
void model_quantise(struct model *m, enum dtype dtype);

/* Routed experts in another format; fails for a model without experts. */
int model_quantise_experts(struct model *m, enum dtype dtype, struct error *err);

/* All parameters, and how many of them are in routed experts. */
double model_parameters(const struct model *m);
double model_expert_parameters(const struct model *m);

/* Of embedding and output head. */
double model_embedding_parameters(const struct model *m);

/* Bytes of all parameters. */
double model_weight_bytes(const struct model *m);

/* KV bytes of one token in all layers, over all KV heads (grouped heads counted once; latent attention has one). */
double model_kv_bytes_per_token(const struct model *m);

/* The groups of layers that KV blocks are for (kv_layout.h), and how many layers each has, the last one of a kind
 * filled up: as many as the rarer kind of layers, or, where the other kind has less than half as many more, as many as
 * that (vLLM, kv_cache_utils.py). */
struct kv_groups model_kv_groups(const struct model *m, uint32_t *layers);

#endif
