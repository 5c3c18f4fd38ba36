/* SPDX-License-Identifier: MIT */
#include "sim/kv_pool.h"

#include <stdlib.h>

enum { QUEUE_FIRST = 64 };

int kv_pool_init(struct kv_pool *pool, uint64_t total_blocks, uint32_t block_tokens, bool prefix_caching)
{
    *pool = (struct kv_pool){.block_tokens = block_tokens, .total_blocks = total_blocks, .free_blocks = total_blocks};
    if (!prefix_caching)
        return 0;
    pool->queue = calloc(QUEUE_FIRST, sizeof *pool->queue);
    if (!pool->queue)
        return -1;
    pool->queue_capacity = QUEUE_FIRST;
    pool->queue[0] = (struct kv_segment){.blocks = total_blocks};
    pool->tail = 1;
    return 0;
}

void kv_pool_destroy(struct kv_pool *pool)
{
    free(pool->queue);
    pool->queue = NULL;
}

static struct kv_segment *segment_at(const struct kv_pool *pool, uint64_t i)
{
    return &pool->queue[i & (pool->queue_capacity - 1)];
}

void kv_pool_dequeue(struct kv_pool *pool, uint64_t blocks)
{
    while (blocks > 0) {
        struct kv_segment *first = segment_at(pool, pool->head);
        uint64_t taken = first->blocks < blocks ? first->blocks : blocks;
        first->blocks -= taken;
        blocks -= taken;
        pool->head += first->blocks == 0 && pool->head + 1 < pool->tail;
    }
}

static bool grow_queue(struct kv_pool *pool)
{
    struct kv_segment *grown = calloc(2 * pool->queue_capacity, sizeof *grown);
    if (!grown)
        return false;
    for (uint64_t i = pool->head; i < pool->tail; i++)
        grown[i & (2 * pool->queue_capacity - 1)] = *segment_at(pool, i);
    free(pool->queue);
    pool->queue = grown;
    pool->queue_capacity *= 2;
    return true;
}

/* Blocks that nobody can find again join the segment before, if it is of that kind, too. Returns where they stand. */
static uint64_t enqueue(struct kv_pool *pool, struct kv_segment segment)
{
    struct kv_segment *last = segment_at(pool, pool->tail - 1);
    bool full = pool->tail - pool->head == pool->queue_capacity;
    if (full && !grow_queue(pool)) {
        pool->out_of_memory = true;
        segment.owned = false;
        last->owned = false;
    } else if (full) {
        last = segment_at(pool, pool->tail - 1);
    }
    if (!segment.owned && !last->owned) {
        last->blocks += segment.blocks;
        return pool->tail - 1;
    }
    *segment_at(pool, pool->tail) = segment;
    return pool->tail++;
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

static void count_back(struct kv_pool *pool, uint64_t blocks, sim_time now)
{
    pool->free_blocks += blocks;
    pool->freed += blocks;
    pool->block_time += blocks * kv_pool_time(now, 0);
}

static void give_back(struct kv_pool *pool, uint64_t blocks, sim_time now)
{
    count_back(pool, blocks, now);
    if (pool->queue && blocks > 0)
        enqueue(pool, (struct kv_segment){.blocks = blocks});
}

void kv_pool_release(struct kv_pool *pool, struct request *r, sim_time now)
{
    give_back(pool, r->kv_blocks, now);
    r->kv_blocks = 0;
}

void kv_pool_release_preempted(struct kv_pool *pool, struct request *r, sim_time now)
{
    count_back(pool, r->kv_blocks, now);
    r->kv_home = pool;
    if (pool->queue)
        r->kv_segment = enqueue(pool, (struct kv_segment){.owned = true,
                                                          .blocks = r->kv_blocks,
                                                          .full = r->computed / pool->block_tokens});
    r->kv_blocks = 0;
}

static bool may_find(const struct kv_pool *pool, const struct request *r)
{
    return pool->queue && r->kv_home == pool && r->kv_segment >= pool->head;
}

uint64_t kv_pool_findable(const struct kv_pool *pool, const struct request *r, uint64_t most)
{
    if (!may_find(pool, r))
        return 0;
    const struct kv_segment *s = segment_at(pool, r->kv_segment);
    if (!s->owned)
        return 0;
    uint64_t blocks = s->blocks < s->full ? s->blocks : s->full;
    return blocks < most ? blocks : most;
}

void kv_pool_reclaim(struct kv_pool *pool, struct request *r, uint64_t blocks, sim_time now)
{
    if (!may_find(pool, r))
        return;
    struct kv_segment *s = segment_at(pool, r->kv_segment);
    s->owned = false; /* what is left of it is not looked for any more */
    s->blocks -= blocks;
    pool->free_blocks -= blocks;
    pool->allocated += blocks;
    pool->block_time -= blocks * kv_pool_time(now, 0);
    r->kv_blocks = (uint32_t)blocks;
    r->computed = (uint32_t)blocks * pool->block_tokens;
    uint64_t used = pool->total_blocks - pool->free_blocks;
    if (used > pool->peak_blocks)
        pool->peak_blocks = used;
    while (pool->head + 1 < pool->tail && segment_at(pool, pool->head)->blocks == 0)
        pool->head++;
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
