/* SPDX-License-Identifier: MIT */
#include "sim/decode_set.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"

int decode_set_init(struct decode_set *set, const struct kv_layout *layout)
{
    *set = (struct decode_set){.block_tokens = layout->block_tokens,
                               .per_crossing =
                                   layout->groups.windowed == 0 ? 1 : layout->groups.full + layout->groups.windowed,
                               .layout = *layout};
    set->crossings = calloc(set->block_tokens, sizeof *set->crossings);
    if (layout->groups.windowed > 0)
        set->drops = calloc(set->block_tokens, sizeof *set->drops);
    return set->crossings && (set->drops || layout->groups.windowed == 0) && decode_set_make_room(set, 1) == 0 ? 0 : -1;
}

void decode_set_release(struct decode_set *set)
{
    free(set->heap);
    free(set->crossings);
    free(set->drops);
    free(set->ages);
    *set = (struct decode_set){0};
}

int decode_set_make_room(struct decode_set *set, size_t members)
{
    struct decode_event *heap = array_grow(set->heap, &set->capacity, members, sizeof *heap);
    if (!heap)
        return -1;
    set->heap = heap;
    struct token_age *ages = array_grow(set->ages, &set->age_capacity, members, sizeof *ages);
    if (!ages)
        return -1;
    set->ages = ages;
    return 0;
}

static void put(struct decode_set *set, size_t i, struct decode_event e)
{
    set->heap[i] = e;
    e.r->decode.place = (uint32_t)i;
}

static void sift_up(struct decode_set *set, size_t i, struct decode_event e)
{
    for (; i > 0 && e.step < set->heap[(i - 1) / 2].step; i = (i - 1) / 2)
        put(set, i, set->heap[(i - 1) / 2]);
    put(set, i, e);
}

static void sift_down(struct decode_set *set, size_t i, struct decode_event e)
{
    for (size_t child; (child = 2 * i + 1) < set->count; i = child) {
        if (child + 1 < set->count && set->heap[child + 1].step < set->heap[child].step)
            child++;
        if (e.step <= set->heap[child].step)
            break;
        put(set, i, set->heap[child]);
    }
    put(set, i, e);
}

static void take_out(struct decode_set *set, size_t i)
{
    struct decode_event last = set->heap[--set->count];
    if (i == set->count)
        return;
    if (i > 0 && last.step < set->heap[(i - 1) / 2].step)
        sift_up(set, i, last);
    else
        sift_down(set, i, last);
}

static uint32_t ring_slot(const struct decode_set *set, uint64_t step)
{
    assert(step >= set->steps && step - set->steps < set->block_tokens);
    uint32_t slot = set->ring_at + (uint32_t)(step - set->steps);
    return slot < set->block_tokens ? slot : slot - set->block_tokens;
}

/* The step that computes the member's first token beyond its blocks. */
static uint64_t next_crossing(const struct decode_set *set, const struct request *r)
{
    return set->steps + (uint64_t)r->kv_blocks * set->block_tokens - r->computed;
}

static void enter_ring(struct decode_set *set, struct request *r)
{
    r->decode.crosses = true;
    r->decode.first_crossing = next_crossing(set, r);
    uint32_t slot = ring_slot(set, r->decode.first_crossing);
    set->crossings[slot] += set->per_crossing;
    set->occupied |= (uint64_t)1 << slot % 64;
    set->crossing += set->per_crossing;
}

static void leave_ring(struct decode_set *set, struct request *r)
{
    if (!r->decode.crosses)
        return;
    r->decode.crosses = false;
    uint32_t slot = ring_slot(set, r->decode.first_crossing);
    set->crossings[slot] -= set->per_crossing;
    if (set->crossings[slot] == 0)
        set->occupied &= ~((uint64_t)1 << slot % 64);
    set->crossing -= set->per_crossing;
}

