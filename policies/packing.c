/* SPDX-License-Identifier: MIT */
#include "policies/packing.h"

#include <stdbool.h>

const char *const packing_names[] = {[PACK_FIRST_FIT] = "first_fit_decreasing",
                                     [PACK_BEST_FIT] = "best_fit_decreasing",
                                     [PACK_CONSTANT_VOLUME] = "to_constant_volume",
                                     [PACK_OPTIMAL] = "optimal"};

/* Longest first, by a stable insertion sort: batches are small. */
static void sort_by_length(const uint32_t *lengths, size_t count, uint32_t *order)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = i;
        for (; j > 0 && lengths[order[j - 1]] < lengths[i]; j--)
            order[j] = order[j - 1];
        order[j] = (uint32_t)i;
    }
}

/* Whether a bin with room `a` is to be taken rather than one with room `b`. */
static bool better(enum packing how, uint32_t a, uint32_t b)
{
    return how == PACK_CONSTANT_VOLUME ? a > b : how != PACK_FIRST_FIT && a < b;
}

static uint32_t choose_bin(enum packing how, uint32_t length, const uint32_t *room, uint32_t used)
{
    uint32_t chosen = used;
    for (uint32_t bin = 0; bin < used; bin++)
        if (room[bin] >= length && (chosen == used || better(how, room[bin], room[chosen])))
            chosen = bin;
    return chosen;
}

static uint32_t pack_greedily(enum packing how, const uint32_t *lengths, size_t count, uint32_t capacity,
                              uint32_t *bins, uint32_t *room, const uint32_t *order)
{
    uint32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t length = lengths[order[i]], bin = choose_bin(how, length, room, used);
        if (bin == used)
            room[used++] = capacity;
        room[bin] -= length;
        bins[order[i]] = bin;
    }
    return used;
}

/* Looking for fewer bins than `best`; what is found is kept in `kept`. */
struct search {
    const uint32_t *lengths, *order;
    size_t count;
    uint32_t capacity, best, least;
    uint32_t room[PACK_OPTIMAL_MOST], now[PACK_OPTIMAL_MOST];
    uint32_t *kept;
    uint64_t left; /* places that may still be tried: a bound on time; past it the best so far stands */
};

static void place_from(struct search *s, size_t i, uint32_t used)
{
    if (used >= s->best || s->best == s->least || s->left == 0)
        return;
    if (i == s->count) {
        s->best = used;
        for (size_t k = 0; k < s->count; k++)
            s->kept[s->order[k]] = s->now[k];
        return;
    }
    uint32_t length = s->lengths[s->order[i]];
    for (uint32_t bin = 0; bin <= used && bin + 1 < s->best; bin++) {
        bool twin = false; /* a bin with as much room as one that was tried already leads to the same */
        for (uint32_t earlier = 0; earlier < bin && bin < used && !twin; earlier++)
            twin = s->room[earlier] == s->room[bin];
        if (bin < used && (twin || s->room[bin] < length))
            continue;
        s->left -= s->left > 0;
        uint32_t before = bin == used ? s->capacity : s->room[bin];
        s->room[bin] = before - length;
        s->now[i] = bin;
        place_from(s, i + 1, used + (bin == used));
        s->room[bin] = before;
    }
}

uint32_t pack(enum packing how, const uint32_t *lengths, size_t count, uint32_t capacity, uint32_t *bins,
              uint32_t *room, uint32_t *order)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += lengths[i];
    sort_by_length(lengths, count, order);
    uint32_t used =
        pack_greedily(how == PACK_OPTIMAL ? PACK_BEST_FIT : how, lengths, count, capacity, bins, room, order);
    if (how != PACK_OPTIMAL || count > PACK_OPTIMAL_MOST)
        return used;
    struct search s = {.lengths = lengths,
                       .order = order,
                       .count = count,
                       .capacity = capacity,
                       .best = used,
                       .least = (uint32_t)((total + capacity - 1) / capacity),
                       .kept = bins,
                       .left = 1000000};
    place_from(&s, 0, 0);
    return s.best;
}
