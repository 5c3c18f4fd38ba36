/* SPDX-License-Identifier: MIT */
/* unit_index.h — the units of shared KV that a pool holds, by what they hold (workloads/content.h). An open-addressed
 * hash table with linear probing; a removed entry's place is filled by those behind it (Knuth, TAOCP 3, 6.4, R). */
#ifndef TANDEM_SIM_UNIT_INDEX_H
#define TANDEM_SIM_UNIT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_unit {
    uint64_t key;     /* 0: an empty place */
    uint64_t segment; /* where its blocks stand in the queue of free ones, when nobody holds it */
    uint32_t holders, blocks;
};

struct unit_index {
    struct kv_unit *places; /* [capacity], at most half of them taken */
    size_t count, capacity; /* a power of 2 */
};

/* Returns 0, or -1 when memory is short. */
int unit_index_init(struct unit_index *index);
void unit_index_release(struct unit_index *index);

/* The unit of a key, or NULL; valid until the next change. */
struct kv_unit *unit_index_find(const struct unit_index *index, uint64_t key);

/* Makes room for so many more keys, which can be added then. Returns 0, or -1 when memory is short. */
int unit_index_make_room(struct unit_index *index, size_t more);

/* Adds a key that is not in it. NULL when memory is short. */
struct kv_unit *unit_index_add(struct unit_index *index, uint64_t key);

/* Removes a key that is in it. */
void unit_index_remove(struct unit_index *index, uint64_t key);

#endif
