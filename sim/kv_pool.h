/* SPDX-License-Identifier: MIT */
/* kv_pool.h — blocks of KV cache memory on one replica.
 *
 * A block holds `block_tokens` tokens of every layer. Requests own whole blocks. The pool only
 * counts: it holds no KV data. */
#ifndef TANDEM_SIM_KV_POOL_H
#define TANDEM_SIM_KV_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "workloads/request.h"

struct kv_pool {
    uint32_t block_tokens;
    uint64_t total_blocks, free_blocks;
    uint64_t parked_blocks;    /* of finished requests whose batch is still running */
    uint64_t allocated, freed; /* blocks, over the whole run: allocated = freed + held */
    uint64_t peak_blocks;
    wide_sum block_time; /* Σ blocks·(time freed) − Σ blocks·(time taken), in fine time, modulo 2^128 */
};

void kv_pool_init(struct kv_pool *pool, uint64_t total_blocks, uint32_t block_tokens);

/* Takes `blocks` that are free, at times whose sum over the blocks is `times`. */
static inline void kv_pool_take(struct kv_pool *pool, uint64_t blocks, wide_sum times)
{
    pool->free_blocks -= blocks;
    pool->allocated += blocks;
    pool->block_time -= times;
    uint64_t used = pool->total_blocks - pool->free_blocks;
    if (used > pool->peak_blocks)
        pool->peak_blocks = used;
}

/* A time in nanoseconds and a rest below one, in fine time. */
static inline wide_sum kv_pool_time(sim_time now, fine_time carry)
{
    return ((wide_sum)(uint64_t)now << FINE_BITS) + carry;
}

/* Reserves blocks so that the request's cover `tokens` tokens in total. False when too few blocks are
 * free; nothing is reserved then. */
bool kv_pool_reserve(struct kv_pool *pool, struct request *r, uint32_t tokens, sim_time now);

/* Takes all of the request's blocks back, or keeps them parked until kv_pool_release_parked. */
void kv_pool_release(struct kv_pool *pool, struct request *r, sim_time now);
void kv_pool_park(struct kv_pool *pool, struct request *r);
void kv_pool_release_parked(struct kv_pool *pool, sim_time now);

/* ∫ blocks in use dt from 0 to now, in block-nanoseconds. */
double kv_pool_block_ns(const struct kv_pool *pool, sim_time now);

#endif
