/* SPDX-License-Identifier: MIT */
#include "sim/kv_pool.h"

void kv_pool_init(struct kv_pool *pool, uint64_t total_blocks, uint32_t block_tokens)
{
    *pool = (struct kv_pool){.block_tokens = block_tokens, .total_blocks = total_blocks, .free_blocks = total_blocks};
}

bool kv_pool_reserve(struct kv_pool *pool, struct request *r, uint32_t tokens)
{
    uint64_t wanted = ((uint64_t)tokens + pool->block_tokens - 1) / pool->block_tokens;
    if (wanted <= r->kv_blocks)
        return true;
    uint64_t more = wanted - r->kv_blocks;
    if (more > pool->free_blocks)
        return false;
    pool->free_blocks -= more;
    pool->allocated += more;
    r->kv_blocks = (uint32_t)wanted;
    uint64_t used = pool->total_blocks - pool->free_blocks;
    if (used > pool->peak_blocks)
        pool->peak_blocks = used;
    return true;
}

void kv_pool_release(struct kv_pool *pool, struct request *r)
{
    pool->free_blocks += r->kv_blocks;
    pool->freed += r->kv_blocks;
    r->kv_blocks = 0;
}

void kv_pool_park(struct kv_pool *pool, struct request *r)
{
    pool->parked_blocks += r->kv_blocks;
    r->kv_blocks = 0;
}

void kv_pool_release_parked(struct kv_pool *pool)
{
    pool->free_blocks += pool->parked_blocks;
    pool->freed += pool->parked_blocks;
    pool->parked_blocks = 0;
}
