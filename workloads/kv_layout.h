/* SPDX-License-Identifier: MIT */
/* kv_layout.h — how many blocks of KV a request takes for its tokens. Everything that counts blocks asks here.
 *
 * A block holds `block_tokens` tokens of one group of layers; all groups have equally many layers, so that all blocks
 * have equally many bytes and lie in one pool (vLLM's hybrid KV cache manager; docs/policies/window_kv.md). A group
 * that keeps every token has a block for every block_tokens tokens of a request. A group whose layers see a window has,
 * of these, those that a token from the next one on still sees; the first ones are given back when an iteration has
 * ended. A model without windows has one group, and a request as many blocks of the pool as its tokens fill. */
#ifndef TANDEM_WORKLOADS_KV_LAYOUT_H
#define TANDEM_WORKLOADS_KV_LAYOUT_H

#include <stdint.h>

/* Groups of layers. Without windowed groups there is one, which keeps every token. */
struct kv_groups {
    uint32_t full, windowed; /* that keep every token, and a window */
    uint32_t window;         /* tokens that a windowed layer sees, the newest one included */
};

struct kv_layout {
    uint32_t block_tokens;
    uint32_t step_tokens; /* the most of one request that an iteration computes; looked at with windows only */
    struct kv_groups groups;
};

/* Blocks that so many tokens fill in a group that keeps every token. */
static inline uint64_t kv_layout_full(const struct kv_layout *l, uint64_t tokens)
{
    return (tokens + l->block_tokens - 1) / l->block_tokens;
}

/* Of a request's first blocks, those that a windowed group does not need when `computed` tokens are done: the next
 * token sees itself and the window − 1 before it. */
static inline uint64_t kv_layout_left(const struct kv_layout *l, uint64_t computed)
{
    uint64_t window = l->groups.window;
    return computed + 1 > window ? (computed + 1 - window) / l->block_tokens : 0;
}

/* The most blocks that a windowed group needs while `step` tokens are computed: they and the window − 1 before them,
 * which may begin in the middle of a block. */
static inline uint64_t kv_layout_most(const struct kv_layout *l, uint64_t step)
{
    return kv_layout_full(l, (uint64_t)l->groups.window - 1 + step) + 1;
}

/* Blocks that a windowed group has of `blocks`, of which it has given `left` back. The next iteration computes at most
 * `step` tokens: what is reserved further ahead takes the place of what is given back by then. */
static inline uint64_t kv_layout_windowed(const struct kv_layout *l, uint64_t blocks, uint64_t left, uint64_t step)
{
    uint64_t within = blocks - left, most = kv_layout_most(l, step);
    return within < most ? within : most;
}

/* Blocks of the pool for a request with `tokens` tokens reserved, of which `computed` are done and at most `step` are
 * computed next. */
static inline uint64_t kv_layout_blocks(const struct kv_layout *l, uint64_t tokens, uint64_t computed, uint64_t step)
{
    uint64_t blocks = kv_layout_full(l, tokens);
    if (l->groups.windowed == 0)
        return blocks;
    return l->groups.full * blocks +
           l->groups.windowed * kv_layout_windowed(l, blocks, kv_layout_left(l, computed), step);
}

/* Tokens that a windowed group still has when `computed` are done. */
static inline uint64_t kv_layout_seen(const struct kv_layout *l, uint64_t computed)
{
    return computed - kv_layout_left(l, computed) * l->block_tokens;
}

/* What so many tokens of a decoding request take of the pool, in tokens of one group; block sizes left aside. */
static inline double kv_layout_group_tokens(const struct kv_layout *l, double tokens)
{
    double seen = tokens < l->groups.window ? tokens : l->groups.window;
    return l->groups.windowed == 0 ? tokens : l->groups.full * tokens + l->groups.windowed * seen;
}

#endif