/* The step after which a windowed group can do without the member's block number `block`. */
static uint64_t step_that_leaves(const struct decode_set *set, const struct request *r, uint64_t block)
{
    uint64_t computed = set->layout.groups.window - 1 + (block + 1) * set->block_tokens;
    return set->steps + computed - 1 - r->computed;
}

/* The step after which its windowed groups have a block less: until then, blocks that leave the window take the place
 * of those that are reserved long ahead. */
static uint64_t next_drop(const struct decode_set *set, const struct request *r)
{
    return step_that_leaves(set, r, r->kv_blocks - r->kv_window);
}

static bool shares_window(const struct request *r)
{
    return r->kv_left < r->unit_blocks;
}

static void enter_drops(struct decode_set *set, struct request *r)
{
    r->decode.drops = true;
    r->decode.first_drop = next_drop(set, r);
    set->drops[ring_slot(set, r->decode.first_drop)]++;
}

static void leave_drops(struct decode_set *set, struct request *r)
{
    r->decode.drops = false;
    set->drops[ring_slot(set, r->decode.first_drop)]--;
}

/* Where layers have windows, when its windowed groups next need looking at. */
static uint64_t next_window_look(const struct decode_set *set, const struct request *r)
{
    if (shares_window(r))
        return step_that_leaves(set, r, r->kv_left) + 1;
    return r->decode.drops ? UINT64_MAX : next_drop(set, r);
}

/* A member that has ended stands there for one step more, which is a waste. */
static uint32_t steps_left(const struct request *r)
{
    return r->ended ? 1 : r->output_tokens - r->generated;
}

/* When it next needs looking at: its last token, the end of blocks reserved long ahead, or what leaves its window. */
static uint64_t next_look(const struct decode_set *set, const struct request *r)
{
    uint64_t look = set->steps + steps_left(r);
    if (!r->decode.crosses) {
        uint64_t crossing = next_crossing(set, r);
        look = crossing < look ? crossing : look;
    }
    if (set->drops) {
        uint64_t window = next_window_look(set, r);
        look = window < look ? window : look;
    }
    return look;
}

static void add_age(struct decode_set *set, sim_time at)
{
    size_t i = set->age_count;
    while (i > 0 && set->ages[i - 1].at > at)
        i--;
    if (i > 0 && set->ages[i - 1].at == at) {
        set->ages[i - 1].count++;
        return;
    }
    for (size_t k = set->age_count++; k > i; k--)
        set->ages[k] = set->ages[k - 1];
    set->ages[i] = (struct token_age){.at = at, .count = 1};
}

static void drop_age(struct decode_set *set, sim_time at)
{
    size_t i = 0;
    while (set->ages[i].at != at)
        i++;
    assert(i < set->age_count);
    if (--set->ages[i].count > 0)
        return;
    for (set->age_count--; i < set->age_count; i++)
        set->ages[i] = set->ages[i + 1];
}

static uint64_t computed_now(const struct decode_set *set, const struct request *r)
{
    return r->computed + (set->steps - r->decode.since_step);
}

uint64_t decode_set_longest(struct decode_set *set)
{
    if (set->longest == 0) {
        for (size_t i = 0; i < set->count; i++)
            if (set->longest < computed_now(set, set->heap[i].r))
                set->longest = computed_now(set, set->heap[i].r);
        set->longest_at = set->steps;
    }
    return set->longest + (set->steps - set->longest_at);
}

void decode_set_join(struct decode_set *set, struct request *r)
{
    assert(set->count < set->capacity && set->age_count < set->age_capacity);
    r->decode = (struct decode_member){
        .in = true, .since_step = set->steps, .own = set->own, .stepping = set->stepping, .stall = set->stall};
    set->kv_tokens += r->computed;
    if (set->longest > 0 && r->computed > decode_set_longest(set)) {
        set->longest = r->computed;
        set->longest_at = set->steps;
    }
    if (next_crossing(set, r) - set->steps < set->block_tokens && next_crossing(set, r) - set->steps < steps_left(r))
        enter_ring(set, r);
    if (set->drops && !shares_window(r) && next_drop(set, r) - set->steps < set->block_tokens)
        enter_drops(set, r);
    add_age(set, r->last_token);
    struct decode_event e = {.step = next_look(set, r), .r = r};
    sift_up(set, set->count++, e);
}

