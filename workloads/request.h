/* SPDX-License-Identifier: MIT */
/* request.h — one request: what was asked for and how far it has come.
 *
 * `computed` counts tokens whose KV is in the pool, `generated` the output tokens so far. A request
 * decodes when only its newest token is uncomputed; else it is prefilling. Policies read everything
 * here but `output_tokens`, which only the replica and declared oracles may look at.
 *
 * All requests that decode on a replica usually advance together; they are then counted as a set
 * (sim/decode_set.h) and their own counters stand still until view_settle() or until they leave it. */
#ifndef TANDEM_WORKLOADS_REQUEST_H
#define TANDEM_WORKLOADS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ordered.h"
#include "base/units.h"

/* Where a request's time went; the parts of a finished request sum to its E2E exactly. */
enum time_part {
    PART_QUEUE,
    PART_PREFILL_OWN,
    PART_PREFILL_STALL,
    PART_DECODE_OWN,
    PART_DECODE_INTERFERENCE,
    PART_DECODE_STALL,
    PART_PREEMPTED,
    PART_TRANSFER,
    PART_ROUTE,
    PART_DELAY, /* at delay stations before it is served, in their queues and in service */
    PART_AFTER, /* the same after its last token */
    PART_LOAD,  /* from its admission until its KV had come from tiers below GPU memory */
    PART_COUNT
};

/* Its place in the decode set; the set's own. */
struct decode_member {
    bool in;
    bool crosses;            /* takes a new KV block every block_tokens steps, from first_crossing on */
    bool drops;              /* its windowed groups give one back every block_tokens steps, from first_drop on */
    uint32_t place;          /* in the set's heap */
    uint64_t since_step;     /* counters are as of this step */
    uint64_t first_crossing; /* step whose token needs the next block */
    uint64_t first_drop;     /* step after which the next block is out of the window */
    fine_time own;           /* this and the next two: the set's clocks at since_step */
    sim_time stepping, stall;
};

/* Who asks, and what the request has in common with others. */
struct origin {
    uint32_t priority;      /* 0 is the most urgent */
    uint32_t client;        /* who sends it */
    uint32_t prefix_group;  /* its first prefix_tokens are the same in all requests of the group; 0: none */
    uint32_t prefix_tokens; /* at most its prompt */
    uint64_t session;       /* a conversation or a program: its prompt begins with one before and that one's answer; 0:
                               none */
    uint32_t turn;          /* its place in the session, from 1; 0: nobody counts them */
    uint32_t workload;      /* its class in the scenario's workload, from 1; 0: the workload has none */
};

/* Where something stands in a cluster's lists (sim/cluster.h): the batches that run, and the queues that requests stand
 * in. A pipeline is one station with a replica for each micro-batch, so each list has a type of its own. */
struct replica_id {
    size_t index;
};
struct station_id {
    size_t index;
};

#define NO_REPLICA ((struct replica_id){SIZE_MAX})

/* What a request holds of a pool, as its own fields of these names say. */
struct kv_holding {
    uint32_t blocks, window, left, units, unit_blocks;
};

struct request {
    struct request *prev, *next; /* in the list it stands in */
    uint64_t id;                 /* position in the workload, from 0 */
    sim_time arrival;
    uint32_t prompt_tokens;
    uint32_t output_tokens;     /* what it will generate; hidden from policies */
    uint32_t max_output_tokens; /* what a policy may have to reserve for */
    uint32_t predicted_tokens;  /* what is predicted of output_tokens; 0 where nobody asked */
    struct origin origin;
    uint64_t *hashes; /* [hash_count] of what its prompt's pieces of hash_tokens hold, each with all before it; these
                         and the next are kept only where somebody looks at them. Those past the prompt's are of its
                         answer (content.h) */
    uint32_t hash_count, hash_tokens, hash_capacity;
    struct ordered place;          /* in the waiting queue, where that has an order */
    struct request *older, *newer; /* neighbours among those that wait, by waiting_since */
    struct request *next_of_group; /* behind it among those that wait; this and the next are its order's own */
    uint32_t counted;              /* output tokens that its order has counted, and 1; 0: not even its prompt */

