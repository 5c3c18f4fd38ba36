/* SPDX-License-Identifier: MIT */
#include "sim/unit_index.h"

#include <stdlib.h>

enum { FIRST_PLACES = 64 };

int unit_index_init(struct unit_index *index)
{
    *index = (struct unit_index){.places = calloc(FIRST_PLACES, sizeof *index->places), .capacity = FIRST_PLACES};
    return index->places ? 0 : -1;
}

void unit_index_release(struct unit_index *index)
{
    free(index->places);
    *index = (struct unit_index){0};
}

/* Keys are spread evenly already. */
static size_t home_of(const struct unit_index *index, uint64_t key)
{
    return (size_t)key & (index->capacity - 1);
}

/* Where the key stands, or the empty place where it would. */
static size_t place_of(const struct unit_index *index, uint64_t key)
{
    size_t i = home_of(index, key);
    while (index->places[i].key && index->places[i].key != key)
        i = (i + 1) & (index->capacity - 1);
    return i;
}

struct kv_unit *unit_index_find(const struct unit_index *index, uint64_t key)
{
    struct kv_unit *unit = &index->places[place_of(index, key)];
    return unit->key ? unit : NULL;
}

static int grow(struct unit_index *index)
{
    struct unit_index bigger = {.places = calloc(2 * index->capacity, sizeof *bigger.places),
                                .count = index->count,
                                .capacity = 2 * index->capacity};
    if (!bigger.places)
        return -1;
    for (size_t i = 0; i < index->capacity; i++)
        if (index->places[i].key)
            bigger.places[place_of(&bigger, index->places[i].key)] = index->places[i];
    free(index->places);
    *index = bigger;
    return 0;
}

int unit_index_make_room(struct unit_index *index, size_t more)
{
    while (2 * (index->count + more) > index->capacity)
        if (grow(index))
            return -1;
    return 0;
}

struct kv_unit *unit_index_add(struct unit_index *index, uint64_t key)
{
    if (unit_index_make_room(index, 1))
        return NULL;
    struct kv_unit *unit = &index->places[place_of(index, key)];
    *unit = (struct kv_unit){.key = key};
    index->count++;
    return unit;
}

void unit_index_remove(struct unit_index *index, uint64_t key)
{
    size_t mask = index->capacity - 1, gap = place_of(index, key);
    for (size_t i = (gap + 1) & mask; index->places[i].key; i = (i + 1) & mask) {
        size_t home = home_of(index, index->places[i].key);
        if (((i - home) & mask) < ((i - gap) & mask))
            continue; /* it may not stand before its home */
        index->places[gap] = index->places[i];
        gap = i;
    }
    index->places[gap].key = 0;
    index->count--;
}
