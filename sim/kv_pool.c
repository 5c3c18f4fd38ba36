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
    if (unit_index_init(&pool->units)) {
        kv_pool_destroy(pool);
        return -1;
    }
    pool->queue_capacity = QUEUE_FIRST;
    pool->queue[0] = (struct kv_segment){.blocks = total_blocks};
    pool->tail = 1;
    return 0;
}

void kv_pool_destroy(struct kv_pool *pool)
{
    unit_index_release(&pool->units);
    free(pool->queue);
    pool->queue = NULL;
}

static struct kv_segment *segment_at(const struct kv_pool *pool, uint64_t i)
{
    return &pool->queue[i & (pool->queue_capacity - 1)];
}

/* Nobody finds its blocks any more. */
static void forget(struct kv_pool *pool, struct kv_segment *s)
{
    if (s->unit)
        unit_index_remove(&pool->units, s->unit);
    s->owned = false;
    s->unit = 0;
}

void kv_pool_dequeue(struct kv_pool *pool, uint64_t blocks)
{
    while (blocks > 0) {
        struct kv_segment *first = segment_at(pool, pool->head);
        uint64_t taken = first->blocks < blocks ? first->blocks : blocks;
        first->blocks -= taken;
        blocks -= taken;
        if (first->unit && taken > 0)
            forget(pool, first);
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

static bool can_be_found(const struct kv_segment *s)
{
    return s->owned || s->unit;
}

/* Blocks that nobody can find again join the segment before, if it is of that kind, too. Returns where they stand. */
static uint64_t enqueue(struct kv_pool *pool, struct kv_segment segment)
{
    bool full = pool->tail - pool->head == pool->queue_capacity;
    if (full && !grow_queue(pool)) {
        pool->out_of_memory = true;
        forget(pool, segment_at(pool, pool->tail - 1));
        segment.owned = false;
        segment.unit = 0;
    }
    struct kv_segment *last = segment_at(pool, pool->tail - 1);
    if (!can_be_found(&segment) && !can_be_found(last)) {
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

/* Who held last frees it: its last units first, so that a prefix outlives what follows it. */
static void leave_units(struct kv_pool *pool, struct request *r, sim_time now)
{
    struct content_unit content;
    for (uint32_t i = r->units; i-- > 0;) {
        content_unit(r, i, pool->block_tokens, &content);
        struct kv_unit *unit = content.blocks > 0 ? unit_index_find(&pool->units, content.key) : NULL;
        if (!unit || --unit->holders > 0)
            continue;
        count_back(pool, unit->blocks, now);
        unit->segment = enqueue(pool, (struct kv_segment){.blocks = unit->blocks, .unit = unit->key});
        if (segment_at(pool, unit->segment)->unit != content.key)
            unit_index_remove(&pool->units, content.key); /* memory was short */
    }
    r->units = r->unit_blocks = 0;
}

void kv_pool_release(struct kv_pool *pool, struct request *r, sim_time now)
{
    give_back(pool, r->kv_blocks - r->unit_blocks, now);
    leave_units(pool, r, now);
    r->kv_blocks = 0;
}

void kv_pool_release_preempted(struct kv_pool *pool, struct request *r, sim_time now)
{
    uint32_t own = r->kv_blocks - r->unit_blocks;
    uint64_t full = r->computed / pool->block_tokens;
    count_back(pool, own, now);
    r->kv_home = pool;
    r->units_lost = r->units;
    if (pool->queue)
        r->kv_segment = enqueue(pool, (struct kv_segment){.owned = true,
                                                          .blocks = own,
                                                          .full = full > r->unit_blocks ? full - r->unit_blocks : 0});
    leave_units(pool, r, now);
    r->kv_blocks = 0;
}

static uint32_t findable_own(const struct kv_pool *pool, const struct request *r)
{
    if (!pool->queue || r->preemptions == 0 || r->kv_home != pool || r->kv_segment < pool->head)
        return 0;
    const struct kv_segment *s = segment_at(pool, r->kv_segment);
    return s->owned ? (uint32_t)(s->blocks < s->full ? s->blocks : s->full) : 0;
}

/* Units from the first one on; then, if it has all that it had, what was its alone. */
struct kv_found kv_pool_find(const struct kv_pool *pool, const struct request *r)
{
    struct kv_found found = {0};
    struct content_unit content;
    if (!pool->queue)
        return found;
    for (; content_unit(r, found.units, pool->block_tokens, &content); found.units++) {
        const struct kv_unit *unit = content.blocks > 0 ? unit_index_find(&pool->units, content.key) : NULL;
        if (!unit && content.blocks > 0)
            break;
        if (unit && unit->holders > 0)
            found.in_use += content.blocks;
        found.unit_blocks += content.blocks;
    }
    found.blocks = found.unit_blocks;
    if (found.units == r->units_lost)
        found.blocks += findable_own(pool, r);
    return found;
}

/* Takes blocks out of the queue, wherever they stand in it. */
static void take_segment(struct kv_pool *pool, uint64_t at, uint64_t blocks, sim_time now)
{
    struct kv_segment *s = segment_at(pool, at);
    s->owned = false; /* what is left of it is not looked for any more */
    s->unit = 0;
    s->blocks -= blocks;
    pool->free_blocks -= blocks;
    pool->allocated += blocks;
    pool->block_time -= blocks * kv_pool_time(now, 0);
    uint64_t used = pool->total_blocks - pool->free_blocks;
    if (used > pool->peak_blocks)
        pool->peak_blocks = used;
    while (pool->head + 1 < pool->tail && segment_at(pool, pool->head)->blocks == 0)
        pool->head++;
}

void kv_pool_reclaim(struct kv_pool *pool, struct request *r, const struct kv_found *found, sim_time now)
{
    struct content_unit content;
    uint32_t own = found->blocks - found->unit_blocks;
    if (own > 0)
        take_segment(pool, r->kv_segment, own, now);
    else if (findable_own(pool, r) > 0)
        segment_at(pool, r->kv_segment)->owned = false;
    for (uint32_t i = 0; i < found->units; i++) {
        content_unit(r, i, pool->block_tokens, &content);
        struct kv_unit *unit = content.blocks > 0 ? unit_index_find(&pool->units, content.key) : NULL;
        if (unit && unit->holders++ == 0)
            take_segment(pool, unit->segment, unit->blocks, now);
    }
    r->units = found->units;
    r->unit_blocks = found->unit_blocks;
    r->kv_blocks = found->blocks;
}

/* Its blocks of a unit become the unit's; or, where that is held already, it holds that and gives its own back. */
static bool share_unit(struct kv_pool *pool, const struct content_unit *content, sim_time now)
{
    struct kv_unit *unit = unit_index_find(&pool->units, content->key);
    if (unit && unit->holders > 0) {
        unit->holders++;
        give_back(pool, content->blocks, now);
        return true;
    }
    if (unit)
        segment_at(pool, unit->segment)->unit = 0; /* the older copy is not found any more */
    else
        unit = unit_index_add(&pool->units, content->key);
    if (!unit) {
        pool->out_of_memory = true;
        return false;
    }
    unit->holders = 1;
    unit->blocks = content->blocks;
    return true;
}

void kv_pool_share(struct kv_pool *pool, struct request *r, sim_time now)
{
    struct content_unit content;
    uint64_t full = r->computed / pool->block_tokens;
    for (; content_unit(r, r->units, pool->block_tokens, &content); r->units++) {
        if ((uint64_t)content.first_block + content.blocks > full)
            return;
        if (content.blocks > 0 && !share_unit(pool, &content, now))
            return;
        r->unit_blocks += content.blocks;
    }
}

void kv_pool_forget(struct kv_pool *pool, sim_time now)
{
    give_back(pool, pool->total_blocks - pool->free_blocks, now);
    for (uint64_t i = pool->head; pool->queue && i < pool->tail; i++)
        forget(pool, segment_at(pool, i));
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
