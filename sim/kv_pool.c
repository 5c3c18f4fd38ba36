/* SPDX-License-Identifier: MIT */
#include "sim/kv_pool.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/error.h"
#include "base/random.h"

enum { QUEUE_FIRST = 64 };

int kv_pool_init(struct kv_pool *pool, uint64_t total_blocks, const struct kv_layout *layout, bool prefix_caching)
{
    *pool = (struct kv_pool){.layout = *layout, .total_blocks = total_blocks, .free_blocks = total_blocks};
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
    free(pool->evicted);
    free(pool->changes);
    pool->queue = NULL;
    pool->evicted = NULL;
    pool->changes = NULL;
}

static struct kv_segment *segment_at(const struct kv_pool *pool, uint64_t i)
{
    return &pool->queue[i & (pool->queue_capacity - 1)];
}

static void note_change(struct kv_pool *pool, uint64_t key, bool found)
{
    if (!pool->notes_changes)
        return;
    struct kv_change *grown = array_grow(pool->changes, &pool->change_capacity, pool->change_count + 1, sizeof *grown);
    if (!grown) {
        memory_note_failure(); /* else a router would only know less */
        return;
    }
    pool->changes = grown;
    grown[pool->change_count++] = (struct kv_change){key, found};
}

static void remove_unit(struct kv_pool *pool, uint64_t key)
{
    unit_index_remove(&pool->units, key);
    note_change(pool, key, false);
}

/* Nobody finds its blocks any more. */
static void forget(struct kv_pool *pool, struct kv_segment *s)
{
    if (s->unit)
        remove_unit(pool, s->unit);
    s->owned = false;
    s->unit = 0;
}

static void note_evicted(struct kv_pool *pool, uint64_t key)
{
    struct kv_evicted *grown =
        array_grow(pool->evicted, &pool->evicted_capacity, pool->evicted_count + 1, sizeof *grown);
    if (!grown) {
        pool->out_of_memory = true;
        return;
    }
    pool->evicted = grown;
    grown[pool->evicted_count++] = (struct kv_evicted){key, unit_index_find(&pool->units, key)->blocks};
}

uint64_t kv_pool_plain_blocks(const struct kv_pool *pool)
{
    uint64_t blocks = 0;
    for (uint64_t i = pool->head; i < pool->tail && !segment_at(pool, i)->unit; i++)
        blocks += segment_at(pool, i)->blocks;
    return blocks;
}

void kv_pool_dequeue(struct kv_pool *pool, uint64_t blocks)
{
    while (blocks > 0) {
        struct kv_segment *first = segment_at(pool, pool->head);
        uint64_t taken = first->blocks < blocks ? first->blocks : blocks;
        first->blocks -= taken;
        blocks -= taken;
        if (taken > 0 && pool->notes_evicted && first->unit)
            note_evicted(pool, first->unit);
        if (taken > 0 && (first->unit || pool->layout.groups.windowed > 0))
            forget(pool, first);
        pool->head += first->blocks == 0 && pool->head + 1 < pool->tail;
    }
}

