/* SPDX-License-Identifier: MIT */
/* cost.h — how long an iteration takes: a batch in, time out.
 *
 * A batch is reduced to the shapes that kernels see; a backend (roofline, measured tables, or a stated line) turns
 * shapes into times. Before a run they are compiled into dense arrays: token-wise operations by tokens, the output
 * head by sequences, and for every number of decoding sequences the whole iteration as straight lines in KV tokens.
 * Compiled models are read only, so threads may share one. The sum is rounded once per iteration. */
#ifndef TANDEM_PROFILES_COST_H
#define TANDEM_PROFILES_COST_H

#include "policies/batch.h"
#include "profiles/device.h"
#include "profiles/engine.h"
#include "profiles/technique.h"

/* Where a time comes from: a measured point; a place between measured points; beyond them; a formula (roofline or a
 * stated line). */
enum cost_source { COST_MEASURED, COST_BETWEEN, COST_BEYOND, COST_ESTIMATED, COST_SOURCES };

extern const char *const cost_source_names[COST_SOURCES];

/* Attention where it is a straight line in KV tokens: of a fixed number of decoding sequences in the KV tokens of all
 * of them, of a prompt chunk of fixed length in the KV tokens before it. */
struct attention_piece {
    double until;     /* KV tokens up to which it holds; INFINITY for the last piece */
    double ns, slope; /* at 0 KV tokens (of the line drawn on), and for each */
    enum cost_source source;
};

/* Each function covers all layers of the model on one GPU of its group, communication included, in nanoseconds. The
 * first two add what they took to by[its source]. */
struct cost_backend {
    double (*token_ns)(const void *self, double tokens, double *by);   /* GEMMs, norms, experts, embedding */
    double (*head_ns)(const void *self, double sequences, double *by); /* output head and sampling */
    /* The piece that holds the KV tokens; decode pieces end where the next one begins. */
    struct attention_piece (*prefill_piece)(const void *self, double new_tokens, double kv_before);
    struct attention_piece (*decode_piece)(const void *self, double sequences, double kv_tokens);
    /* The part of token_ns that ranks compute together, by the mean of their tokens; NULL: none. */
    double (*shared_ns)(const void *self, double tokens);
    /* What decoding sequences add to a launch that holds prompt chunks of `new_tokens` in all after `kv_before` on
     * average. NULL: as much as in a launch of their own, less launching it. */
    double (*joined_decode_ns)(const void *self, double new_tokens, double kv_before, double sequences,
                               double kv_tokens, enum cost_source *source);
    /* Decodes of uneven length in one launch end with the longest. The share of the way from as many of mean length to
     * as many of the longest one's that such a launch takes, by themselves or with prompt chunks in it; NULL: none. */
    double (*decode_spread)(const void *self, double sequences, bool mixed);
    double launch_ns; /* saved for every attention launch that shares one */
    void (*destroy)(void *self);
    void *self;
};

struct dense_cost {
    int64_t total; /* fine time; what no source accounts for is host work */
    int64_t by[COST_SOURCES];
};

/* An iteration of decodes alone: base + kv·slope for KV tokens up to `until`. */
struct decode_line {
    uint64_t until;       /* last KV token count it holds for */
    uint64_t plain_until; /* up to here it is within bounds and not falling: the point on it is the cost */
    int64_t base, slope;  /* in fine time */
    int64_t attention, attention_slope; /* the attention in it, for batches that hold more */
    /* For each KV token that the longest of n sequences, n times, is ahead of the sum: alone, and with prompts. */
    int64_t spread, mixed_spread;
    enum cost_source attention_source;
    int64_t by[COST_SOURCES]; /* the rest of it */
};

enum cost_phase { PHASE_PROMPTS, PHASE_DECODES, COST_PHASES };