/* What has left the window of a member whose computed tokens are up to date. */
static void settle_window(const struct decode_set *set, struct request *r)
{
    struct decode_member *m = &r->decode;
    if (m->drops && set->steps > m->first_drop) {
        uint64_t blocks = 1 + (set->steps - 1 - m->first_drop) / set->block_tokens;
        r->kv_window -= (uint32_t)blocks;
        m->first_drop += blocks * set->block_tokens;
    }
    uint32_t left = (uint32_t)kv_layout_left(&set->layout, r->computed);
    if (!shares_window(r) && left > r->kv_left)
        r->kv_left = left;
}

void decode_set_settle(struct decode_set *set, struct request *r)
{
    struct decode_member *m = &r->decode;
    uint32_t steps = (uint32_t)(set->steps - m->since_step);
    if (steps > 0) {
        r->computed += steps;
        r->generated += steps;
        r->last_token = set->last_token;
        if (r->computed > r->peak_computed)
            r->peak_computed = r->computed;
    }
    if (m->crosses && set->steps > m->first_crossing) {
        uint64_t blocks = 1 + (set->steps - 1 - m->first_crossing) / set->block_tokens;
        r->kv_blocks += (uint32_t)blocks;
        r->kv_window += set->drops ? (uint32_t)blocks : 0;
        m->first_crossing += blocks * set->block_tokens;
    }
    if (set->drops)
        settle_window(set, r);
    m->since_step = set->steps;
    sim_time stepping = set->stepping - m->stepping, own = (sim_time)((set->own - m->own) >> FINE_BITS);
    if (own > stepping)
        own = stepping; /* which was rounded at other places */
    r->parts[PART_DECODE_OWN] += own;
    r->parts[PART_DECODE_INTERFERENCE] += stepping - own;
    r->parts[PART_DECODE_STALL] += set->stall - m->stall;
    m->own = set->own;
    m->stepping = set->stepping;
    m->stall = set->stall;
}

void decode_set_leave(struct decode_set *set, struct request *r)
{
    decode_set_settle(set, r);
    leave_ring(set, r);
    if (r->decode.drops)
        leave_drops(set, r);
    drop_age(set, r->last_token);
    set->kv_tokens -= r->computed;
    if (set->longest > 0 && r->computed == decode_set_longest(set))
        set->longest = 0;
    take_out(set, r->decode.place);
    r->decode.in = false;
}

struct window_step decode_set_window_step(const struct decode_set *set, uint64_t i)
{
    uint32_t slot = (set->ring_at + (uint32_t)i) % set->block_tokens;
    return (struct window_step){.taken = set->crossings[slot],
                                .left = (uint64_t)set->drops[slot] * set->layout.groups.windowed};
}

uint64_t decode_set_windowed_steps_within(const struct decode_set *set, uint64_t free_blocks, uint64_t awaited,
                                          uint64_t most)
{
    if (awaited == UINT64_MAX && set->crossing * (most / set->block_tokens + 1) <= free_blocks)
        return most;
    for (uint64_t i = 0; i < most; i++) {
        struct window_step step = decode_set_window_step(set, i);
        if (step.taken > free_blocks)
            return i;
        free_blocks = free_blocks - step.taken + step.left;
        if (free_blocks > awaited)
            return i + 1;
    }
    return most;
}