static bool grow_queue(struct kv_pool *pool)
{
    struct kv_segment *grown = calloc(2 * pool->queue_capacity, sizeof *grown);
    if (!grown) {
        memory_note_failure(); /* else only fewer prefixes would be found */
        return false;
    }
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

static bool windowed(const struct kv_pool *pool)
{
    return pool->layout.groups.windowed > 0;
}

/* Of its units' blocks, those that its windowed groups hold, with all others who have them. */
static uint32_t shared_window(const struct request *r)
{
    return r->unit_blocks > r->kv_left ? r->unit_blocks - r->kv_left : 0;
}

/* Blocks that its windowed groups need of `blocks`; those that it shares come on top of what it has alone. */
static uint32_t window_blocks(const struct kv_pool *pool, const struct request *r, uint64_t blocks)
{
    uint32_t shared = shared_window(r), uncomputed = request_uncomputed(r), most = pool->layout.step_tokens;
    uint32_t step = uncomputed < 1 ? 1 : uncomputed < most ? uncomputed : most;
    return shared + (uint32_t)kv_layout_windowed(&pool->layout, blocks, r->kv_left + shared, step);
}

/* Blocks of the pool that it holds alone. */
static uint64_t own_blocks(const struct kv_pool *pool, const struct request *r)
{
    const struct kv_groups *g = &pool->layout.groups;
    uint64_t own = r->kv_blocks - r->unit_blocks;
    return g->windowed == 0 ? own : g->full * own + (uint64_t)g->windowed * (r->kv_window - shared_window(r));
}

/* Of a model whose layers have windows. */
static bool reserve_windowed(struct kv_pool *pool, struct request *r, uint64_t wanted, sim_time now)
{
    const struct kv_groups *g = &pool->layout.groups;
    if (r->kv_blocks == 0)
        r->kv_left = (uint32_t)kv_layout_left(&pool->layout, r->computed);
    uint32_t window = window_blocks(pool, r, wanted);
    uint64_t more = g->full * (wanted - r->kv_blocks) + (uint64_t)g->windowed * (window - r->kv_window);
    if (more > pool->free_blocks)
        return false;
    kv_pool_take(pool, more, more * kv_pool_time(now, 0));
    r->kv_blocks = (uint32_t)wanted;
    r->kv_window = window;
    return true;
}

bool kv_pool_reserve(struct kv_pool *pool, struct request *r, uint32_t tokens, sim_time now)
{
    uint64_t wanted = kv_layout_full(&pool->layout, tokens);
    if (wanted <= r->kv_blocks)
        return true;
    if (windowed(pool))
        return reserve_windowed(pool, r, wanted, now);
    uint64_t more = wanted - r->kv_blocks;
    if (more > pool->free_blocks)
        return false;
    kv_pool_take(pool, more, more * kv_pool_time(now, 0));
    r->kv_blocks = (uint32_t)wanted;
    return true;
}

static void count_back(struct kv_pool *pool, uint64_t blocks, wide_sum times)
{
    pool->free_blocks += blocks;
    pool->freed += blocks;
    pool->block_time += times;
}

void kv_pool_give_back(struct kv_pool *pool, uint64_t blocks, wide_sum times)
{
    count_back(pool, blocks, times);
    if (pool->queue && blocks > 0)
        enqueue(pool, (struct kv_segment){.blocks = blocks});
}

static void give_back(struct kv_pool *pool, uint64_t blocks, sim_time now)
{
    kv_pool_give_back(pool, blocks, blocks * kv_pool_time(now, 0));
}

/* A block of a unit in the windowed groups. */
static uint64_t window_key(const struct content_unit *content, uint32_t block)
{
    uint64_t key = random_mix(random_mix(content->key) + (block - content->first_block));
    return key ? key : 1;
}

/* The blocks of a unit, or of one place in the windowed groups; the last one who held them frees them. */
static void leave_blocks(struct kv_pool *pool, uint64_t key, sim_time now)
{
    struct kv_unit *unit = unit_index_find(&pool->units, key);
    if (!unit || --unit->holders > 0)
        return;
    count_back(pool, unit->blocks, unit->blocks * kv_pool_time(now, 0));
    unit->segment = enqueue(pool, (struct kv_segment){.blocks = unit->blocks, .unit = key});
    if (segment_at(pool, unit->segment)->unit != key)
        remove_unit(pool, key); /* memory was short */
}

/* Its last units first, so that a prefix outlives what follows it. */
static void leave_units(struct kv_pool *pool, struct request *r, sim_time now)
{
    struct content_unit content;
    for (uint32_t i = r->units; i-- > 0;) {
        content_unit(r, i, pool->layout.block_tokens, &content);
        if (content.blocks > 0 && pool->layout.groups.full > 0)
            leave_blocks(pool, content.key, now);
        uint32_t end = content.first_block + content.blocks;
        for (uint32_t b = end; windowed(pool) && b > content.first_block && b > r->kv_left; b--)
            leave_blocks(pool, window_key(&content, b - 1), now);
    }
    r->units = r->unit_blocks = 0;
}

static void hold_nothing(struct request *r)
{
    r->kv_blocks = r->kv_window = r->kv_left = 0;
}

void kv_pool_release(struct kv_pool *pool, struct request *r, sim_time now)
{
    give_back(pool, own_blocks(pool, r), now);
    if (r->units > 0)
        leave_units(pool, r, now);
    hold_nothing(r);
}

/* Whole blocks of its own that it can find again. Windowed groups must have all that its next token sees. */
static uint64_t full_own(const struct kv_pool *pool, const struct request *r)
{
    uint64_t full = r->computed / pool->layout.block_tokens;
    if (full <= r->unit_blocks ||
        (windowed(pool) && kv_layout_left(&pool->layout, full * pool->layout.block_tokens) < r->kv_left))
        return 0;
    return full - r->unit_blocks;
}

void kv_pool_release_preempted(struct kv_pool *pool, struct request *r, sim_time now)
{
    uint64_t own = own_blocks(pool, r);
    count_back(pool, own, own * kv_pool_time(now, 0));
    r->kv_home = pool;
    r->units_lost = r->units;
    if (pool->queue)
        r->kv_segment = enqueue(pool, (struct kv_segment){.owned = true, .blocks = own, .full = full_own(pool, r)});
    if (r->units > 0)
        leave_units(pool, r, now);
    hold_nothing(r);
}

/* The unit that a block belongs to. */
static void unit_of_block(const struct kv_pool *pool, const struct request *r, uint32_t block,
                          struct content_unit *content)
{
    uint32_t low = 0, high = r->units - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        content_unit(r, middle, pool->layout.block_tokens, content);
        if (content->first_block <= block)
            low = middle;
        else
            high = middle - 1;
    }
    content_unit(r, low, pool->layout.block_tokens, content);
}

