/* SPDX-License-Identifier: MIT */
/* kv_pool.h — blocks of KV cache memory on one replica.
 *
 * A block holds `block_tokens` tokens of one group of layers; kv_layout.h says how many a request takes. Requests own
 * whole blocks. The pool only counts: it holds no KV data.
 *
 * With prefix caching, free blocks stand in a queue in the order they were freed, a request's last block first, and
 * are taken from its head (as vLLM does). Until then a preempted request that comes back finds its own again, and
 * anybody finds those of a prefix it has in common with others (content.h). Blocks of such a unit are held by all who
 * have it, once it is computed: who has computed it again meanwhile gives its own blocks back (as SGLang does). A
 * unit that stands in the queue is forgotten when the first of its blocks is taken.
 *
 * Where layers have windows, the blocks of a unit in the windowed groups are kept one by one, by keys of their own,
 * since requests give them back one by one. A prefix is found as far as the groups that keep every token have it, and
 * where the windowed groups have what the next token sees before its end. A preempted request finds its own again only
 * while none of them is taken. What is reserved further ahead than an iteration computes (kv_layout.h) takes the place
 * of what leaves the window, so a request shares nothing until that is used up. */
#ifndef TANDEM_SIM_KV_POOL_H
#define TANDEM_SIM_KV_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/unit_index.h"
#include "workloads/content.h"
#include "workloads/kv_layout.h"

/* Blocks in a row of the queue of free ones. */
struct kv_segment {
    bool owned;      /* by a preempted request that may come back */
    uint64_t blocks; /* the owner's first ones: its last are taken first */
    uint64_t full;   /* how many of the owner's first blocks are full, and so can be found again */
    uint64_t unit;   /* the key of the unit that they are, 0: of none */
};

/* A unit that has been evicted: its key, and its blocks. */
struct kv_evicted {
    uint64_t key;
    uint32_t blocks;
};

/* A key of a unit that can be found from now on, or cannot any more. */
struct kv_change {
    uint64_t key;
    bool found;
};

struct kv_pool {
    struct kv_layout layout;
    uint64_t total_blocks, free_blocks;
    uint64_t parked_blocks;    /* of finished requests whose batch is still running */
    uint64_t allocated, freed; /* blocks, over the whole run: allocated = freed + held */
    uint64_t peak_blocks;
    struct kv_segment
        *queue; /* of free blocks, [queue_capacity] ring of segments head … tail − 1; NULL: none is kept */
    struct unit_index units; /* held by somebody or in the queue */
    uint64_t head, tail;
    size_t queue_capacity;      /* a power of 2 */
    bool out_of_memory;         /* the queue could not grow: blocks in it may not be found again */
    bool notes_evicted;         /* units whose blocks are taken are noted, until somebody empties the list: */
    struct kv_evicted *evicted; /* [evicted_count] */
    size_t evicted_count, evicted_capacity;
    bool notes_changes;        /* what can be found is noted whenever it changes, until somebody empties the list: */
    struct kv_change *changes; /* [change_count] */
    size_t change_count, change_capacity;
    wide_sum block_time; /* Σ blocks·(time freed) − Σ blocks·(time taken), in fine time, modulo 2^128 */
};

/* Returns 0, or -1 when memory is short (only with prefix caching). Release with kv_pool_destroy. */
int kv_pool_init(struct kv_pool *pool, uint64_t total_blocks, const struct kv_layout *layout, bool prefix_caching);
void kv_pool_destroy(struct kv_pool *pool);

/* Free blocks that can be taken before the first one of a unit. */
uint64_t kv_pool_plain_blocks(const struct kv_pool *pool);

/* Takes blocks from the head of the queue. */
void kv_pool_dequeue(struct kv_pool *pool, uint64_t blocks);

/* Takes `blocks` that are free, at times whose sum over the blocks is `times`. */
static inline void kv_pool_take(struct kv_pool *pool, uint64_t blocks, wide_sum times)
{
    pool->free_blocks -= blocks;
    pool->allocated += blocks;
    pool->block_time -= times;
    if (pool->queue)
        kv_pool_dequeue(pool, blocks);
    uint64_t used = pool->total_blocks - pool->free_blocks;
    if (used > pool->peak_blocks)
        pool->peak_blocks = used;
}

/* A time in nanoseconds and a rest below one, in fine time. */
static inline wide_sum kv_pool_time(sim_time now, fine_time carry)
{
    return ((wide_sum)(uint64_t)now << FINE_BITS) + carry;
}

/* Gives back blocks that nobody can find, at times whose sum over the blocks is `times`. */
void kv_pool_give_back(struct kv_pool *pool, uint64_t blocks, wide_sum times);

/* Blocks of the pool that a request has. */
static inline uint64_t kv_pool_held(const struct kv_pool *pool, const struct request *r)
{
    const struct kv_groups *g = &pool->layout.groups;
    return g->windowed == 0 ? r->kv_blocks : (uint64_t)g->full * r->kv_blocks + (uint64_t)g->windowed * r->kv_window;
}

/* Reserves blocks so that the request's cover `tokens` tokens in total. False when too few blocks are
 * free; nothing is reserved then. */
bool kv_pool_reserve(struct kv_pool *pool, struct request *r, uint32_t tokens, sim_time now);

/* The request has computed more: gives back what its windowed groups do not need any more. */
void kv_pool_slide(struct kv_pool *pool, struct request *r, sim_time now);

/* Takes all of a preempted request's blocks back, to be found again while they are free. */
void kv_pool_release_preempted(struct kv_pool *pool, struct request *r, sim_time now);

/* What a request that holds nothing would find now: units and blocks, of which the windowed groups have not the first
 * `left`; and blocks of the pool among it that somebody holds. */
struct kv_found {
    uint32_t units, unit_blocks, blocks, left;
    uint64_t in_use;
};
struct kv_found kv_pool_find(const struct kv_pool *pool, const struct request *r);

/* Gives it these, which it has just found. What it has computed is for the caller to say. */
void kv_pool_reclaim(struct kv_pool *pool, struct request *r, const struct kv_found *found, sim_time now);

/* Whole units of the request's first `computed` tokens are there for others from now on. */
void kv_pool_share(struct kv_pool *pool, struct request *r, uint32_t computed, sim_time now);

/* Units beyond what the request has computed are not found any more, unless others hold them, too; it gives their
 * blocks back. */
void kv_pool_unshare(struct kv_pool *pool, struct request *r, sim_time now);

/* Takes all of the request's blocks back, or keeps them parked until kv_pool_release_parked. */
void kv_pool_release(struct kv_pool *pool, struct request *r, sim_time now);
/* Nobody finds anything in it any more, and every block is free; no request may hold one. Blocks that an iteration took
 * which did not end are nobody's. */
void kv_pool_forget(struct kv_pool *pool, sim_time now);
void kv_pool_park(struct kv_pool *pool, struct request *r);
void kv_pool_release_parked(struct kv_pool *pool, sim_time now);

/* ∫ blocks in use dt from 0 to now, in block-nanoseconds. */
double kv_pool_block_ns(const struct kv_pool *pool, sim_time now);

#endif
