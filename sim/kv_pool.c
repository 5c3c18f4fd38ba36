/* SPDX-License-Identifier: MIT */
#include "sim/kv_pool.h"

void kv_pool_init(struct kv_pool *pool, uint64_t total_blocks, uint32_t block_tokens)
{
    *pool = (struct kv_pool){.block_tokens = block_tokens, .total_blocks = total_blocks, .free_blocks = total_blocks};
}

bool kv_pool_reserve(struct kv_pool *pool, struct request *r, uint32_t tokens, sim_time now)
{
    uint64_t wanted = ((uint64_t)tokens + pool->block_tokens - 1) / pool->block_tokens;
    if (wanted <= r->kv_blocks)
        return true;
    uint64_t more = wanted - r->kv_blocks;
    if (more > pool->free_blocks)
        return false;
    kv_pool_take(pool, more, more * kv_pool_time(now, 0));
    r->kv_blocks = (uint32_t)wanted;
    return true;
}

static void give_back(struct kv_pool *pool, uint64_t blocks, sim_time now)
{
    pool->free_blocks += blocks;
    pool->freed += blocks;
    pool->block_time += blocks * kv_pool_time(now, 0);
}

void kv_pool_release(struct kv_pool *pool, struct request *r, sim_time now)
{
    give_back(pool, r->kv_blocks, now);
    r->kv_blocks = 0;
}

void kv_pool_park(struct kv_pool *pool, struct request *r)
{
    pool->parked_blocks += r->kv_blocks;
    r->kv_blocks = 0;
}

void kv_pool_release_parked(struct kv_pool *pool, sim_time now)
{
    give_back(pool, pool->parked_blocks, now);
    pool->parked_blocks = 0;
}

double kv_pool_block_ns(const struct kv_pool *pool, sim_time now)
{
    uint64_t used = pool->total_blocks - pool->free_blocks;
    return fine_to_ns(pool->block_time + used * kv_pool_time(now, 0));
}