void kv_pool_slide(struct kv_pool *pool, struct request *r, sim_time now)
{
    uint32_t left = (uint32_t)kv_layout_left(&pool->layout, r->computed);
    struct content_unit content;
    for (uint32_t b = left < r->unit_blocks ? left : r->unit_blocks; b > r->kv_left; b--, r->kv_window--) {
        unit_of_block(pool, r, b - 1, &content);
        leave_blocks(pool, window_key(&content, b - 1), now);
    }
    if (r->kv_left < left)
        r->kv_left = left;
    uint32_t window = window_blocks(pool, r, r->kv_blocks);
    give_back(pool, (uint64_t)pool->layout.groups.windowed * (r->kv_window - window), now);
    r->kv_window = window;
}

static uint32_t findable_own(const struct kv_pool *pool, const struct request *r)
{
    if (!pool->queue || r->preemptions == 0 || r->kv_home != pool || r->kv_segment < pool->head)
        return 0;
    const struct kv_segment *s = segment_at(pool, r->kv_segment);
    return s->owned ? (uint32_t)(s->blocks < s->full ? s->blocks : s->full) : 0;
}

/* Of the request's first `blocks`, those that windowed groups need not have when they are found: it computes its newest
 * token at least. */
static uint32_t left_when_found(const struct kv_pool *pool, const struct request *r, uint32_t blocks)
{
    uint32_t most = (r->prompt_tokens + r->generated - 1) / pool->layout.block_tokens;
    return (uint32_t)kv_layout_left(&pool->layout,
                                    (uint64_t)(blocks < most ? blocks : most) * pool->layout.block_tokens);
}

static uint64_t held_by_others(const struct kv_pool *pool, uint64_t key)
{
    const struct kv_unit *unit = unit_index_find(&pool->units, key);
    return unit && unit->holders > 0 ? unit->blocks : 0;
}