uint64_t decode_set_steps_within(const struct decode_set *set, uint64_t free_blocks, uint64_t most)
{
    if (set->crossing * (most / set->block_tokens + 1) <= free_blocks)
        return most;
    uint64_t rounds = free_blocks / set->crossing, needed = rounds * set->crossing;
    uint64_t steps = rounds * set->block_tokens;
    for (uint32_t slot = set->ring_at; steps < most; steps++) {
        needed += set->crossings[slot];
        if (needed > free_blocks)
            break;
        slot = slot + 1 < set->block_tokens ? slot + 1 : 0;
    }
    return steps < most ? steps : most;
}

/* The position of the lowest bit that is set, by what gcc and clang have for an instruction that C17 has no name
 * for. */
static unsigned lowest_bit(uint64_t v)
{
    return (unsigned)__builtin_ctzll(v);
}

static void count_crossing(const struct decode_set *set, uint64_t step, uint32_t slot, struct crossing_sums *sums)
{
    uint64_t blocks = set->crossings[slot - (slot >= set->block_tokens) * set->block_tokens];
    sums->blocks += blocks;
    sums->steps += blocks * step;
    sums->pairs += blocks * (step * (step - 1) / 2);
}

/* Round by round, visiting only places that are taken. */
static void sum_small_ring(const struct decode_set *set, uint64_t first, uint64_t last, struct crossing_sums *sums)
{
    uint32_t size = set->block_tokens, start = (set->ring_at + (uint32_t)first) % size;
    uint64_t ahead = set->occupied >> start; /* bit i: the place i further on */
    if (start > 0)
        ahead |= set->occupied << (size - start);
    for (uint64_t step = first; step < last; step += size) {
        uint64_t in_round = last - step < size ? last - step : size;
        uint64_t left = ahead & (UINT64_MAX >> (64 - in_round));
        for (; left; left &= left - 1) {
            uint32_t i = lowest_bit(left);
            count_crossing(set, step + i, start + i, sums);
        }
    }
}

struct crossing_sums decode_set_crossings(const struct decode_set *set, uint64_t first, uint64_t last)
{
    struct crossing_sums sums = {0};
    if (set->crossing == 0 || first >= last)
        return sums;
    if (set->block_tokens <= 64) {
        sum_small_ring(set, first, last, &sums);
        return sums;
    }
    uint32_t slot = (set->ring_at + (uint32_t)first) % set->block_tokens;
    for (uint64_t step = first; step < last; step++) {
        if (set->crossings[slot])
            count_crossing(set, step, slot, &sums);
        slot = slot + 1 < set->block_tokens ? slot + 1 : 0;
    }
    return sums;
}

void decode_set_advance(struct decode_set *set, uint64_t n, sim_time end)
{
    set->steps += n;
    set->ring_at += (uint32_t)n;
    if (set->ring_at >= set->block_tokens)
        set->ring_at %= set->block_tokens;
    set->kv_tokens += n * set->count;
    set->last_token = end;
    set->ages[0] = (struct token_age){.at = end, .count = (uint32_t)set->count};
    set->age_count = 1;
}

/* A settled member enters the rings that it has reached, and is looked at again when it has to be. */
void decode_set_watch(struct decode_set *set, struct request *r)
{
    if (!r->decode.crosses && next_crossing(set, r) == set->steps)
        enter_ring(set, r); /* its reserved blocks are full: from now on one more at a time */
    if (set->drops && !r->decode.drops && !shares_window(r) && next_drop(set, r) - set->steps < set->block_tokens)
        enter_drops(set, r);
    take_out(set, r->decode.place);
    sift_up(set, set->count, (struct decode_event){.step = next_look(set, r), .r = r});
    set->count++;
}

struct request *decode_set_due(struct decode_set *set)
{
    while (set->count > 0 && set->heap[0].step == set->steps) {
        struct request *r = set->heap[0].r;
        decode_set_settle(set, r);
        if (r->generated == r->output_tokens ||
            (set->drops && shares_window(r) && r->kv_left < kv_layout_left(&set->layout, r->computed)))
            return r;
        decode_set_watch(set, r);
    }
    return NULL;
}
