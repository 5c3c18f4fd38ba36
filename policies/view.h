/* SPDX-License-Identifier: MIT */
/* view.h — what a policy sees of its replica, and what it may do there. */
#ifndef TANDEM_POLICIES_VIEW_H
#define TANDEM_POLICIES_VIEW_H

#include "policies/batch.h"
#include "policies/ordering.h"
#include "workloads/content.h"
#include "workloads/kv_layout.h"

/* How much KV a request must find free when it is admitted. */
enum kv_admission {
    ADMIT_ON_DEMAND,   /* what its first batch needs; more is reserved as it grows */
    ADMIT_RESERVE_MAX, /* its prompt and longest output, so that it is never preempted */
    ADMIT_PREDICTED,   /* its prompt and what is predicted of its output; more is reserved if it grows beyond */
};

/* When others find the KV of a request's prefix, with prefix caching. */
enum prefix_sharing {
    SHARE_COMPUTED,  /* from the end of the iteration that computes it */
    SHARE_SCHEDULED, /* as soon as it stands in a batch: later requests of the same batch find it */
    SHARE_FINISHED,  /* when the request has finished or was preempted */
};

struct replica_view {
    sim_time now;
    struct request_list *waiting;          /* in the order's order; of an order with a state, the head alone */
    bool shared_queue;                     /* other replicas take from it, too */
    bool ordered;                          /* a newcomer may stand before others */
    bool reorders;                         /* who is next may change while others are served */
    const struct order_policy *victims_by; /* the running request that it puts last is preempted first; NULL: the last
                                              admitted */
    const struct param_set *victims_params;
    struct request_list *running; /* in order of admission: those that decode, those that prefill, and those whose KV is
                                     on its way (request_stands_by) */
    struct request **prefilling;  /* [prefilling_count] of them, in the same order */
    size_t prefilling_count;
    uint32_t decoding;     /* how many of them decode */
    uint64_t decode_steps; /* iterations so far in which all that decoded took part */
    uint32_t evicted;      /* preempted while the current batch is formed */
    enum kv_admission admission;
    bool ahead;             /* a batch is formed while the one before it runs, whose tokens are counted already */
    bool decodes_elsewhere; /* a request leaves with its first token, or, where it comes back, with its next one: only
                               KV of what it has until then is ever held here */
    struct kv_layout kv;
    uint64_t kv_total_blocks, kv_free_blocks;
    bool finds_prefixes; /* prefix caching: KV that others have computed is found again */
    enum prefix_sharing shares;
    bool loads;              /* with prefix caching, KV of a prefix may come from tiers below GPU memory */
    const void *host_memory; /* where KV of its preempted requests is swapped to */
    uint32_t max_tokens;     /* the model's longest sequence */
    const struct replica_verbs *verbs;
    void *replica;
};

struct replica_verbs {
    bool (*reserve)(struct replica_view *view, struct request *r, uint32_t tokens);
    void (*admit)(struct replica_view *view, struct request *r);
    void (*preempt)(struct replica_view *view, struct request *r);
    uint32_t (*cached_tokens)(const struct replica_view *view, const struct request *r);
    uint32_t (*shared_blocks)(const struct replica_view *view, const struct request *r);
    void (*reuse)(struct replica_view *view, struct request *r);
    bool (*load)(struct replica_view *view, struct request *r, uint32_t reserved);
    void (*share)(struct replica_view *view, struct request *r, uint32_t computed);
    bool (*take_decodes)(struct replica_view *view, struct batch *out);
    void (*settle)(struct replica_view *view);
    sim_time (*predict)(const struct replica_view *view, const struct batch *batch);
};

/* Blocks that a request of which nothing is computed needs at most until it has `tokens` tokens. */
static inline uint64_t view_blocks(const struct replica_view *view, uint64_t tokens)
{
    return kv_layout_blocks(&view->kv, tokens, 0, tokens < view->kv.step_tokens ? tokens : view->kv.step_tokens);
}

/* Makes the request's blocks cover `tokens` tokens. False, and nothing changes, when too few are free. */
static inline bool view_reserve(struct replica_view *view, struct request *r, uint32_t tokens)
{
    return (uint64_t)r->kv_blocks * view->kv.block_tokens >= tokens || view->verbs->reserve(view, r, tokens);
}

/* Whether a waiting request may find KV of its tokens: its own after a preemption, or that of a common prefix. */
static inline bool view_may_find(const struct replica_view *view, const struct request *r)
{
    return r->preemptions > 0 || (view->finds_prefixes && content_is_shared(r));
}

/* Tokens whose KV a waiting request would find; and taking their blocks, which counts them as computed. */
static inline uint32_t view_cached_tokens(const struct replica_view *view, const struct request *r)
{
    return view_may_find(view, r) ? view->verbs->cached_tokens(view, r) : 0;
}

static inline void view_reuse(struct replica_view *view, struct request *r)
{
    if (view_may_find(view, r))
        view->verbs->reuse(view, r);
}

/* A waiting request that fits with `reserved` tokens: whether the KV of its prefix that is not in the pool comes from
 * tiers first. Then it has been admitted, with as many blocks, and the policy is done with it: it is among the running
 * requests, in no batch, and prefills what is left from the batch on that is formed when its KV has come. A policy that
 * loads says so (batching.h). */
