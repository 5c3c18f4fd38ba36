/* SPDX-License-Identifier: MIT */
/* work.h — what one iteration of a model does on one GPU: a list of operations with the shapes that kernels see, before
 * any device says how long they take. Techniques change it (technique.h); kernels.c prices it. */
#ifndef TANDEM_PROFILES_WORK_H
#define TANDEM_PROFILES_WORK_H

#include <stdbool.h>
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
    /* Decodes: of the KV that is kept, what is read: a share, and at most so many tokens a sequence; and the share of
     * all its bytes that finding out which moves. 0, 0 and 0: all of it. */
    double read_share, read_tokens, select_share;
    double shared_tokens, shared_groups; /* a prefix that each of so many groups has in common is read once; 0: none */
    double ranks;                        /* that each hold a part of every sequence's KV; 0: one */
    double ring_bytes_per_s, ring_latency_ns; /* between them */
};

enum { ATTENTION_FULL, ATTENTION_WINDOW, ATTENTION_KINDS };

/* Speculative decoding (Leviathan et al. 2023, arXiv 2211.17192): a draft model proposes tokens one by one, the model
 * checks them in one pass and adds one of its own. */
struct speculation {
    double draft_tokens;  /* 0: none */
    double acceptance;    /* of a token, given those before it */
    char draft_model[64]; /* "none": tokens are proposed at no cost */
    double rows;   /* that are checked for a sequence: a tree's nodes and the token before it; 0: draft_tokens + 1 */
    double passes; /* of the draft model in a pass: a tree's depth; 0: draft_tokens */
    double tokens; /* that a pass yields on average, stated; 0: by the acceptance */
    bool together; /* every sequence goes on by as many as the one with the fewest accepted */
};

/* Prompt tokens that go on from layer to layer: all in the first layers, then a share that falls in a straight line to
 * what the last layer has, and at most so many. */
struct prompt_keep {
    bool any;
    double full_layers, last_share, budget; /* of the layers; of the tokens; tokens, 0: no limit */
    bool stepped;                           /* the share falls at once */
    bool again;                             /* what is kept in the end runs through all layers once more */
    char scorer[64];                        /* a model that reads the whole prompt first; "": none */
};

/* KV of prompt tokens that is read from somewhere instead of being computed, wherever in the prompt they stand. */
struct kv_reuse {
    double loaded_share; /* of a prompt's tokens; 0: none */
    double bytes_per_s, overlap;
};

/* Low-rank adapters, of which every request has one at random. */
struct adapters {
    double count;          /* 0: none */
    double bytes;          /* of one, on this GPU */
    double resident_bytes; /* of all that lie in its memory */
};

/* Models that prompts or decodes run through instead; "": the model itself. */
struct phase_models {
    char prompts[64], decodes[64];
    bool part; /* it is a part of the model: its weights and KV are the model's */
};

/* What runs next to something else, as shares of the shorter of both. */
struct overlap {
    double communication, from_tokens; /* collectives next to kernels of the other half of at least so many tokens */
    double kernels;                    /* decodes' attention in what memory bandwidth GEMMs leave */
};

/* Weights that come from below GPU memory in every iteration. */
struct weights_source {
    bool any;
    double loaded_share; /* of the weights that an iteration runs on */
    double bytes_per_s, overlap;
    double all_bytes; /* of this GPU's weights */
    bool experts;     /* only experts do, those that are awake */
};

struct work {
    struct operation ops[WORK_OPS_MAX];
    size_t count;
    struct attention_work attention[ATTENTION_KINDS]; /* layers that see everything, and those with a window */
    double layers, hidden;
    struct operation kv_projection; /* one layer's keys and values alone; n is 0 where they are not apart */
    struct speculation speculation;
    struct prompt_keep keep;
    struct kv_reuse reuse;
    struct adapters adapters;
    double gpu_replicas;             /* that share a GPU; 0: one has it */
    double filled_tokens, fill_cost; /* batches are filled up to so many tokens with background work, each as much
                                        as so many; 0: they are not */
    struct phase_models phases;
    struct overlap overlap;
    struct weights_source source;
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

/* The same of `sequences` that go on together, or not. */
double speculation_tokens_of(const struct speculation *s, double sequences);

/* Bytes that one GPU needs next to weights and KV while a batch of `tokens` runs, `sequences` of which get a token: the
 * residual and hidden state, input and output of the widest operation, the logits in 16 and 32 bits, and the state that
 * some layers keep for each sequence. */
double work_activation_bytes(const struct work *w, double tokens, double sequences);

/* Experts of one GPU that `rows` tokens wake, when each token picks its experts at random:
 * E/ep · (1 − (1 − k/E)^rows). */
double experts_awake(const struct experts *e, double rows);

/* Bytes of the experts that so many tokens wake on this GPU, in all layers. */
double work_expert_bytes(const struct work *w, double tokens);

#endif