struct cost_model {
    struct model model;
    struct device device;
    struct engine engine;
    struct parallel parallel;
    struct work work;
    struct cost_backend backend;
    double kernel_factor; /* the engine's, of kernels alone */
    bool estimated;       /* every time is a formula's: sources are not told apart */
    int64_t host, launch; /* fine time: host work that the GPU waits for, and what sharing a launch saves */
    int64_t cold;         /* fine time that decodes right after prompts take longer */
    int64_t eager;        /* fine time between the kernels of an iteration that is no captured graph */
    int64_t launches;     /* fine time that the host takes to launch prompts outside a graph */
    struct dense_cost *tokens, *heads;      /* [DENSE_TOKENS + 1], [DENSE_SEQUENCES + 1] */
    int64_t *shared;                        /* [DENSE_TOKENS + 1] where ranks compute experts together, else NULL */
    struct decode_line *lines;              /* those of n sequences from lines_at[n] to lines_at[n + 1] − 1 */
    uint32_t *lines_at;                     /* [DENSE_SEQUENCES + 2] */
    const char *device_name;                /* as it was asked for; valid while the model is made */
    bool is_draft;                          /* its kernels may all be estimates, whatever the device's tables are of */
    struct cost_model *draft;               /* of speculative decoding, owned; NULL: none */
    struct cost_model *scorer;              /* reads prompts before the model does, owned; NULL: none */
    struct cost_model *phases[COST_PHASES]; /* that prompts or decodes run through instead, owned; NULL: the model */
    struct cost_loan *loan;                 /* it is borrowed, and owns nothing (shared_costs.h); NULL: it is not */
};

/* Beyond these, costs are computed when asked for: the same numbers. The fuzzers' build makes both small, since most of
 * its scenarios run for a moment. */
#ifndef DENSE_TOKENS
#define DENSE_TOKENS 8192
#define DENSE_SEQUENCES 512
#endif

struct iteration_cost {
    fine_time total;
    /* The next iterations of the same decodes, or of the same decodes and an equal chunk of the same prompt, take
     * `growth` more each, for `steady` iterations, this one included; 1 when that is not known. */
    fine_time growth;
    uint64_t steady;
    fine_time decode_alone, alone_growth; /* what the same decodes would take without the batch's prefill */
    /* Parts of the total by source, where costs have more than one; the rest is host work. */
    fine_time by[COST_SOURCES], by_growth[COST_SOURCES];
};

/* Loads model and device and compiles them for one GPU of a group. `engine` is NULL for kernels and the device's host
 * work alone, `techniques` for none. Fails when the model does not fit, cannot be sharded so, or when all tables are of
 * another model or tensor-parallel degree. Release with cost_model_release. */
int cost_model_create(struct cost_model *out, const char *model, const char *device, const struct parallel *parallel,
                      const struct engine *engine, const struct techniques *techniques, struct error *err);

/* A model on so many GPUs by tensor parallelism alone. */
struct parallel tensor_parallel(uint32_t degree);

void cost_model_release(struct cost_model *cm);

void cost_model_iteration(const struct cost_model *cm, const struct batch *batch, struct iteration_cost *out);

/* Decode attention of `sequences` over `kv_tokens` in all, in nanoseconds. */
double cost_model_decode_attention_ns(const struct cost_model *cm, double sequences, double kv_tokens,
                                      enum cost_source *source);

/* KV tokens of one group of layers (all layers where none has a window) that fit in memory next to weights and what
 * else the engine keeps there: of one rank, over its tensor-parallel group. Batches hold at most so many tokens, and so
 * many rows of the output head. */
uint64_t cost_model_kv_tokens(const struct cost_model *cm, double batch_tokens, double sequences);

/* Backends; each fills *out from the loaded model, its work and the device. */
int kernels_create(struct cost_model *cm, struct cost_backend *out, struct error *err);
int linear_create(struct cost_model *cm, struct cost_backend *out, struct error *err);

/* Makes all of a backend's times `factor` times as long. It is left as it was on failure. */
int scaled_create(struct cost_backend *backend, double factor, struct error *err);

#endif
