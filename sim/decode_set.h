/* SPDX-License-Identifier: MIT */
/* decode_set.h — the requests that decode on one replica, advanced together.
 *
 * In nearly every iteration each of them gets one token. So the set counts steps once for all: a member's progress
 * is the number of steps since it joined, its finish a step known in advance (kept in a heap), its next KV block a
 * step modulo the block size (kept in a ring), its time parts the set's clocks less their values when it joined. A
 * step costs the same for one member as for a thousand.
 *
 * Where layers have windows, a second ring has the steps after which a member's windowed groups give a block back. A
 * block that it shares with others is given back one by one: the member is due then, and its pool looks after it. */
#ifndef TANDEM_SIM_DECODE_SET_H
#define TANDEM_SIM_DECODE_SET_H

#include "sim/kv_pool.h"

/* Members whose last token came at the same time. */
struct token_age {
    sim_time at;
    uint32_t count;
};

struct decode_event {
    uint64_t step; /* the member needs looking at when the set has taken so many steps */
    struct request *r;
};

struct decode_set {
    uint32_t block_tokens;
    uint32_t per_crossing; /* blocks of the pool that a member takes: one for each group of layers */
    struct kv_layout layout;
    struct decode_event *heap; /* [count], smallest step first */
    size_t count, capacity;
    uint64_t steps;     /* since the run's start */
    uint64_t kv_tokens; /* computed tokens of all members */
    /* Computed tokens of the member that has most, when the set had taken `longest_at` steps; it is looked for again
     * when it has left. 0: not known. */
    uint64_t longest, longest_at;
    uint32_t *crossings; /* [block_tokens] ring: blocks of the pool that members need at steps ≡ i */
    uint64_t occupied;   /* bit i: crossings[i] is not 0, when the ring has at most 64 places */
    uint32_t ring_at;    /* steps modulo block_tokens */
    uint64_t crossing;   /* the same of the whole ring */
    uint32_t *drops; /* [block_tokens] ring: members that give one back after steps ≡ i; NULL: no layer has a window */
    /* Clocks: time in steps, without others' prefill and with it (all else in those iterations is interference), and
     * in iterations that were no steps. The first one, in fine time, may wrap around. */
    fine_time own;
    sim_time stepping, stall;
    sim_time last_token;    /* when the last step ended */
    struct token_age *ages; /* [age_count], oldest first; one entry after a step */
    size_t age_count, age_capacity;
};

/* Returns 0, or -1 when memory is short. */
int decode_set_init(struct decode_set *set, const struct kv_layout *layout);
void decode_set_release(struct decode_set *set);

/* Makes room for `members` in all. Returns 0, or -1 when memory is short. */
int decode_set_make_room(struct decode_set *set, size_t members);

/* A request that decodes joins, or leaves with its counters brought up to date. */
void decode_set_join(struct decode_set *set, struct request *r);
void decode_set_leave(struct decode_set *set, struct request *r);

/* Brings a member's counters up to date. */
void decode_set_settle(struct decode_set *set, struct request *r);

/* Output tokens that a request has, member or not: its own counter stands still while it is one. */
static inline uint32_t decode_set_generated(const struct decode_set *set, const struct request *r)
{
    return r->generated + (r->decode.in ? (uint32_t)(set->steps - r->decode.since_step) : 0);
}

/* Whether the next step takes a block for a member, whose counters are up to date. */
static inline bool decode_set_crosses_now(const struct decode_set *set, const struct request *r)
{
    return r->decode.crosses && r->decode.first_crossing == set->steps;
}

/* Blocks that the next step needs, and for how many steps, up to `most`, `free_blocks` are enough. */
static inline uint64_t decode_set_blocks(const struct decode_set *set)
{
    return set->crossings[set->ring_at];
}
uint64_t decode_set_steps_within(const struct decode_set *set, uint64_t free_blocks, uint64_t most);

/* The same where layers have windows; the last step may leave more than `awaited` blocks free, those before it not. */
uint64_t decode_set_windowed_steps_within(const struct decode_set *set, uint64_t free_blocks, uint64_t awaited,
                                          uint64_t most);

/* Blocks that steps `first` … `last` − 1 from now need: how many, Σ blocks·i and Σ blocks·i (i − 1) / 2 over the
 * steps i, so that the times they are taken at can be summed. */
struct crossing_sums {
    uint64_t blocks, steps, pairs;
};
struct crossing_sums decode_set_crossings(const struct decode_set *set, uint64_t first, uint64_t last);

/* Blocks that step `i` from now takes when it starts, and gives back when it has ended; of models with windows. */
struct window_step {
    uint64_t taken, left;
};
struct window_step decode_set_window_step(const struct decode_set *set, uint64_t i);

/* Steps until the first member must be looked at; there must be one. */
static inline uint64_t decode_set_steps_left(const struct decode_set *set)
{
    return set->heap[0].step - set->steps;
}

/* Computed tokens of the member that has most; there must be one. */
uint64_t decode_set_longest(struct decode_set *set);

/* Every member gets n tokens, the last one at `end`. */
void decode_set_advance(struct decode_set *set, uint64_t n, sim_time end);

/* A member that has all its tokens, or whose windowed groups give back a block that it shares, or NULL. Call until NULL
 * after each advance; take it out, or slide its window (kv_pool_slide) and have it watched again. */
struct request *decode_set_due(struct decode_set *set);
void decode_set_watch(struct decode_set *set, struct request *r);

#endif
