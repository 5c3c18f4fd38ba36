/* SPDX-License-Identifier: MIT */
/* What a policy sees of its replica, and may do there: the verbs of struct replica_view. */
#include "sim/replica_parts.h"

static bool verb_reserve(struct replica_view *view, struct request *request, uint32_t tokens)
{
    struct replica *r = view->replica;
    bool reserved = kv_pool_reserve(r->kv, request, tokens, view->now);
    replica_sync_view(r);
    return reserved;
}

/* Tells the order what those who run have been served of. */
void replica_account_served(struct replica *r)
{
    for (struct request *q = r->running.head; r->order->served && q; q = q->next)
        r->order->served(r->order_state, q, decode_set_generated(&r->decodes, q));
}

static void verb_admit(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    sim_time waited = view->now - request->waiting_since;
    request->parts[request->scheduled ? PART_PREEMPTED : PART_QUEUE] += waited;
    order_remove(view->waiting, request);
    request_list_insert(&r->running, request, NULL);
    request->prefilling = !request->loading;
    request->admitted = request->booked = request->chunk_end = view->now;
    request->chunk_part = PART_PREFILL_OWN;
    if (request->prefilling)
        view->prefilling[view->prefilling_count++] = request;
    if (r->tiers)
        tiers_count(r->tiers, (uint64_t)request->prompt_tokens + request->generated);
    if (request->swapped_to)
        replica_leave_swap(r, request); /* it was not fetched: another replica's, or a policy that looks for nothing */
    if (!replica_arranges(r))
        return;
    if (r->order->admitted)
        r->order->admitted(r->order_state, request);
    if (view->waiting->count > 0)
        r->order->arrange(r->order_state, view->waiting);
}

/* Books a prompt's time up to `now`, where its chunks follow each other: its last chunk's, and after that its wait for
 * the next one. */
void replica_book_chunk(struct request *q, sim_time now)
{
    sim_time chunk_end = q->chunk_end < now ? q->chunk_end : now;
    q->parts[q->chunk_part] += chunk_end - q->booked;
    q->parts[q->computed < q->peak_computed ? PART_PREEMPTED : PART_PREFILL_STALL] += now - chunk_end;
    q->booked = now;
}

/* Takes those out of the list that prefill no longer. */
void replica_close_ranks(struct replica_view *view)
{
    size_t kept = 0;
    for (size_t i = 0; i < view->prefilling_count; i++)
        if (view->prefilling[i]->prefilling)
            view->prefilling[kept++] = view->prefilling[i];
    view->prefilling_count = kept;
}

void replica_order_leaves(struct replica *r, struct request *request)
{
    if (replica_arranges(r) && r->order->leaves)
        r->order->leaves(r->order_state, request);
}

/* It decodes no more. Its part of the batch that is being formed goes with it: the block that its next token takes. */
void replica_leave_decodes(struct replica *r, struct request *request)
{
    decode_set_settle(&r->decodes, request);
    bool holds_next = r->decodes_taken && decode_set_crosses_now(&r->decodes, request);
    decode_set_leave(&r->decodes, request);
    request->kv_blocks += holds_next;
    if (r->kv->layout.groups.windowed > 0)
        request->kv_window += holds_next;
}

/* A preempted request leaves to others what they may find of it, and that is no more than it has computed. */
static void settle_shares(struct replica *r, struct request *request)
{
    if (r->view.finds_prefixes && r->view.shares == SHARE_SCHEDULED)
        kv_pool_unshare(r->kv, request, r->view.now);
    else if (r->view.finds_prefixes && r->view.shares == SHARE_FINISHED)
        kv_pool_share(r->kv, request, request->computed, r->view.now);
}

/* Its last token is being computed, which nobody knows before the iteration has ended. So it loses nothing but the row
 * that it would waste. */
static void drop_ended(struct replica *r, struct request *request)
{
    if (r->view.finds_prefixes)
        kv_pool_share(r->kv, request, request->computed, r->view.now);
    kv_pool_release(r->kv, request, r->view.now);
    request->leaving = true;
}

void replica_wait_again(const struct replica *r, struct request_list *queue, struct request *request)
{
    if (r->batching->requeues && !r->view.shared_queue && !request->swapped_to)
        order_insert_again(r->order, r->order_params, queue, request, request->waiting_since);
    else
        order_insert_preempted(r->order, r->order_params, queue, request);
}