static inline bool view_load(struct replica_view *view, struct request *r, uint32_t reserved)
{
    return view->loads && view_may_find(view, r) && view->verbs->load(view, r, reserved);
}

/* The same for a waiting request, which goes on from what it finds; for models whose layers have windows. */
uint64_t view_windowed_blocks(const struct replica_view *view, const struct request *r, uint64_t tokens);

/* Whether it waits with its KV in this replica's host memory: reusing that computes nothing. */
static inline bool view_is_swapped(const struct replica_view *view, const struct request *r)
{
    return r->swapped_to && r->swapped_to == view->host_memory;
}

/* Since when the request that waits longest does so; there must be one. */
static inline sim_time view_waiting_since(const struct replica_view *view)
{
    return order_oldest(view->waiting)->waiting_since;
}

/* Adds tokens of a running request to the batch. */
static inline void view_schedule(struct replica_view *view, struct batch *out, struct request *r, uint32_t new_tokens)
{
    batch_add(out, r, new_tokens);
    if (view->finds_prefixes && view->shares == SHARE_SCHEDULED && content_is_shared(r))
        view->verbs->share(view, r, r->computed + new_tokens);
}

/* Free blocks that it takes to admit a request with `tokens` tokens reserved: what it finds is among the free ones,
 * unless somebody who runs holds it, too. */
static inline uint64_t view_blocks_to_admit(const struct replica_view *view, const struct request *r, uint64_t tokens)
{
    uint64_t blocks =
        view->kv.groups.windowed > 0 ? view_windowed_blocks(view, r, tokens) : kv_layout_full(&view->kv, tokens);
    uint64_t shared = view->finds_prefixes && content_is_shared(r) ? view->verbs->shared_blocks(view, r) : 0;
    return blocks > shared ? blocks - shared : 0;
}

/* Moves a waiting request to the end of the running ones, where it prefills. */
static inline void view_admit(struct replica_view *view, struct request *r)
{
    view->verbs->admit(view, r);
}

/* Evicts a running request by the scenario's preemption policy; it waits again, at the front. */
static inline void view_preempt(struct replica_view *view, struct request *r)
{
    view->verbs->preempt(view, r);
}

/* Brings the counters of all requests that decode up to date, for a policy that looks at them singly. */
static inline void view_settle(struct replica_view *view)
{
    view->verbs->settle(view);
}

/* How long an iteration of this batch would take by the cost model; 0 where nobody can say before it has run. */
static inline sim_time view_predict(const struct replica_view *view, const struct batch *batch)
{
    return view->verbs->predict(view, batch);
}

/* Who is preempted next, some request that runs: by the order's keys where it ranks requests that have run, else the
 * last admitted. One whose last iteration runs, or whose KV is on its way, cannot be. */
struct request *view_victim(struct replica_view *view);

/* Preempts it and takes it out of the batch, if it stands there. Returns its tokens in the batch. */
uint32_t view_preempt_from(struct replica_view *view, struct batch *out, struct request *victim);

/* Puts one token of every request that decodes into the batch and reserves their KV, preempting while memory is short.
 */
void view_decode_all(struct replica_view *view, struct batch *out);

/* Requests that come next and are swapped out decode with the others, as many as fit and leave `watermark` of the pool
 * free, up to `most` running ones. */
void view_swap_in(struct replica_view *view, struct batch *out, size_t most, double watermark);

/* How long an iteration of this batch and `tokens` of a request would take that prefills or waits. */
sim_time view_predict_with(const struct replica_view *view, struct batch *batch, struct request *r, uint32_t tokens);

/* The largest chunk of such a request, up to `most`, with which the batch takes no longer than `target`; 0 when there
 * is none. Asks for one prediction if `most` fits, else for log₂ `most` more. */
uint32_t view_chunk_within(const struct replica_view *view, struct batch *out, struct request *r, uint32_t most,
                           sim_time target);

/* For a policy that never splits prompts: puts those of running requests whose KV has come from tiers into the batch,
 * whole, in order, up to `most` tokens or the first one alone. Returns their tokens. */
uint64_t view_prefill_loaded(struct replica_view *view, struct batch *out, uint64_t most);

/* Says for how long the batch holds: one of decodes alone while nobody leaves; one with a single chunk of a prompt
 * until the prompt's last chunk. `full`: the policy would take nobody more, even if memory were free. With somebody
 * waiting already, a newcomer stands behind who does not fit. */
void view_hold(const struct replica_view *view, struct batch *out, bool full);

/* Tokens to reserve for a request that is admitted now and would need `needed` on demand. Never more than the replica
 * will hold of the request, or a request that fits could wait for ever. */
static inline uint32_t view_admission_tokens(const struct replica_view *view, const struct request *r, uint32_t needed)
{
    uint32_t longest = view->decodes_elsewhere ? r->generated : r->max_output_tokens; /* it may have come back */
    uint32_t predicted = r->prompt_tokens + (view->decodes_elsewhere ? 0 : r->predicted_tokens);
    return view->admission == ADMIT_RESERVE_MAX                       ? r->prompt_tokens + longest
           : view->admission == ADMIT_PREDICTED && predicted > needed ? predicted
                                                                      : needed;
}

/* Whether `blocks` can be taken at admission and leave `watermark` of the pool free; an empty pool always admits. */
bool view_admits(const struct replica_view *view, uint64_t blocks, double watermark);

#endif