    uint32_t computed;
    uint32_t generated;
    uint32_t kv_blocks; /* that each group of layers which keeps every token has for it (kv_layout.h) */
    uint32_t kv_window; /* that each windowed group has for it: kv_blocks less the first kv_left, or fewer where more is
                           reserved than the next iteration needs; these two stay 0 in a model without windows */
    uint32_t kv_left;
    uint32_t preemptions;
    uint32_t recomputed_tokens;
    uint32_t cached_tokens;        /* found in the pool, not computed (again) */
    uint32_t prefix_cached_tokens; /* of these, those that only others had computed */
    const void *kv_home; /* the pool that holds, or has freed, its blocks; this and the next are the pool's own */
    uint64_t kv_segment; /* where they stand among the free ones while it is preempted */
    void *swapped_to; /* host memory that keeps KV of its first swapped_tokens while it is preempted; NULL: none does */
    uint32_t swapped_tokens;
    sim_time prediction;         /* GPU time that predicting its output takes where it is served */
    uint32_t units, unit_blocks; /* shareable units (content.h) that it holds, from the first on; and their blocks */
    uint32_t units_lost;         /* how many it held when it was preempted */
    uint32_t peak_computed;      /* most it ever had; below this tokens are computed again */
    bool scheduled;              /* has been in a running batch */
    bool prefilling;             /* runs, and is not in the decode set */
    bool leaving; /* its last iteration runs (scheduling ahead): it holds its place and KV until that ends */
    bool ended;   /* the same, but nobody knows it yet: it has fewer tokens than its limit */
    bool loading; /* it is admitted, and KV of its prefix is on its way from tiers below GPU memory (sim/tiers.h) */
    bool loaded;  /* the same, and it has come: the next batch can have it */
    uint32_t load_parts, load_to; /* transfers under way; tokens that it has computed then */
    uint32_t units_kept;          /* units that were written through to tiers, or that it found */
    sim_time load_began;
    uint64_t batch_stamp;   /* the iteration in whose batch it was last put one by one */
    sim_time waiting_since; /* arrival, last preemption, or when it left for another replica to decode */
    sim_time admitted;      /* to the running requests, or to a server of a delay station, the last time */
    /* Pipeline parallelism, a prompt whose chunks follow each other: its time is booked up to the first, the chunk
     * that entered the pipeline last ends at the second (SIM_TIME_NEVER: it is the prompt's last), and that chunk's
     * time belongs to the part. */
    sim_time booked, chunk_end;
    enum time_part chunk_part;
    sim_time first_scheduled, first_token, last_token;
    sim_time queued;           /* when it reached the router: its arrival, or when it left the last delay station */
    struct replica_id replica; /* it was routed to; NO_REPLICA: it waits at the router */
    sim_time entered;          /* when it was, or when it came to the delay station where it is */
    struct station_id source;  /* the station that prefilled it, and what is held there while its KV is on its way; or,
                          after its  last token, the station where that came: */
    struct kv_holding source_kv;
    uint32_t present_tokens; /* of its KV, tokens that the station had to which it is sent */
    sim_time copied;         /* when another replica has its KV too, in a pair */
    sim_time taken_over;     /* when it joined the replica that decodes it; 0: where it was prefilled */
    struct decode_member decode;
    sim_time parts[PART_COUNT];
};

/* A request that has just arrived. Field by field: it is faster than clearing the whole. */
static inline void request_init(struct request *r, uint64_t id, sim_time arrival, uint32_t prompt_tokens,
                                uint32_t output_tokens, uint32_t max_output_tokens)
{
    r->origin = (struct origin){0};
    r->hash_count = 0;
    r->prev = r->next = NULL;
    r->id = id;
    r->arrival = r->waiting_since = r->entered = r->queued = arrival;
    r->replica = NO_REPLICA;
    r->prompt_tokens = prompt_tokens;
    r->output_tokens = output_tokens;
    r->max_output_tokens = max_output_tokens;
    r->predicted_tokens = 0;
    r->counted = 0;
    r->computed = r->generated = r->kv_blocks = r->kv_window = r->kv_left = 0;
    r->preemptions = r->recomputed_tokens = r->cached_tokens = r->peak_computed = 0;
    r->swapped_to = NULL;
    r->prediction = 0;
    r->prefix_cached_tokens = r->units = r->unit_blocks = r->units_lost = 0;
    r->kv_home = NULL;
    r->kv_segment = 0;
    r->scheduled = r->prefilling = r->leaving = r->ended = r->decode.in = r->loading = false;
    r->units_kept = 0;
    r->batch_stamp = 0;
    r->first_scheduled = r->first_token = r->last_token = r->taken_over = r->copied = 0;
    for (int i = 0; i < PART_COUNT; i++)
        r->parts[i] = 0;
}

/* When its answer has gone to the client: with its last token, or when it has left the last delay station after that.
 */
static inline sim_time request_answered(const struct request *r)
{
    return r->last_token + r->parts[PART_AFTER];
}

static inline uint32_t request_uncomputed(const struct request *r)
{
    return r->prompt_tokens + r->generated - r->computed;
}

static inline bool request_decodes(const struct request *r)
{
    return r->generated > 0 && request_uncomputed(r) == 1;
}

/* Runs, but stands in no batch now: its last iteration runs, or its KV is on its way. */
static inline bool request_stands_by(const struct request *r)
{
    return r->leaving || r->loading;
}

/* A doubly linked list of requests in an order that its owner defines. The last two are a waiting queue's
 * (policies/ordering.h). */
struct request_list {
    struct request *head, *tail;
    size_t count;
    struct request *oldest, *newest; /* by waiting_since, unless it is in order of arrival */
    struct ordered *places;          /* of an order of keys */
};

/* Inserts r before `at`, or at the end when `at` is NULL. */
static inline void request_list_insert(struct request_list *list, struct request *r, struct request *at)
{
    r->next = at;
    r->prev = at ? at->prev : list->tail;
    *(r->prev ? &r->prev->next : &list->head) = r;
    *(at ? &at->prev : &list->tail) = r;
    list->count++;
}

static inline void request_list_remove(struct request_list *list, struct request *r)
{
    *(r->prev ? &r->prev->next : &list->head) = r->next;
    *(r->next ? &r->next->prev : &list->tail) = r->prev;
    r->prev = r->next = NULL;
    list->count--;
}

#endif
