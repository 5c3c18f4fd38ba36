/* SPDX-License-Identifier: MIT */
/* batch.h — what one iteration holds, as a policy decides it and an executor runs it. */
#ifndef TANDEM_POLICIES_BATCH_H
#define TANDEM_POLICIES_BATCH_H

#include "workloads/request.h"

enum batch_layout {
    BATCH_RAGGED, /* variable-length kernels: only real tokens */
    BATCH_PADDED, /* `rows` rows of `row_tokens` tokens, each over `row_kv` earlier tokens */
    BATCH_PACKED, /* as padded, but a row (bin) holds several prompts, kept apart by the mask */
};

/* How attention runs over packed rows: on the row's full square, or on each prompt's block alone. */
enum packed_attention { PACKED_MASKED, PACKED_VARLEN };

struct batch_item {
    struct request *req;
    uint32_t new_tokens; /* prompt tokens, or 1 decode token */
    bool decode;         /* how the request stood when the batch was formed */
    uint32_t row;        /* PACKED: the bin it is in */
};

#define STABLE_FOREVER UINT64_MAX

struct batch {
    /* All requests that decode, with one token each: how many, and the KV tokens they have before it. */
    uint32_t decodes;
    uint64_t decode_kv;
    uint64_t decode_longest;         /* the most that one of them has; 0 where nobody asks */
    uint32_t wasted;                 /* of these decodes, by requests that have ended since the batch was formed */
    uint64_t wasted_kv;              /* and the KV tokens that they have */
    struct request *const *decoders; /* [decodes] who they are, brought up to date; NULL where nobody asks */
    /* The others, and single decodes where a policy does not take them all. */
    struct batch_item *items;
    size_t count, capacity;
    /* Tokens of all ranks that step together, and of the one that has most; 0 for a replica by itself. */
    uint64_t group_tokens, group_most;
    enum batch_layout layout;
    enum packed_attention packed_attention;
    uint32_t rows;       /* PADDED: sequences, finished ones that still cost included; PACKED: bins */
    uint32_t row_tokens; /* new tokens of every row */
    uint32_t row_kv;     /* KV tokens before them in every row */
    bool after_prompts;  /* the iteration before it on its replica had prompts in it */
    sim_time start;      /* when its iteration starts */
    sim_time wake_at;    /* for an empty batch: ask again then, SIM_TIME_NEVER for at the next arrival */
    /* For how many iterations, this one included, the policy would form this batch again (each decode one token
     * further, a prompt one chunk of the same length further) while nobody arrives or leaves and no KV runs out.
     * 1 unless the policy says more. */
    uint64_t stable_iterations;
    bool arrivals_wait; /* not even an arrival changes it: whoever comes waits until somebody leaves */
    bool awaits_blocks; /* a waiting request may change it when blocks that leave a window make more KV blocks free */
};

/* Empties it, keeping the room for items. */
static inline void batch_clear(struct batch *b)
{
    b->decodes = 0;
    b->decode_kv = 0;
    b->decode_longest = 0;
    b->wasted = 0;
    b->wasted_kv = 0;
    b->decoders = NULL;
    b->group_tokens = b->group_most = 0;
    b->count = 0;
    b->layout = BATCH_RAGGED;
    b->rows = b->row_tokens = b->row_kv = 0;
    b->wake_at = SIM_TIME_NEVER;
    b->stable_iterations = 1;
    b->arrivals_wait = b->awaits_blocks = b->after_prompts = false;
}

/* Adds an item; the batch has room for every running request (the replica sees to it). */
static inline void batch_add(struct batch *b, struct request *r, uint32_t new_tokens)
{
    b->items[b->count++] = (struct batch_item){.req = r, .new_tokens = new_tokens, .decode = request_decodes(r)};
}

/* Takes a request out, in whichever way it stands there. Returns its tokens, 0 when it does not. */
static inline uint32_t batch_take_out(struct batch *b, const struct request *r)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].req != r)
            continue;
        uint32_t tokens = b->items[i].new_tokens;
        for (b->count--; i < b->count; i++)
            b->items[i] = b->items[i + 1];
        return tokens;
    }
    if (!r->decode.in || b->decodes == 0)
        return 0;
    b->decodes--;
    b->decode_kv -= r->computed;
    return 1;
}

/* Adds decodes of a request that has ended, with `kv` tokens before each. */
static inline void batch_add_wasted(struct batch *b, uint32_t rows, uint64_t kv)
{
    b->decodes += rows;
    b->wasted += rows;
    b->decode_kv += rows * kv;
    b->wasted_kv += rows * kv;
    if (rows > 0 && b->decode_longest < kv)
        b->decode_longest = kv;
}

/* Whether the requests that decode together get a token each. */
static inline bool batch_steps(const struct batch *b)
{
    return b->decodes > b->wasted;
}

static inline bool batch_is_empty(const struct batch *b)
{
    return b->count == 0 && b->decodes == 0;
}

static inline uint64_t batch_sequences(const struct batch *b)
{
    return b->count + b->decodes;
}

/* Tokens that real requests asked for, and tokens that token-wise operations run on. */
static inline uint64_t batch_real_tokens(const struct batch *b)
{
    uint64_t tokens = b->decodes;
    for (size_t i = 0; i < b->count; i++)
        tokens += b->items[i].new_tokens;
    return tokens;
}

static inline bool batch_has_prompts(const struct batch *b)
{
    if (b->layout != BATCH_RAGGED)
        return b->row_tokens > 1 || b->row_kv == 0;
    for (size_t i = 0; i < b->count; i++)
        if (!b->items[i].decode)
            return true;
    return false;
}

/* Requests that get a token; as they are before the iteration. */
static inline uint64_t batch_outputs(const struct batch *b)
{
    uint64_t outputs = b->decodes - b->wasted;
    for (size_t i = 0; i < b->count; i++)
        outputs += b->items[i].new_tokens == request_uncomputed(b->items[i].req);
    return outputs;
}

static inline uint64_t batch_padded_tokens(const struct batch *b)
{
    return b->layout == BATCH_RAGGED ? batch_real_tokens(b) : (uint64_t)b->rows * b->row_tokens;
}

#endif
