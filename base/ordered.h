/* SPDX-License-Identifier: MIT */
/* ordered.h — things kept in order while they come and go: insertion, removal and both ends in O(log n).
 *
 * A treap (Seidel and Aragon 1996): a search tree by place that is a heap by a hash of the place, so its shape is that
 * of a tree built in random order, the same in every run. A node is part of the thing that it orders; nothing is
 * allocated. */
#ifndef TANDEM_BASE_ORDERED_H
#define TANDEM_BASE_ORDERED_H

#include <stdbool.h>

#include "base/units.h"

/* A thing's place: by key, then by time, then by number. No two things in one order have the same place. */
struct ordered {
    struct ordered *up, *left, *right;
    double key;
    sim_time time;
    uint64_t number;
};

/* Whether a stands before b. */
static inline bool ordered_before(const struct ordered *a, const struct ordered *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    return a->time != b->time ? a->time < b->time : a->number < b->number;
}

/* Puts a thing into the order whose root is *root (NULL: an empty one), by the place that is set in it. Returns what
 * stands right after it, NULL when it is the last. */
struct ordered *ordered_insert(struct ordered **root, struct ordered *o);

void ordered_remove(struct ordered **root, struct ordered *o);

/* The ends of an order; NULL when it is empty. */
struct ordered *ordered_first(struct ordered *root);
struct ordered *ordered_last(struct ordered *root);

/* What stands right after it; NULL when it is the last. */
struct ordered *ordered_next(const struct ordered *o);

/* What has the same place as `o`, or NULL. */
struct ordered *ordered_find(struct ordered *root, const struct ordered *o);

#endif