/* Its KV goes to host memory; or it is dropped, and prompt and generated tokens will be prefilled again. */
static void verb_preempt(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    if (request->decode.in)
        replica_leave_decodes(r, request);
    else if (r->host.passes_prompts)
        replica_book_chunk(request, view->now);
    view->evicted++;
    if (request->ended) {
        drop_ended(r, request);
        replica_sync_view(r);
        return;
    }
    request->prefilling = false;
    replica_close_ranks(view);
    settle_shares(r, request);
    if (replica_swap_out(r, request)) {
        kv_pool_release(r->kv, request, view->now);
    } else {
        if (r->batching->requeues && request->computed > request->prompt_tokens)
            request->computed = request->prompt_tokens;
        kv_pool_release_preempted(r->kv, request, view->now);
    }
    request->preemptions++;
    request->computed = 0;
    request->waiting_since = view->now;
    request_list_remove(&r->running, request);
    replica_order_leaves(r, request);
    replica_wait_again(r, view->waiting, request);
    if (replica_arranges(r)) {
        if (r->order->joins)
            r->order->joins(r->order_state, request); /* it has been there before: no memory is needed */
        r->order->arrange(r->order_state, view->waiting);
    }
    replica_sync_view(r);
    tell_preempted(r->observer, r->station, request);
}

static uint32_t found_tokens(const struct replica *r, const struct request *request, const struct kv_found *found)
{
    uint32_t most = replica_most_found(r, request);
    return (found->blocks < most ? found->blocks : most) * r->kv->layout.block_tokens;
}

static uint32_t verb_cached_tokens(const struct replica_view *view, const struct request *request)
{
    const struct replica *r = view->replica;
    if (request->swapped_to == &r->swap)
        return request->swapped_tokens;
    struct kv_found found = kv_pool_find(r->kv, request);
    return found_tokens(r, request, &found);
}

static uint32_t verb_shared_blocks(const struct replica_view *view, const struct request *request)
{
    const struct replica *r = view->replica;
    return request->swapped_to == &r->swap ? 0 : (uint32_t)kv_pool_find(r->kv, request).in_use;
}

void replica_count_found(struct request *request, uint32_t tokens)
{
    request->cached_tokens += tokens - request->computed;
    request->computed = tokens;
    if (request->peak_computed >= tokens)
        return;
    request->prefix_cached_tokens += tokens - request->peak_computed;
    request->peak_computed = tokens;
}

static void verb_reuse(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    if (request->swapped_to == &r->swap) {
        replica_swap_in(r, request);
        request->cached_tokens += request->computed;
    } else {
        struct kv_found found = kv_pool_find(r->kv, request);
        kv_pool_reclaim(r->kv, request, &found, view->now);
        replica_count_found(request, found_tokens(r, request, &found));
        request->units_kept = found.units > request->units_kept ? found.units : request->units_kept;
    }
    replica_sync_view(r);
}

static void verb_share(struct replica_view *view, struct request *request, uint32_t computed)
{
    struct replica *r = view->replica;
    kv_pool_share(r->kv, request, computed, view->now);
    replica_sync_view(r);
}

static bool verb_take_decodes(struct replica_view *view, struct batch *out)
{
    struct replica *r = view->replica;
    uint64_t blocks = decode_set_blocks(&r->decodes);
    if (blocks > r->kv->free_blocks)
        return false;
    if (blocks > 0)
        kv_pool_take(r->kv, blocks, blocks * kv_pool_time(view->now, r->carry));
    out->decodes = (uint32_t)r->decodes.count;
    out->decode_kv = r->decodes.kv_tokens;
    r->decodes_taken = true;
    replica_sync_view(r);
    return true;
}

static void verb_settle(struct replica_view *view)
{
    struct replica *r = view->replica;
    for (size_t i = 0; i < r->decodes.count; i++)
        decode_set_settle(&r->decodes, r->decodes.heap[i].r);
}

static sim_time verb_predict(const struct replica_view *view, const struct batch *batch)
{
    const struct replica *r = view->replica;
    struct iteration_cost cost = {0};
    if (!r->executor.predict)
        return 0;
    r->executor.predict(r->executor.state, batch, &cost);
    return (sim_time)(cost.total >> FINE_BITS);
}

const struct replica_verbs replica_own_verbs = {.reserve = verb_reserve,
                                                .admit = verb_admit,
                                                .preempt = verb_preempt,
                                                .cached_tokens = verb_cached_tokens,
                                                .shared_blocks = verb_shared_blocks,
                                                .reuse = verb_reuse,
                                                .load = replica_load_prefix,
                                                .share = verb_share,
                                                .take_decodes = verb_take_decodes,
                                                .settle = verb_settle,
                                                .predict = verb_predict};
