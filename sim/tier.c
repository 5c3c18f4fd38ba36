/* SPDX-License-Identifier: MIT */
#include "sim/tier.h"

#include <stdlib.h>

#include "base/array.h"

#define NOWHERE SIZE_MAX

int tier_store_init(struct tier_store *s, uint64_t capacity, enum tier_eviction evict)
{
    *s = (struct tier_store){.capacity = capacity, .evict = evict, .oldest = NOWHERE, .newest = NOWHERE};
    return unit_index_init(&s->index);
}

void tier_store_release(struct tier_store *s)
{
    free(s->units);
    free(s->vacant);
    unit_index_release(&s->index);
    *s = (struct tier_store){0};
}

static struct tier_unit *find(const struct tier_store *s, uint64_t key)
{
    const struct kv_unit *at = unit_index_find(&s->index, key);
    return at ? &s->units[at->segment] : NULL;
}

bool tier_store_has(const struct tier_store *s, uint64_t key)
{
    const struct tier_unit *u = find(s, key);
    return u && u->arrived;
}

bool tier_store_knows(const struct tier_store *s, uint64_t key)
{
    return find(s, key) != NULL;
}

static void link_newest(struct tier_store *s, struct tier_unit *u)
{
    size_t place = (size_t)(u - s->units);
    u->older = s->newest;
    u->newer = NOWHERE;
    *(s->newest == NOWHERE ? &s->oldest : &s->units[s->newest].newer) = place;
    s->newest = place;
}

static void unlink_unit(struct tier_store *s, const struct tier_unit *u)
{
    *(u->older == NOWHERE ? &s->oldest : &s->units[u->older].newer) = u->newer;
    *(u->newer == NOWHERE ? &s->newest : &s->units[u->newer].older) = u->older;
}

void tier_store_use(struct tier_store *s, uint64_t key)
{
    struct tier_unit *u = find(s, key);
    if (!u || !u->arrived || s->evict == TIER_FIFO)
        return;
    unlink_unit(s, u);
    link_newest(s, u);
}

static void forget(struct tier_store *s, const struct tier_unit *u)
{
    s->held -= u->bytes;
    unit_index_remove(&s->index, u->key);
    s->vacant[s->vacant_count++] = (size_t)(u - s->units); /* there is room for every place */
}

bool tier_store_evict(struct tier_store *s, struct tier_unit *out)
{
    if (s->oldest == NOWHERE)
        return false;
    struct tier_unit *u = &s->units[s->oldest];
    *out = *u;
    unlink_unit(s, u);
    forget(s, u);
    return true;
}

void tier_store_forget(struct tier_store *s, uint64_t key)
{
    const struct tier_unit *u = find(s, key);
    if (!u || !u->arrived)
        return;
    unlink_unit(s, u);
    forget(s, u);
}

/* A place for one unit more, or NOWHERE when memory is short. */
static size_t take_place(struct tier_store *s)
{
    if (s->vacant_count > 0)
        return s->vacant[--s->vacant_count];
    struct tier_unit *units = array_grow(s->units, &s->room, s->used + 1, sizeof *units);
    if (!units)
        return NOWHERE;
    s->units = units;
    size_t *vacant = array_grow(s->vacant, &s->vacant_room, s->used + 1, sizeof *vacant);
    if (!vacant)
        return NOWHERE;
    s->vacant = vacant;
    return s->used++;
}

int tier_store_expect(struct tier_store *s, uint64_t key, uint64_t bytes)
{
    size_t place = unit_index_make_room(&s->index, 1) ? NOWHERE : take_place(s);
    if (place == NOWHERE)
        return -1;
    s->units[place] = (struct tier_unit){.key = key, .bytes = bytes};
    unit_index_add(&s->index, key)->segment = place;
    s->held += bytes;
    return 0;
}

void tier_store_arrive(struct tier_store *s, uint64_t key)
{
    struct tier_unit *u = find(s, key);
    if (!u || u->arrived)
        return;
    u->arrived = true;
    link_newest(s, u);
}

uint64_t tier_store_drop(struct tier_store *s, uint64_t key)
{
    struct tier_unit *u = find(s, key);
    if (!u || u->arrived)
        return 0;
    uint64_t bytes = u->bytes;
    forget(s, u);
    return bytes;
}
