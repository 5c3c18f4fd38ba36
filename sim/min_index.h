/* SPDX-License-Identifier: MIT */
/* min_index.h — which of N slots has the smallest key, kept up to date as keys change one at a time.
 *
 * A winner tree (Knuth, TAOCP 3, 5.4.1): every inner node holds the smaller of its two children, so a change
 * costs log₂ N comparisons along one path and never allocates. It is the event list (a slot per station, keyed by
 * when it acts next) and the router's index (a slot per replica, keyed by its load). Equal keys: the lower slot. */
#ifndef TANDEM_SIM_MIN_INDEX_H
#define TANDEM_SIM_MIN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define MIN_INDEX_NONE UINT64_MAX /* the key of a slot that does not take part; they all start so */

struct min_index_node {
    uint64_t key, slot;
};

struct min_index {
    struct min_index_node *nodes; /* [2·leaves]; 1 is the root, i has children 2i and 2i + 1 */
    size_t leaves;                /* a power of 2 */
};

/* For slots 0 … slots − 1. Returns 0, or -1 when memory is short. */
int min_index_init(struct min_index *index, size_t slots);
void min_index_release(struct min_index *index);

static inline struct min_index_node min_index_first(const struct min_index *index)
{
    return index->nodes[1];
}

static inline void min_index_set(struct min_index *index, size_t slot, uint64_t key)
{
    struct min_index_node *nodes = index->nodes;
    size_t i = index->leaves + slot;
    nodes[i].key = key;
    while (i > 1) {
        const struct min_index_node *left = &nodes[i & ~(size_t)1], *right = left + 1;
        i /= 2;
        nodes[i] = right->key < left->key ? *right : *left;
    }
}

#endif