static uint64_t found_in_use(const struct kv_pool *pool, const struct request *r, const struct kv_found *found)
{
    struct content_unit content;
    uint64_t in_use = 0;
    for (uint32_t i = 0; i < found->units; i++) {
        content_unit(r, i, pool->layout.block_tokens, &content);
        if (content.blocks > 0 && pool->layout.groups.full > 0)
            in_use += held_by_others(pool, content.key);
        uint32_t first = content.first_block > found->left ? content.first_block : found->left;
        for (uint32_t b = first; b < content.first_block + content.blocks; b++)
            in_use += held_by_others(pool, window_key(&content, b));
    }
    return in_use;
}

/* As far as the groups that keep every token have its units, and before the end the windowed groups have all they
 * need: `from` is the first of the blocks in a row, up to here, that they have. */
static struct kv_found find_windowed(const struct kv_pool *pool, const struct request *r)
{
    struct kv_found here = {0}, best = {0};
    struct content_unit content;
    uint32_t from = 0;
    for (; content_unit(r, here.units, pool->layout.block_tokens, &content); here.units++) {
        if (content.blocks > 0 && pool->layout.groups.full > 0 && !unit_index_find(&pool->units, content.key))
            break;
        for (uint32_t b = content.first_block; b < content.first_block + content.blocks; b++)
            if (!unit_index_find(&pool->units, window_key(&content, b)))
                from = b + 1;
        here.unit_blocks = here.blocks = here.unit_blocks + content.blocks;
        if (from <= left_when_found(pool, r, here.blocks))
            best = (struct kv_found){.units = here.units + 1, .unit_blocks = here.unit_blocks, .blocks = here.blocks};
    }
    uint32_t own = here.units == r->units_lost ? findable_own(pool, r) : 0;
    if (own > 0 && from <= left_when_found(pool, r, here.unit_blocks + own)) {
        here.blocks = here.unit_blocks + own;
        best = here;
    }
    best.left = left_when_found(pool, r, best.blocks);
    best.in_use = found_in_use(pool, r, &best);
    return best;
}

