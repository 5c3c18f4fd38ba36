/* SPDX-License-Identifier: MIT */
/* tiers.h — KV below GPU memory: the tiers of a cluster, the links to and from them, and what a station asks of them.
 *
 * A tier has a store (tier.h) for each replica, for each node, or one for the cluster. It is written with what the GPU
 * or the tier above evicts, or (write-through) with every unit as soon as it is computed. A request whose prefix goes
 * on in tiers where the GPU's ends loads it: each unit from the nearest tier that has it, the parts side by side.
 *
 * Links (link.h) go both ways: every store and every station has a connection of the tier's bandwidth in each
 * direction. A station has one write to a tier under way; what is to be written meanwhile goes with the next one, and
 * can be read when it has arrived. A GPU's block is free as soon as its write is asked for, and what is read may be
 * evicted meanwhile: copies in between are not counted.
 *
 * A station hands over what it asks for, and what it has to write, when the batch is formed for which it is
 * (tiers_flush), so that links see everything in order of time. */
#ifndef TANDEM_SIM_TIERS_H
#define TANDEM_SIM_TIERS_H

#include "sim/link.h"
#include "sim/observer.h"
#include "sim/tier.h"

enum { MOST_TIERS = 4 };

enum tier_sharing { TIER_OF_REPLICA, TIER_OF_NODE, TIER_OF_CLUSTER };

struct tier_config {
    const char *name;
    uint64_t bytes; /* of a store */
    enum tier_sharing shared_by;
    enum tier_eviction evict;
    bool through;                   /* written with every unit that is computed; else with what is evicted above it */
    bool faster;                    /* read only where that ends before computing would */
    struct link_config read, write; /* of every store and station */
};

/* What a pool's stations use, the nearest first. */
struct tier_use {
    size_t of[MOST_TIERS], count; /* places in the cluster's list */
    uint64_t block_bytes;         /* of a KV block, on all GPUs of a replica */
    uint64_t space;               /* pools in the same one can read each other's KV */
    uint32_t gpus;                /* of a replica; they decide its node */
};

/* Over the run, of one tier. */
struct tier_totals {
    uint64_t capacity;             /* bytes of all its stores */
    uint64_t written, evicted;     /* bytes that it took in, and that it has no more */
    uint64_t held, peak;           /* bytes at the end, and at most */
    uint64_t turned_away;          /* bytes that it had no room for */
    uint64_t read;                 /* bytes */
    uint64_t loads;                /* of requests */
    uint64_t tokens, asked_tokens; /* that requests loaded; that those which were admitted had */
};

struct tier_write {
    struct station_id station;
    struct tier_part {
        uint64_t key, bytes;
    } * units;
    size_t sent, count, capacity; /* the first `sent` are under way */
};

struct tier {
    const struct tier_config *config;
    struct tier_store *stores; /* [store_count] */
    size_t store_count;
    struct link read, write;
    struct tier_write *writes; /* [stations] */
    struct tier_totals totals;
};

struct tiers {
    const struct observer *observer;
    struct tier of[MOST_TIERS]; /* [count] */
    size_t count, stations;
    bool out_of_memory;
};

/* A station's side. */
struct tier_user {
    struct tiers *tiers; /* NULL: it uses none */
    const struct tier_use *use;
    struct station_id station;
    size_t stores[MOST_TIERS]; /* its store in each tier of the use */
    uint32_t block_tokens;
    bool through; /* some tier is written through */
    struct tier_ask {
        struct request *request;
        size_t place; /* in the use */
        uint64_t bytes;
    } * asks; /* [ask_count] loads not yet handed over */
    size_t ask_count, ask_capacity;
    struct tier_part *evicted, *computed; /* [..._count] not yet handed over */
    size_t evicted_count, evicted_capacity, computed_count, computed_capacity;
};

/* `stores`: how many each tier has. Return 0, or -1 when memory is short; release also after a failure. */
int tiers_init(struct tiers *t, const struct tier_config *config, size_t count, const size_t *stores, size_t stations,
               const struct observer *observer);
void tiers_release(struct tiers *t);
void tier_user_init(struct tier_user *u, struct tiers *t, const struct tier_use *use, struct station_id station,
                    uint32_t block_tokens);
void tier_user_release(struct tier_user *u);

/* Where a request's prefix goes on in tiers. */
struct tier_found {
    uint32_t first, units, blocks; /* units from `first` until before `units`, and where they end in blocks */
    uint64_t bytes[MOST_TIERS];    /* from each tier of the use */
    uint32_t loaded[MOST_TIERS];   /* blocks from each */
};

/* From the request's unit `first` on, which begins with block `blocks`, as far as block `most`. */
struct tier_found tiers_find(const struct tier_user *u, const struct request *r, uint32_t first, uint32_t blocks,
                             uint32_t most);

/* Whether some tier that it would be read from asks for the faster way; and how long reading would take as things
 * stand. */
bool tiers_compare(const struct tier_user *u, const struct tier_found *found);
sim_time tiers_estimate(const struct tier_user *u, const struct tier_found *found, sim_time now);

/* The request loads what was found. */
void tiers_ask(struct tier_user *u, struct request *r, const struct tier_found *found);

/* A request is admitted that has so many tokens. */
void tiers_count(struct tier_user *u, uint64_t tokens);

/* The GPU has evicted a unit, or has computed one, of so many blocks. */
void tiers_note_evicted(struct tier_user *u, uint64_t key, uint32_t blocks);
void tiers_note_computed(struct tier_user *u, uint64_t key, uint32_t blocks);

/* Hands over what the station has asked for and noted until now. */
void tiers_flush(struct tier_user *u, sim_time now);

/* The station has failed: what it reads or writes ends, and a store of its own is empty. */
void tiers_fail(struct tier_user *u, sim_time now);

/* When tiers_take is due, SIM_TIME_NEVER for never. */
sim_time tiers_next(const struct tiers *t);

/* The next request whose load has ended by now, and where; NULL: there is none, and all writes until now have arrived.
 */
struct request *tiers_take(struct tiers *t, sim_time now, struct station_id *station);

/* Totals of a tier so far. */
struct tier_totals tiers_sum_up(const struct tiers *t, size_t tier);

#endif
