/* SPDX-License-Identifier: MIT */
/* work.h — what one iteration of a model does on one GPU: a list of operations with the shapes that kernels see, before
 * any device says how long they take. Techniques change it (technique.h); kernels.c prices it. */
#ifndef TANDEM_PROFILES_WORK_H
#define TANDEM_PROFILES_WORK_H

#include <stdint.h>

#include "profiles/model.h"

/* How one copy of a model lies on GPUs. Attention is sharded over `tensor` GPUs and replicated over `data` ranks, which
 * step together; experts are sharded over all tensor × data GPUs: `expert` ways by whole experts, the rest by width. */
struct parallel {
    uint32_t tensor, data, expert;
    uint32_t stages, stage;  /* pipeline parallelism: how many, and which one this is; 1 and 0: all layers */
    double expert_imbalance; /* tokens of the busiest GPU's experts, over the mean; 1: even */
    double link_bytes_per_s, link_latency_ns; /* between its GPUs, per direction; below 0: as the device says */
};

enum work_kind {
    WORK_GEMM,       /* rows × k by k × n */
    WORK_STREAM,     /* reads and writes its rows: norms, activation, rotary, embedding, sampling */
    WORK_EXPERTS,    /* routed experts: grouped GEMMs over the experts that rows go to */
    WORK_COLLECTIVE, /* bytes between GPUs, named all_reduce, all_gather or reduce_scatter */
};

/* What an operation's rows are: tokens of the iteration (after padding), or sequences that the output head runs for. */
enum work_rows { PER_TOKEN, PER_SEQUENCE };

enum { WORK_NAME_BYTES = 24, WORK_OPS_MAX = 48 };

struct experts {
    double hidden, intermediate;  /* of a whole expert */
    double experts, top_k, gated; /* of routed ones */
    double always;                /* more of the same width that every token goes to, in the same launch */
    double tensor, expert;        /* ways that experts are sharded */
    double imbalance;
};

struct operation {
    char name[WORK_NAME_BYTES]; /* as measured tables name it */
    enum work_kind kind;
    enum work_rows rows;
    double times;         /* in an iteration: once a layer, say */
    double rows_scale;    /* its rows over the iteration's */
    enum dtype dtype;     /* of weights */
    double weight_bytes;  /* of one weight */
    double n, k;          /* GEMM: columns and inner size of this GPU's shard */
    double bytes_per_row; /* STREAM: read and written; COLLECTIVE: of the message */
    double launches;      /* kernels, where it is not one */
    double gpus;          /* COLLECTIVE: how many take part */
    struct experts experts;
};

/* Attention of this GPU in one layer. Multi-head, grouped and multi-query attention have 2·head_dim·kv_heads values of
 * KV a token and 4·head_dim·heads operations for a query and a key. */
struct attention_work {
    double prefill_layers, decode_layers;
    double heads, kv_heads, head_dim;             /* as tables name the shape; latent attention fits none */
    double prefill_flops, decode_flops;           /* of a query token with a key token */
    double kv_bytes, query_bytes, kv_value_bytes; /* of a KV token; of a query token in and out; of one KV value */
    double decode_queries; /* that a decode asks at once: more than one where proposed tokens are checked; 0: one */
    double window;         /* keys that a query sees at most; 0: all */
    bool latent;
    bool changed;                       /* by a technique, so that no table of kernels fits its decodes */
    double density_from, density_power; /* prompts: share of scores = min(1, (keys / from)^−power); from 0: all */
    double density_ns_per_token;        /* finding out which, a query token and layer */
};

enum { ATTENTION_FULL, ATTENTION_WINDOW, ATTENTION_KINDS };

/* Speculative decoding (Leviathan et al. 2023, arXiv 2211.17192): a draft model proposes tokens one by one, the model
 * checks them in one pass and adds one of its own. */
struct speculation {
    double draft_tokens; /* 0: none */
    double acceptance;   /* of a token, given those before it */
    char draft_model[64];
};

struct work {
    struct operation ops[WORK_OPS_MAX];
    size_t count;
    struct attention_work attention[ATTENTION_KINDS]; /* layers that see everything, and those with a window */
    double layers, hidden;
    struct operation kv_projection; /* one layer's keys and values alone; n is 0 where they are not apart */
    struct speculation speculation;
    double time_scale;         /* of every time, once the work is priced */
    double weight_bytes;       /* of this GPU */
    double state_bytes;        /* of this GPU and one sequence, in layers that keep a state instead of KV */
    double kv_bytes_per_token; /* of this GPU, one group of layers: of all layers where none has a window */
    struct kv_groups kv_groups;
    double kv_layers[ATTENTION_KINDS]; /* that keep KV, in groups: 1.4 are a group and 0.4 of another */
};

/* Writes down a model's work on one GPU of its group. Fails when the model cannot be sharded so. */
int work_of_model(const struct model *m, const struct parallel *p, struct work *out, struct error *err);

/* Leaves the layers of one stage of so many: their share of everything that is done once a layer, the embedding for the
 * first and the output head for the last stage. Layers that differ (dense and sparse ones) are spread evenly. */
void work_cut(struct work *w, const struct model *m, uint32_t stages, uint32_t stage);

/* The operation of a name, or NULL. */
struct operation *work_find(struct work *w, const char *name);

/* Appends an operation and returns it, zeroed but for what is given; there must be room. */
struct operation *work_add(struct work *w, const char *name, enum work_kind kind, double times);

/* Tokens that a pass of speculative decoding yields on average: (1 − α^(k+1)) / (1 − α), its equation 1; 1 without. */
double speculation_tokens(const struct speculation *s);

/* Bytes that one GPU needs next to weights and KV while a batch of `tokens` runs, `sequences` of which get a token: the
 * residual and hidden state, input and output of the widest operation, the logits in 16 and 32 bits, and the state that
 * some layers keep for each sequence. */
double work_activation_bytes(const struct work *w, double tokens, double sequences);

/* Experts of one GPU that `rows` tokens wake, when each token picks its experts at random:
 * E/ep · (1 − (1 − k/E)^rows). */
double experts_awake(const struct experts *e, double rows);

#endif