/* Units from the first one on; then, if it has all that it had, what was its alone. */
struct kv_found kv_pool_find(const struct kv_pool *pool, const struct request *r)
{
    struct kv_found found = {0};
    struct content_unit content;
    if (!pool->queue)
        return found;
    if (windowed(pool))
        return find_windowed(pool, r);
    for (; content_unit(r, found.units, pool->layout.block_tokens, &content); found.units++) {
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

static void hold_blocks(struct kv_pool *pool, uint64_t key, sim_time now)
{
    struct kv_unit *unit = unit_index_find(&pool->units, key);
    if (unit && unit->holders++ == 0)
        take_segment(pool, unit->segment, unit->blocks, now);
}

static void hold_unit(struct kv_pool *pool, const struct content_unit *content, uint32_t left, sim_time now)
{
    if (content->blocks > 0 && pool->layout.groups.full > 0)
        hold_blocks(pool, content->key, now);
    uint32_t first = content->first_block > left ? content->first_block : left;
    for (uint32_t b = first; windowed(pool) && b < content->first_block + content->blocks; b++)
        hold_blocks(pool, window_key(content, b), now);
}

/* Blocks of the pool among what was its alone. */
static uint64_t own_found(const struct kv_pool *pool, const struct kv_found *found)
{
    const struct kv_groups *g = &pool->layout.groups;
    uint64_t own = found->blocks - found->unit_blocks;
    uint32_t first = found->left > found->unit_blocks ? found->left : found->unit_blocks;
    return g->windowed == 0 ? own : g->full * own + (uint64_t)g->windowed * (found->blocks - first);
}

void kv_pool_reclaim(struct kv_pool *pool, struct request *r, const struct kv_found *found, sim_time now)
{
    struct content_unit content;
    if (found->blocks > found->unit_blocks)
        take_segment(pool, r->kv_segment, own_found(pool, found), now);
    else if (findable_own(pool, r) > 0)
        segment_at(pool, r->kv_segment)->owned = false;
    for (uint32_t i = 0; i < found->units; i++) {
        content_unit(r, i, pool->layout.block_tokens, &content);
        hold_unit(pool, &content, found->left, now);
    }
    r->units = found->units;
    r->unit_blocks = found->unit_blocks;
    r->kv_blocks = found->blocks;
    r->kv_left = found->left;
    r->kv_window = windowed(pool) ? found->blocks - found->left : 0;
}

/* Blocks of the request become those of a key; or, where that is held already, it holds that and gives its own back. */
static void share_blocks(struct kv_pool *pool, uint64_t key, uint32_t blocks, sim_time now)
{
    struct kv_unit *unit = unit_index_find(&pool->units, key);
    if (unit && unit->holders > 0) {
        unit->holders++;
        give_back(pool, blocks, now);
        return;
    }
    if (unit) {
        segment_at(pool, unit->segment)->unit = 0; /* the older copy is not found any more */
    } else {
        unit = unit_index_add(&pool->units, key); /* for which there is room */
        note_change(pool, key, true);
    }
    unit->holders = 1;
    unit->blocks = blocks;
}

/* A unit whose blocks it has computed, in all groups. False, and nothing is shared, when memory is short. */
static bool share_unit(struct kv_pool *pool, const struct request *r, const struct content_unit *content, sim_time now)
{
    const struct kv_groups *g = &pool->layout.groups;
    uint32_t first = content->first_block > r->kv_left ? content->first_block : r->kv_left;
    if (content->blocks == 0)
        return true;
    if (unit_index_make_room(&pool->units, g->windowed == 0 ? 1 : (size_t)content->blocks + 1)) {
        pool->out_of_memory = true;
        return false;
    }
    if (g->full > 0)
        share_blocks(pool, content->key, g->full * content->blocks, now);
    for (uint32_t b = first; g->windowed > 0 && b < content->first_block + content->blocks; b++)
        share_blocks(pool, window_key(content, b), g->windowed, now);
    return true;
}

void kv_pool_share(struct kv_pool *pool, struct request *r, uint32_t computed, sim_time now)
{
    struct content_unit content;
    uint64_t full = computed / pool->layout.block_tokens;
    if (windowed(pool) && r->kv_window < r->kv_blocks - r->kv_left)
        return; /* its blocks are used again for what it has reserved further ahead */
    for (; content_unit(r, r->units, pool->layout.block_tokens, &content); r->units++) {
        if ((uint64_t)content.first_block + content.blocks > full)
            return;
        if (!share_unit(pool, r, &content, now))
            return;
        r->unit_blocks += content.blocks;
    }
}

static void unshare_blocks(struct kv_pool *pool, uint64_t key, sim_time now)
{
    struct kv_unit *unit = unit_index_find(&pool->units, key);
    if (!unit || --unit->holders > 0)
        return;
    give_back(pool, unit->blocks, now);
    remove_unit(pool, key);
}

void kv_pool_unshare(struct kv_pool *pool, struct request *r, sim_time now)
{
    struct content_unit content;
    uint64_t full = r->computed / pool->layout.block_tokens;
    for (; r->units > 0; r->units--) {
        content_unit(r, r->units - 1, pool->layout.block_tokens, &content);
        uint32_t end = content.first_block + content.blocks;
        if (end <= full)
            return;
        if (content.blocks > 0 && pool->layout.groups.full > 0)
            unshare_blocks(pool, content.key, now);
        for (uint32_t b = end; windowed(pool) && b > content.first_block && b > r->kv_left; b--, r->kv_window--)
            unshare_blocks(pool, window_key(&content, b - 1), now);
        r->kv_blocks -= content.blocks;
        r->unit_blocks -= content.blocks;
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
    pool->parked_blocks += kv_pool_held(pool, r);
    hold_nothing(r);
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
