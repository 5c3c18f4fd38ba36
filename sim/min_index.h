/* SPDX-License-Identifier: MIT */
/* min_index.h — which of N slots has the smallest key, kept up to date as keys change one at a time.
 *
 * A winner tree (Knuth, TAOCP 3, 5.4.1): every inner node holds the smaller of its two children, so a change
 * costs log₂ N comparisons along one path and never allocates. It is the event list (a slot per station, keyed by
 * when it acts next) and the router's index (a slot per replica, keyed by its load). Equal keys: the lower slot. */
#ifndef TANDEM_SIM_MIN_INDEX_H
#define TANDEM_SIM_MIN_INDEX_H

#include <stdbool.h>
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

static inline uint64_t min_index_key(const struct min_index *index, size_t slot)
{
    return index->nodes[index->leaves + slot].key;
}

/* On the way up the winner so far stays in registers; only its rival is read. The left one of equals wins, so a left
 * rival (of an odd node) also wins a tie. */
static inline void min_index_set(struct min_index *index, size_t slot, uint64_t key)
{
    struct min_index_node *nodes = index->nodes;
    size_t i = index->leaves + slot;
    nodes[i].key = key;
    uint64_t winner = slot;
    for (; i > 1; i /= 2) {
        uint64_t rival_key = nodes[i ^ 1].key, rival = nodes[i ^ 1].slot;
        bool wins = rival_key < key || (rival_key == key && (i & 1));
        key = wins ? rival_key : key;
        winner = wins ? rival : winner;
        nodes[i / 2].key = key;
        nodes[i / 2].slot = winner;
    }
}

#endif
