/* SPDX-License-Identifier: MIT */
/* tier.h — a store of KV below GPU memory: which units of shared KV (workloads/content.h) it has, by key.
 *
 * A unit takes its bytes from the moment it is expected; it can be read, and be evicted, from when it has arrived. A
 * store that is full evicts the unit that was used longest ago (lru), or the one that arrived first (fifo). It only
 * counts: it holds no KV data. */
#ifndef TANDEM_SIM_TIER_H
#define TANDEM_SIM_TIER_H

#include "sim/unit_index.h"

enum tier_eviction { TIER_LRU, TIER_FIFO };

struct tier_unit {
    uint64_t key, bytes;
    size_t older, newer; /* its neighbours among those that have arrived, by place; NOWHERE at the ends */
    bool arrived;
};

struct tier_store {
    uint64_t capacity, held; /* bytes */
    enum tier_eviction evict;
    struct tier_unit *units; /* [used] by place */
    size_t used, room;
    size_t *vacant; /* [vacant_count] places that are free again */
    size_t vacant_count, vacant_room;
    struct unit_index index; /* `segment` is the unit's place */
    size_t oldest, newest;
};

/* Returns 0, or -1 when memory is short. Release with tier_store_release. */
int tier_store_init(struct tier_store *s, uint64_t capacity, enum tier_eviction evict);
void tier_store_release(struct tier_store *s);

/* Whether it has the unit, and that has arrived; and whether it has or expects it. */
bool tier_store_has(const struct tier_store *s, uint64_t key);
bool tier_store_knows(const struct tier_store *s, uint64_t key);

/* The unit, which it may have, is used now. */
void tier_store_use(struct tier_store *s, uint64_t key);

/* Evicts the unit that is next, of those that have arrived. False: there is none. */
bool tier_store_evict(struct tier_store *s, struct tier_unit *out);

/* The unit, which it may have, is gone. */
void tier_store_forget(struct tier_store *s, uint64_t key);

/* Takes bytes for a unit that it does not know; there must be as many free. Returns -1 when memory is short. */
int tier_store_expect(struct tier_store *s, uint64_t key, uint64_t bytes);

/* The unit has arrived, or does not come; nothing happens where it is not expected any more. The second returns its
 * bytes. */
void tier_store_arrive(struct tier_store *s, uint64_t key);
uint64_t tier_store_drop(struct tier_store *s, uint64_t key);

#endif
