/* SPDX-License-Identifier: MIT */
/* replica_parts.h — what the files of a replica do for one another; nobody else includes it. replica.c takes requests
 * in and lets them go, replica_view.c is what a policy may do, replica_swap.c moves KV to host memory, replica_form.c
 * forms batches and sets them going, replica_apply.c applies what has ended, replica_tiers.c loads KV from tiers.
 *
 * Counters of a request that decodes are stale until its decode set settles it. */
#ifndef TANDEM_SIM_REPLICA_PARTS_H
#define TANDEM_SIM_REPLICA_PARTS_H

#include "sim/replica.h"

struct replica {
    struct replica_id id;
    struct station_id station; /* what observers know it as */
    const struct batching_policy *batching;
    const struct param_set *batching_params;
    void *batching_state;
    const struct order_policy *order;
    const struct param_set *order_params;
    void *order_state;
    struct executor executor;
    const struct observer *observer;
    struct replica_view view;
    struct request_list own_waiting, running;
    struct request **prefilling; /* in order of admission */
    struct request **decoders;   /* [room] for executors that want them */
    size_t loading;              /* of those that run, requests whose KV is on its way from tiers */
    struct tier_user *tiers;     /* NULL: there are none for it */
    size_t room;                 /* requests that fit in it, in a batch and in the decode set */
    struct decode_set decodes;
    struct kv_pool own_kv, *kv;
    struct replica_load own_load, *load;
    struct swap_space swap;
    sim_time extra;           /* that the next iteration takes for swapping and predictions, before it computes */
    bool swaps_out, swaps_in; /* in the iteration to come */
    bool decodes_taken;       /* requests that decode have their blocks of a batch that has not been applied */
    struct batch batch, next; /* next: formed ahead, for when the running one has ended */
    struct request **leaving; /* [leaving_count] finish with the iteration that runs */
    size_t leaving_count;
    struct iteration_cost cost;
    struct stretch stretch; /* what runs while busy */
    fine_time carry;        /* below a nanosecond, at the end of the last iteration */
    uint64_t batches;       /* started; stamps requests that stand in them */
    uint64_t iterations;    /* ended */
    sim_time ended;         /* when the last one did */
    bool closed;            /* admits nobody for now */
    bool blocks_awaited;    /* by a request whose KV is to come from another replica */
    sim_time fails_at;      /* until then: an iteration that would end later is void */
    bool step, ahead, next_formed, busy;
    bool had_prompts;     /* so had the iteration that was started last */
    bool told;            /* observers know the iteration that runs */
    uint64_t told_tokens; /* that come at its end, where it is known before */
    bool counted;         /* scheduling ahead: the tokens of the iteration that runs are counted */
    /* Scheduling ahead: what has changed since the next batch was formed: who waits, or what is free for them; or who
     * is in the batch after that one. And whether all batches of a stretch are the same, the one after it included. */
    bool queue_changed, batch_changes, repeats;
    struct replica_host host;
};

static inline void replica_sync_view(struct replica *r)
{
    r->view.kv_free_blocks = r->kv->free_blocks;
    r->view.decoding = (uint32_t)r->decodes.count;
    r->view.decode_steps = r->decodes.steps;
}

static inline bool replica_arranges(const struct replica *r)
{
    return r->order && r->order->arrange;
}

static inline bool replica_has_windows(const struct replica *r)
{
    return r->decodes.drops != NULL;
}

/* Host memory (replica_swap.c). */

/* False when host memory is too small: what the request has is lost then. */
bool replica_swap_out(struct replica *r, struct request *request);

/* Its place in host memory is free again, of whichever replica that is. */
void replica_leave_swap(const struct replica *r, struct request *request);

/* It is fetched from there, and its place is free again. */
void replica_swap_in(struct replica *r, struct request *request);

/* Tiers below GPU memory (replica_tiers.c); only where there are some. */

/* The verb of replica_view: whether a waiting request is admitted, and its KV comes first. */
bool replica_load_prefix(struct replica_view *view, struct request *request, uint32_t reserved);

/* Requests whose KV has come prefill what is left from the batch on that is formed for `at`. */
void replica_join_loaded(struct replica *r, sim_time at);

/* Units that the request has computed, and has not told of, go to tiers that are written through. */
void replica_note_computed(struct replica *r, struct request *q);

/* Hands over what was asked for and noted until now. */
void replica_flush_tiers(struct replica *r, sim_time now);

/* What a policy may do, and what follows from it (replica_view.c). */

/* Whole blocks that a request may find computed, and never all tokens: the newest one has to be computed. */
static inline uint32_t replica_most_found(const struct replica *r, const struct request *request)
{
    return (request->prompt_tokens + request->generated - 1) / r->kv->layout.block_tokens;
}

/* So many tokens of its first ones are computed, by others or before. */
void replica_count_found(struct request *request, uint32_t tokens);

extern const struct replica_verbs replica_own_verbs;

/* Tells the order what those who run have been served of. */
void replica_account_served(struct replica *r);

/* Books a prompt's time up to `now`, where its chunks follow each other: its last chunk's, and after that its wait for
 * the next one. */
void replica_book_chunk(struct request *q, sim_time now);

/* Takes those out of the list that prefill no longer. */
void replica_close_ranks(struct replica_view *view);

/* A preempted request takes its place in the queue, as the policy has it. */
void replica_wait_again(const struct replica *r, struct request_list *queue, struct request *request);

/* It is no longer of those that the order keeps account of. */
void replica_order_leaves(struct replica *r, struct request *request);

/* It decodes no more. Its part of the batch that is being formed goes with it: the block that its next token takes. */
void replica_leave_decodes(struct replica *r, struct request *request);

/* Room for all that a replica has (replica.c). */

/* Lists and batches grow to what waits and runs. False when memory is short. */
bool replica_make_room(struct replica *r);

/* Batches (replica_form.c). */

/* Asks the policy for a batch that starts at `at`; it stays empty when there is nothing to do, or no memory. */
void replica_form_batch(struct replica *r, struct batch *b, sim_time at);

/* Blocks that the batch's only prompt lacks for `iterations` chunks of it; of models without windows. */
uint64_t replica_chunk_blocks(const struct replica *r, uint64_t iterations);

/* Iterations that have ended, or are taken to have (replica_apply.c). */

/* Tells of the first n iterations of the stretch, and of the gaps before their tokens that are not theirs alone. */
void replica_tell(struct replica *r, uint64_t n, sim_time end);

/* Counts `tokens` more of the request's as computed. */
void replica_compute(struct replica *r, struct request *q, uint32_t tokens, sim_time now);

/* Scheduling ahead, what has just started ends at `end`: an iteration's tokens are counted, and the next batch is
 * formed as if it had ended; after the first one of a stretch the next batch is the same again. */
void replica_form_ahead(struct replica *r, sim_time end);

#endif
