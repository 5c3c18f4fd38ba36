/* SPDX-License-Identifier: MIT */
#include "sim/replica.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"

static void sync_view(struct replica *r)
{
    r->view.kv_free_blocks = r->kv->free_blocks;
    r->view.decoding = (uint32_t)r->decodes.count;
    r->view.decode_steps = r->decodes.steps;
}

static bool verb_reserve(struct replica_view *view, struct request *request, uint32_t tokens)
{
    struct replica *r = view->replica;
    bool reserved = kv_pool_reserve(r->kv, request, tokens, view->now);
    sync_view(r);
    return reserved;
}

static void move_blocks(struct replica *r, uint64_t blocks, bool *direction)
{
    r->extra += (sim_time)((double)blocks * r->swap.ns_per_block) + (*direction ? 0 : r->swap.latency);
    *direction = true;
}

/* Blocks of so many computed tokens in host memory. */
static uint64_t swapped_blocks(const struct replica *r, uint32_t tokens)
{
    return kv_layout_blocks(&r->kv->layout, tokens, tokens, 1);
}

/* False when host memory is too small: what the request has is lost then. */
static bool swap_out(struct replica *r, struct request *request)
{
    uint64_t blocks = swapped_blocks(r, request->computed);
    if (blocks == 0 || r->swap.used + blocks > r->swap.blocks)
        return false;
    r->swap.used += blocks;
    request->swapped_to = &r->swap;
    request->swapped_tokens = request->computed;
    move_blocks(r, blocks, &r->swaps_out);
    return true;
}

/* Its place in host memory is free again, of whichever replica that is. */
static void leave_swap(const struct replica *r, struct request *request)
{
    struct swap_space *swap = request->swapped_to;
    swap->used -= swapped_blocks(r, request->swapped_tokens);
    request->swapped_to = NULL;
}

static void swap_in(struct replica *r, struct request *request)
{
    request->computed = request->swapped_tokens;
    bool reserved = kv_pool_reserve(r->kv, request, request->swapped_tokens, r->view.now);
    assert(reserved); /* a policy admits only what fits */
    (void)reserved;
    move_blocks(r, kv_pool_held(r->kv, request), &r->swaps_in);
    leave_swap(r, request);
}

static bool arranges(const struct replica *r)
{
    return r->order && r->order->arrange;
}

/* Tells the order what those who run have been served of. */
static void account_served(struct replica *r)
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
    request->prefilling = true;
    request->admitted = request->booked = request->chunk_end = view->now;
    request->chunk_part = PART_PREFILL_OWN;
    view->prefilling[view->prefilling_count++] = request;
    if (request->swapped_to)
        leave_swap(r, request); /* it was not fetched: another replica's, or a policy that looks for nothing */
    if (!arranges(r))
        return;
    if (r->order->admitted)
        r->order->admitted(r->order_state, request);
    if (view->waiting->count > 0)
        r->order->arrange(r->order_state, view->waiting);
}

/* Books a prompt's time up to `now`, where its chunks follow each other: its last chunk's, and after that its wait for
 * the next one. */
static void book_chunk(struct request *q, sim_time now)
{
    sim_time chunk_end = q->chunk_end < now ? q->chunk_end : now;
    q->parts[q->chunk_part] += chunk_end - q->booked;
    q->parts[q->computed < q->peak_computed ? PART_PREEMPTED : PART_PREFILL_STALL] += now - chunk_end;
    q->booked = now;
}

/* Takes those out of the list that prefill no longer. */
static void close_ranks(struct replica_view *view)
{
    size_t kept = 0;
    for (size_t i = 0; i < view->prefilling_count; i++)
        if (view->prefilling[i]->prefilling)
            view->prefilling[kept++] = view->prefilling[i];
    view->prefilling_count = kept;
}

static void order_leaves(struct replica *r, struct request *request)
{
    if (arranges(r) && r->order->leaves)
        r->order->leaves(r->order_state, request);
}

/* It decodes no more. Its part of the batch that is being formed goes with it: the block that its next token takes. */
static void leave_decodes(struct replica *r, struct request *request)
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

/* Its KV goes to host memory; or it is dropped, and prompt and generated tokens will be prefilled again. */
static void verb_preempt(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    if (request->decode.in)
        leave_decodes(r, request);
    else if (r->passes_prompts)
        book_chunk(request, view->now);
    view->evicted++;
    if (request->ended) {
        drop_ended(r, request);
        sync_view(r);
        return;
    }
    request->prefilling = false;
    close_ranks(view);
    settle_shares(r, request);
    if (swap_out(r, request))
        kv_pool_release(r->kv, request, view->now);
    else
        kv_pool_release_preempted(r->kv, request, view->now);
    request->preemptions++;
    request->computed = 0;
    request->waiting_since = view->now;
    request_list_remove(&r->running, request);
    order_leaves(r, request);
    order_insert_preempted(r->order, r->order_params, view->waiting, request);
    if (arranges(r)) {
        if (r->order->joins)
            r->order->joins(r->order_state, request); /* it has been there before: no memory is needed */
        r->order->arrange(r->order_state, view->waiting);
    }
    sync_view(r);
    tell_preempted(r->observer, r->station, request);
}

/* Whole blocks, and never all tokens: the newest one has to be computed. */
static uint32_t found_tokens(const struct replica *r, const struct request *request, const struct kv_found *found)
{
    uint32_t most = (request->prompt_tokens + request->generated - 1) / r->kv->layout.block_tokens;
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

static void verb_reuse(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    if (request->swapped_to == &r->swap) {
        swap_in(r, request);
    } else {
        struct kv_found found = kv_pool_find(r->kv, request);
        kv_pool_reclaim(r->kv, request, &found, view->now);
        request->computed = found_tokens(r, request, &found);
    }
    request->cached_tokens += request->computed;
    if (request->peak_computed < request->computed) {
        request->prefix_cached_tokens += request->computed - request->peak_computed;
        request->peak_computed = request->computed;
    }
    sync_view(r);
}

static void verb_share(struct replica_view *view, struct request *request, uint32_t computed)
{
    struct replica *r = view->replica;
    kv_pool_share(r->kv, request, computed, view->now);
    sync_view(r);
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
    sync_view(r);
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

static const struct replica_verbs verbs = {.reserve = verb_reserve,
                                           .admit = verb_admit,
                                           .preempt = verb_preempt,
                                           .cached_tokens = verb_cached_tokens,
                                           .shared_blocks = verb_shared_blocks,
                                           .reuse = verb_reuse,
                                           .share = verb_share,
                                           .take_decodes = verb_take_decodes,
                                           .settle = verb_settle,
                                           .predict = verb_predict};

static int create_policy(struct replica *r, struct error *err)
{
    return r->batching->create ? r->batching->create(&r->batching_state, r->batching_params, err) : 0;
}

static void destroy_policy(struct replica *r)
{
    if (r->batching && r->batching->destroy && r->batching_state)
        r->batching->destroy(r->batching_state);
    r->batching_state = NULL;
}

struct kv_layout replica_kv_layout(const struct replica_config *config)
{
    struct kv_layout layout = {.block_tokens = config->kv_block_tokens,
                               .step_tokens = config->step_tokens > 0 ? config->step_tokens : config->max_tokens,
                               .groups = config->kv_groups};
    if (layout.groups.windowed == 0)
        layout.groups.full = 1;
    return layout;
}

int replica_init(struct replica *r, size_t index, const struct replica_config *config, struct executor executor,
                 struct request_list *waiting, struct replica *leader, const struct observer *observer,
                 struct error *err)
{
    *r = (struct replica){.index = index,
                          .station = leader ? leader->station : index,
                          .kv = leader ? leader->kv : &r->own_kv,
                          .load = leader ? leader->load : &r->own_load,
                          .batching = config->batching,
                          .batching_params = config->batching_params,
                          .order = config->order,
                          .order_params = config->order_params,
                          .executor = executor,
                          .observer = observer,
                          .swap = config->swap,
                          .fails_at = SIM_TIME_NEVER,
                          .step = config->step || config->schedule_ahead,
                          .ahead = config->schedule_ahead};
    struct kv_layout layout = replica_kv_layout(config);
    if ((!leader && kv_pool_init(r->kv, config->kv_blocks, &layout, config->prefix_caching)) ||
        decode_set_init(&r->decodes, &layout))
        return error_no_memory(err);
    r->view =
        (struct replica_view){.waiting = waiting  ? waiting
                                         : leader ? leader->view.waiting
                                                  : &r->own_waiting,
                              .shared_queue = waiting || leader,
                              .ordered = config->order && (config->order->key || config->order->arrange),
                              .reorders = config->order && (config->order->served || config->order->begins),
                              .victims_by = config->order && config->order->ranks_preempted ? config->order : NULL,
                              .victims_params = config->order_params,
                              .running = &r->running,
                              .admission = config->admission,
                              .kv = layout,
                              .kv_total_blocks = config->kv_blocks,
                              .finds_prefixes = config->prefix_caching && !config->batching->holds_finished_kv,
                              .shares = config->batching->shares,
                              .host_memory = &r->swap,
                              .max_tokens = config->max_tokens,
                              .verbs = &verbs,
                              .replica = r};
    sync_view(r);
    if (r->order && r->order->create && r->order->create(&r->order_state, config->order_params, err))
        return -1;
    return create_policy(r, err);
}

void replica_release(struct replica *r)
{
    destroy_policy(r);
    if (r->order && r->order->destroy && r->order_state)
        r->order->destroy(r->order_state);
    r->order_state = NULL;
    decode_set_release(&r->decodes);
    kv_pool_destroy(&r->own_kv);
    free(r->batch.items);
    free(r->next.items);
    free(r->leaving);
    free(r->prefilling);
    free(r->decoders);
    r->batch.items = r->next.items = NULL;
    r->prefilling = r->leaving = r->decoders = NULL;
}

/* Of the pool, that a request of so many tokens may take at once; a prefix that it finds may come on top of what the
 * windowed groups need for an iteration of its own. */
static uint64_t most_blocks(const struct replica *r, uint64_t tokens)
{
    const struct kv_layout *l = &r->kv->layout;
    if (l->groups.windowed == 0)
        return kv_layout_full(l, tokens);
    uint64_t found = r->view.finds_prefixes ? l->groups.window + l->block_tokens : 0; /* whole blocks of it */
    return kv_layout_blocks(l, tokens, 0, l->step_tokens + found);
}

const char *replica_refuses(const struct replica *r, const struct request *request)
{
    uint64_t tokens = (uint64_t)request->prompt_tokens + request->max_output_tokens;
    uint64_t kept = r->view.decodes_elsewhere ? request->prompt_tokens : tokens;
    if (request->prompt_tokens == 0)
        return "empty prompt";
    if (request->output_tokens == 0)
        return "no output tokens";
    if (tokens > r->view.max_tokens)
        return "longer than the model's longest sequence";
    if (most_blocks(r, kept) > r->kv->total_blocks)
        return "longer than the KV pool";
    return r->batching->refuses ? r->batching->refuses(r->batching_state, &r->view, request) : NULL;
}

int replica_enqueue(struct replica *r, struct request *request, sim_time now)
{
    if (arranges(r) && r->order->joins) {
        replica_catch_up(r, now);
        account_served(r);
        if (r->order->joins(r->order_state, request))
            return -1;
    }
    order_insert(r->order, r->order_params, r->view.waiting, request);
    r->extra += request->prediction;
    r->load->outstanding_requests++;
    uint64_t prompt = request->generated == 0 ? request->prompt_tokens : 0; /* unless it has its first token already */
    r->load->outstanding_tokens += prompt + request->max_output_tokens;
    r->load->prompt_tokens += prompt;
    r->load->predicted_kv_tokens += (uint64_t)request->prompt_tokens + request->predicted_tokens;
    return 0;
}

static void unload(struct replica *r, const struct request *request)
{
    uint64_t prompt = request->generated == 0 ? request->prompt_tokens : 0;
    r->load->outstanding_requests--;
    r->load->outstanding_tokens -= prompt + request->max_output_tokens;
    r->load->prompt_tokens -= prompt;
    r->load->predicted_kv_tokens -= (uint64_t)request->prompt_tokens + request->predicted_tokens;
}

void replica_drop(struct replica *r, struct request *request)
{
    order_remove(r->view.waiting, request);
    if (request->swapped_to)
        leave_swap(r, request);
    unload(r, request);
}

void replica_abort(struct replica *r, sim_time now)
{
    replica_catch_up(r, now + 1);
    assert(r->busy && !r->counted);
    for (struct request *q = r->running.head; q; q = q->next)
        q->parts[PART_PREEMPTED] += now - r->stretch.start;
    r->busy = false;
}

int replica_evict(struct replica *r, sim_time now, struct request_list *out, struct error *err)
{
    assert(!r->busy && !arranges(r));
    batch_clear(&r->next);
    r->next_formed = false;
    r->view.prefilling_count = 0;
    for (struct request *q; (q = r->running.head);) {
        if (q->decode.in)
            decode_set_leave(&r->decodes, q);
        q->prefilling = false;
        q->computed = 0;
        q->waiting_since = now;
        kv_pool_release(r->kv, q, now);
        request_list_remove(&r->running, q);
        unload(r, q);
        request_list_insert(out, q, NULL);
    }
    for (struct request *q; !r->view.shared_queue && (q = r->view.waiting->head);) {
        replica_drop(r, q);
        request_list_insert(out, q, NULL);
    }
    kv_pool_release_parked(r->kv, now);
    kv_pool_forget(r->kv, now);
    r->extra = 0;
    r->carry = 0;
    sync_view(r);
    destroy_policy(r); /* it may remember who was in its batch */
    return create_policy(r, err);
}

static bool told_ahead(const struct replica *r, sim_time now)
{
    return r->busy && (r->counted || r->told) && stretch_end(&r->stretch, r->stretch.count) > now;
}

sim_time replica_busy_more(const struct replica *r, sim_time now)
{
    if (told_ahead(r, now))
        return now - stretch_end(&r->stretch, r->stretch.count);
    bool is_void = stretch_end(&r->stretch, 1) > r->fails_at; /* it will be aborted, and count for nothing */
    return r->busy && !r->counted && !r->told && !is_void ? now - r->stretch.start : 0;
}

uint64_t replica_tokens_less(const struct replica *r, sim_time now)
{
    return told_ahead(r, now) ? r->told_tokens : 0;
}

uint32_t replica_cached_tokens(const struct replica *r, const struct request *request)
{
    return view_cached_tokens(&r->view, request);
}

static bool make_list(struct request ***list, size_t capacity, size_t needed)
{
    struct request **grown = array_grow(*list, &capacity, needed, sizeof(*grown));
    if (grown)
        *list = grown;
    return grown != NULL;
}

static bool make_items(struct batch *b, size_t needed)
{
    struct batch_item *grown = array_grow(b->items, &b->capacity, needed, sizeof *grown);
    if (grown)
        b->items = grown;
    return grown != NULL;
}

static bool make_room(struct replica *r)
{
    size_t needed = r->running.count + r->view.waiting->count;
    if (needed <= r->room)
        return true;
    if (needed < 2 * r->room)
        needed = 2 * r->room;
    if (!make_items(&r->batch, needed) || (r->ahead && !make_items(&r->next, needed)) ||
        (r->ahead && !make_list(&r->leaving, r->room, needed)) || !make_list(&r->prefilling, r->room, needed) ||
        (r->executor.sees_decoders && !make_list(&r->decoders, r->room, needed)) ||
        decode_set_make_room(&r->decodes, needed))
        return false;
    r->view.prefilling = r->prefilling;
    r->room = needed;
    return true;
}

bool replica_reserve_inbound(struct replica *r, struct request *request, sim_time now)
{
    uint32_t held = request->kv_blocks, window = request->kv_window;
    uint32_t tokens = view_admission_tokens(&r->view, request, request->computed + 1);
    request->kv_blocks = request->kv_window = 0;
    bool reserved = kv_pool_reserve(r->kv, request, tokens, now);
    request->source_blocks = held;
    request->source_window = window;
    if (!reserved) {
        request->kv_blocks = held;
        request->kv_window = window;
    }
    sync_view(r);
    return reserved;
}

void replica_release_source(struct replica *r, struct request *request, sim_time now)
{
    uint32_t elsewhere = request->kv_blocks, window = request->kv_window, left = request->kv_left;
    request->kv_blocks = request->source_blocks;
    request->kv_window = request->source_window;
    kv_pool_release(r->kv, request, now);
    request->kv_blocks = elsewhere;
    request->kv_window = window;
    request->kv_left = left;
    sync_view(r);
}

int replica_join(struct replica *r, struct request *request, sim_time at)
{
    assert(!r->next_formed && request_decodes(request));
    request_list_insert(&r->running, request, NULL);
    if (!make_room(r))
        return -1;
    request->parts[PART_TRANSFER] += at - request->waiting_since;
    decode_set_join(&r->decodes, request);
    sync_view(r);
    return 0;
}

void replica_leave(struct replica *r, struct request *request, sim_time at)
{
    request->waiting_since = at;
    decode_set_leave(&r->decodes, request);
    request_list_remove(&r->running, request);
    sync_view(r);
}

int replica_take_over(struct replica *r, struct request *request, sim_time at)
{
    if (replica_join(r, request, at))
        return -1;
    request->taken_over = at;
    tell_taken_over(r->observer, r->station, request);
    return 0;
}

/* First scheduling of a request ends its queueing; stamps tell later who was in this batch. */
static void mark_scheduled(struct replica *r, sim_time now)
{
    r->batches++;
    for (size_t i = 0; i < r->batch.count; i++) {
        struct request *request = r->batch.items[i].req;
        request->batch_stamp = r->batches;
        if (request->scheduled)
            continue;
        request->scheduled = true;
        request->first_scheduled = now;
        tell_scheduled(r->observer, r->station, request);
    }
}

static bool has_windows(const struct replica *r)
{
    return r->decodes.drops != NULL;
}

/* Blocks that the batch's only prompt lacks for `iterations` chunks of it; of models without windows. */
static uint64_t chunk_blocks(const struct replica *r, uint64_t iterations)
{
    const struct batch_item *item = &r->batch.items[0];
    uint64_t blocks = kv_layout_full(&r->kv->layout, item->req->computed + iterations * item->new_tokens);
    return blocks > item->req->kv_blocks ? blocks - item->req->kv_blocks : 0;
}

/* Chunks of the batch's only prompt until it is past what it had computed before: its time is booked elsewhere then. */
static uint64_t chunks_computed_again(const struct replica *r)
{
    const struct batch_item *item = &r->batch.items[0];
    uint32_t again = item->req->peak_computed - item->req->computed;
    return again > 0 ? (again + item->new_tokens - 1) / item->new_tokens : STRETCH_MAX;
}

/* Steps of the decodes that the free blocks are enough for. Blocks come back on the way, so if somebody waits for some,
 * the steps end as soon as more are free than were when they were refused. */
static uint64_t windowed_steps(const struct replica *r, uint64_t most)
{
    bool awaited = r->batch.awaits_blocks || r->blocks_awaited || (r->closed && r->view.waiting->count > 0);
    uint64_t free_blocks = r->kv->free_blocks;
    return decode_set_windowed_steps_within(&r->decodes, free_blocks + decode_set_blocks(&r->decodes),
                                            awaited ? free_blocks : UINT64_MAX, most);
}

/* How many iterations can run before anything but an arrival changes the batch. */
static uint64_t stretch_length(const struct replica *r)
{
    const struct batch *b = &r->batch;
    if (r->step || b->stable_iterations == 1 || r->cost.steady == 1 || b->count > 1 ||
        (b->count == 1 && has_windows(r)))
        return 1; /* with windows a chunk gives blocks back before the next one */
    uint64_t most = b->stable_iterations, free_blocks = r->kv->free_blocks;
    if (most > r->cost.steady)
        most = r->cost.steady;
    if (most > STRETCH_MAX)
        most = STRETCH_MAX;
    if (b->decodes && most > decode_set_steps_left(&r->decodes))
        most = decode_set_steps_left(&r->decodes);
    if (b->count == 1 && most > chunks_computed_again(r))
        most = chunks_computed_again(r);
    if (b->count == 1) {
        uint64_t blocks = chunk_blocks(r, most);
        if (blocks > free_blocks)
            return 1;
        free_blocks -= blocks;
    }
    if (b->decodes)
        most = has_windows(r)
                   ? windowed_steps(r, most)
                   : decode_set_steps_within(&r->decodes, free_blocks + decode_set_blocks(&r->decodes), most);
    bool sums_fit = r->cost.total <= STRETCH_FINE_MAX && r->cost.growth <= STRETCH_FINE_MAX / STRETCH_MAX;
    return sums_fit ? most : 1;
}

static void run_ahead(struct replica *r, sim_time end);

/* Nobody waits, as far as the policy sees; who is preempted waits first of all. */
static void form_closed(struct replica *r, struct batch *b)
{
    struct request_list *queue = r->view.waiting, preempted = {0};
    r->view.waiting = &preempted;
    r->batching->form_batch(r->batching_state, &r->view, b);
    r->view.waiting = queue;
    for (struct request *q; (q = preempted.tail);) {
        order_remove(&preempted, q);
        order_insert_preempted(r->order, r->order_params, queue, q);
    }
}

/* Those at the head of a shared queue whom another replica, which has formed its next batch ahead, preempts after `at`.
 */
static struct request_list set_aside(struct request_list *waiting, sim_time at)
{
    struct request_list later = {0};
    while (waiting->head && waiting->head->waiting_since > at) {
        struct request *q = waiting->head;
        order_remove(waiting, q);
        request_list_insert(&later, q, NULL);
    }
    return later;
}

static void put_back(struct replica *r, struct request_list *later, struct batch *b)
{
    for (struct request *q; (q = later->tail);) {
        if (batch_is_empty(b) && q->waiting_since < b->wake_at)
            b->wake_at = q->waiting_since;
        request_list_remove(later, q);
        order_insert_preempted(r->order, r->order_params, r->view.waiting, q);
    }
}

/* Asks the policy for a batch that starts at `at`; it stays empty when there is nothing to do, or no memory. */
static void form_batch(struct replica *r, struct batch *b, sim_time at)
{
    batch_clear(b);
    if (r->running.count + r->view.waiting->count == 0 || !make_room(r))
        return;
    r->view.now = at;
    r->decodes_taken = false;
    sync_view(r);
    if (arranges(r) && r->view.waiting->count > 0) {
        account_served(r);
        if (r->order->begins)
            r->order->begins(r->order_state, &r->view);
        r->order->arrange(r->order_state, r->view.waiting);
    }
    struct request_list later = set_aside(r->view.waiting, at);
    if (r->closed)
        form_closed(r, b);
    else
        r->batching->form_batch(r->batching_state, &r->view, b);
    if (later.count > 0)
        put_back(r, &later, b);
}

/* The batch formed ahead takes the place of the one that has ended, which lends its items in return. */
static void take_next(struct replica *r)
{
    struct batch ended = r->batch;
    r->batch = r->next;
    r->next = ended;
    r->next_formed = false;
}

void replica_wait(struct replica *r, sim_time now)
{
    sim_time waited = now - r->ended;
    if (r->running.count > 0)
        r->decodes.stall += waited;
    for (size_t i = 0; i < r->view.prefilling_count; i++) {
        struct request *q = r->prefilling[i];
        q->parts[q->computed < q->peak_computed ? PART_PREEMPTED : PART_PREFILL_STALL] += waited;
    }
    r->ended = now;
}

/* Those who decode, in order of admission. */
static void name_decoders(struct replica *r)
{
    size_t count = 0;
    for (struct request *q = r->running.head; q; q = q->next)
        if (q->decode.in) {
            decode_set_settle(&r->decodes, q);
            r->decoders[count++] = q;
        }
    r->batch.decoders = r->decoders;
}

/* Has the batch of the next iteration formed; false when there is nothing to do. */
static bool prepare_batch(struct replica *r, sim_time now)
{
    assert(!r->busy);
    if (r->running.count == 0 && r->kv->parked_blocks > 0)
        kv_pool_release_parked(r->kv, now);
    r->view.evicted = 0;
    if (r->next_formed)
        take_next(r);
    else
        form_batch(r, &r->batch, now);
    if (batch_is_empty(&r->batch)) {
        assert(r->running.count == 0); /* a policy always serves somebody it has admitted */
        r->carry = 0;
        return false;
    }
    r->batch.start = now;
    mark_scheduled(r, now);
    if (r->executor.sees_longest && batch_steps(&r->batch) && r->batch.decode_longest < decode_set_longest(&r->decodes))
        r->batch.decode_longest = decode_set_longest(&r->decodes);
    if (r->executor.sees_decoders && r->batch.decodes > 0)
        name_decoders(r);
    return true;
}

/* Sets the batch going, whose cost is known. Returns when its stretch ends. */
static sim_time set_going(struct replica *r, sim_time now)
{
    r->stretch.start = now;
    r->stretch.carry = r->carry;
    r->stretch.first = r->cost.total;
    r->stretch.growth = r->cost.growth;
    r->stretch.count = stretch_length(r);
    r->busy = true;
    sim_time end = stretch_end(&r->stretch, r->stretch.count);
    r->counted = r->ahead && end <= r->fails_at;
    if (r->counted)
        run_ahead(r, end);
    return end;
}

/* What the iteration costs, swapping and predictions first. */
static void cost_batch(struct replica *r)
{
    r->executor.run(r->executor.state, &r->batch, &r->cost);
    if (r->extra == 0)
        return;
    r->cost.total += (fine_time)r->extra << FINE_BITS;
    r->cost.steady = 1;
    r->cost.growth = 0;
    r->extra = 0;
    r->swaps_in = r->swaps_out = false;
}

sim_time replica_start(struct replica *r, sim_time now)
{
    if (!prepare_batch(r, now))
        return r->batch.wake_at;
    cost_batch(r);
    return set_going(r, now);
}

sim_time replica_start_group(struct replica *ranks, size_t count, sim_time now)
{
    uint64_t tokens = 0, most = 0;
    fine_time carry = 0, total = 0;
    sim_time wake_at = SIM_TIME_NEVER, end = SIM_TIME_NEVER;
    for (size_t i = 0; i < count; i++) {
        struct replica *r = &ranks[i];
        if (prepare_batch(r, now)) {
            uint64_t own = batch_padded_tokens(&r->batch);
            tokens += own;
            most = own > most ? own : most;
        } else if (r->batch.wake_at < wake_at) {
            wake_at = r->batch.wake_at;
        }
        carry = r->carry > carry ? r->carry : carry;
    }
    if (tokens == 0)
        return wake_at;
    for (size_t i = 0; i < count; i++) {
        struct replica *r = &ranks[i];
        if (batch_is_empty(&r->batch))
            continue;
        r->batch.group_tokens = tokens;
        r->batch.group_most = most;
        cost_batch(r);
        total = r->cost.total > total ? r->cost.total : total;
    }
    for (size_t i = 0; i < count; i++) {
        ranks[i].carry = carry;
        ranks[i].cost.total = total;
        if (!batch_is_empty(&ranks[i].batch))
            end = set_going(&ranks[i], now);
    }
    return end;
}

sim_time replica_cut(struct replica *r, sim_time from)
{
    r->stretch.count = stretch_ends_by(&r->stretch, from);
    return stretch_end(&r->stretch, r->stretch.count);
}

static void finish_request(struct replica *r, struct request *q, sim_time now)
{
    request_list_remove(&r->running, q);
    order_leaves(r, q);
    if (r->view.finds_prefixes && q->kv_blocks > 0)
        kv_pool_share(r->kv, q, q->computed, now);
    if (r->batching->holds_finished_kv)
        kv_pool_park(r->kv, q);
    else
        kv_pool_release(r->kv, q, now);
    r->load->outstanding_requests--;
    r->load->outstanding_tokens -= q->max_output_tokens;
    r->load->predicted_kv_tokens -= (uint64_t)q->prompt_tokens + q->predicted_tokens;
    tell_finished(r->observer, r->station, q);
    if (r->recycle)
        r->recycle(r->owner, q);
}

/* It has its first token and decodes elsewhere; what it holds here stays taken until its KV has been pulled. */
static void leave_for_decode(struct replica *r, struct request *q, sim_time now)
{
    request_list_remove(&r->running, q);
    order_leaves(r, q);
    r->load->outstanding_requests--;
    r->load->outstanding_tokens -= q->max_output_tokens;
    r->load->predicted_kv_tokens -= (uint64_t)q->prompt_tokens + q->predicted_tokens;
    q->leaving = false;
    q->waiting_since = now;
    q->source = r->station;
    tell_handed_over(r->observer, r->station, q);
    r->hand_over(r->owner, r, q, now);
}

static void depart(struct replica *r, struct request *q, sim_time now)
{
    (q->generated == q->output_tokens ? finish_request : leave_for_decode)(r, q, now);
}

/* Whether it is certain before the iteration ends that a request has its last token here: by its limit, or since it
 * goes elsewhere to decode. */
static bool ends_by_limit(const struct replica *r, const struct request *q)
{
    return q->generated < q->output_tokens || q->output_tokens == q->max_output_tokens ||
           (r->hand_over && q->generated == 1);
}

static void leave_later(struct replica *r, struct request *q)
{
    q->leaving = ends_by_limit(r, q);
    q->ended = !q->leaving;
    r->leaving[r->leaving_count++] = q;
}

/* A request has its last token here: it goes, or, scheduling ahead, it goes when the iteration has ended. */
static inline void retire(struct replica *r, struct request *q, sim_time now)
{
    if (r->ahead)
        leave_later(r, q);
    else
        depart(r, q, now);
}

/* Tells of the first n iterations of the stretch, and of the gaps before their tokens that are not theirs alone. */
static void tell(struct replica *r, uint64_t n, sim_time end)
{
    struct iteration_record record = {
        .replica = r->station, .stretch = &r->stretch, .count = n, .end = end, .batch = &r->batch, .cost = &r->cost};
    const struct decode_set *d = &r->decodes;
    for (size_t i = 0; batch_steps(&r->batch) && i < d->age_count; i++) {
        if (d->ages[i].at == r->stretch.start) {
            record.steady = d->ages[i].count;
        } else {
            sim_time first_end = n == 1 ? end : stretch_end(&r->stretch, 1);
            tell_gap(r->observer, first_end, first_end - d->ages[i].at, d->ages[i].count);
        }
    }
    tell_iterated(r->observer, &record);
}

/* Blocks that the decodes took when iterations first … last − 1 of the stretch started. */
static void take_blocks(struct replica *r, uint64_t first, uint64_t last)
{
    struct crossing_sums sums = decode_set_crossings(&r->decodes, first, last);
    if (sums.blocks == 0)
        return;
    const struct stretch *s = &r->stretch;
    wide_sum times = sums.blocks * kv_pool_time(s->start, s->carry) + (wide_sum)sums.steps * s->first +
                     (wide_sum)sums.pairs * s->growth;
    kv_pool_take(r->kv, sums.blocks, times);
}

/* The same where layers have windows: blocks are taken when an iteration starts, and come back when it has ended. */
static void move_window(struct replica *r, uint64_t ended, uint64_t started)
{
    const struct stretch *s = &r->stretch;
    for (uint64_t i = 0; i < ended; i++) {
        wide_sum time = kv_pool_time(s->start, stretch_fine(s, i + 1));
        uint64_t left = decode_set_window_step(&r->decodes, i).left;
        kv_pool_give_back(r->kv, left, left * time);
        uint64_t taken = i + 1 < started ? decode_set_window_step(&r->decodes, i + 1).taken : 0;
        if (taken > 0)
            kv_pool_take(r->kv, taken, taken * time);
    }
}

/* The same for the chunks of a prompt whose blocks are taken as it goes. */
static void take_chunk_blocks(struct replica *r, uint64_t first, uint64_t last)
{
    struct request *q = r->batch.items[0].req;
    for (uint64_t i = first; i < last; i++) {
        uint64_t blocks = chunk_blocks(r, i + 1);
        if (blocks == 0)
            continue;
        kv_pool_take(r->kv, blocks, blocks * kv_pool_time(stretch_end(&r->stretch, i), 0));
        q->kv_blocks += (uint32_t)blocks;
    }
}

/* Books time on the requests that are handled singly, to what they were doing meanwhile. */
static void account_single(const struct replica *r, struct request *q, sim_time total, sim_time own)
{
    bool in_batch = q->batch_stamp == r->batches;
    if (request_decodes(q)) {
        q->parts[PART_DECODE_OWN] += own;
        q->parts[PART_DECODE_INTERFERENCE] += total - own;
    } else if (q->computed < q->peak_computed) {
        q->parts[PART_PREEMPTED] += total;
    } else {
        q->parts[in_batch ? PART_PREFILL_OWN : PART_PREFILL_STALL] += total;
    }
}

/* Single decodes leave the set before the others' stall is booked on it. */
static void account_time(struct replica *r, sim_time total)
{
    sim_time own = (sim_time)(r->cost.decode_alone >> FINE_BITS);
    if (own > total)
        own = total;
    for (size_t i = 0; i < r->batch.count; i++) {
        struct request *q = r->batch.items[i].req;
        if (!q || !q->decode.in)
            continue;
        decode_set_leave(&r->decodes, q);
        account_single(r, q, total, own);
    }
    for (size_t i = 0; i < r->view.prefilling_count; i++)
        account_single(r, r->prefilling[i], total, own);
    if (!batch_steps(&r->batch))
        r->decodes.stall += total;
}

/* The iteration that computes a request's last known token also yields its next one. */
static void emit_token(struct replica *r, struct request *q, sim_time now)
{
    if (q->generated == 0) {
        q->first_token = now;
        r->load->outstanding_tokens -= q->prompt_tokens;
        r->load->prompt_tokens -= q->prompt_tokens;
    } else {
        tell_gap(r->observer, now, now - q->last_token, 1);
    }
    q->generated++;
    q->last_token = now;
}

/* Counts `tokens` more of the request's as computed. */
static void compute(struct replica *r, struct request *q, uint32_t tokens, sim_time now)
{
    uint32_t again = q->peak_computed - q->computed;
    q->recomputed_tokens += tokens < again ? tokens : again;
    q->computed += tokens;
    if (q->computed > q->peak_computed)
        q->peak_computed = q->computed;
    if (r->view.finds_prefixes && r->view.shares != SHARE_FINISHED)
        kv_pool_share(r->kv, q, q->computed, now);
    if (has_windows(r))
        kv_pool_slide(r->kv, q, now);
}

static void compute_single(struct replica *r, struct request *q, uint32_t tokens, sim_time now)
{
    bool decoded = !q->prefilling; /* here, before: where it decodes has been decided */
    compute(r, q, tokens, now);
    if (request_uncomputed(q) == 0)
        emit_token(r, q, now);
    bool finished = q->generated == q->output_tokens;
    q->prefilling = !finished && !request_decodes(q);
    bool stays = !finished && (q->prefilling || decoded || (r->keeps ? r->keeps(r->owner, r, q, now) : !r->hand_over));
    if (!stays)
        retire(r, q, now);
    else if (!q->prefilling)
        decode_set_join(&r->decodes, q);
}

/* The first n iterations of the stretch have ended. */
static void apply(struct replica *r, uint64_t n, sim_time end)
{
    const struct batch *b = &r->batch;
    sim_time total = end - r->stretch.start;
    uint64_t started = n < r->stretch.count ? n + 1 : n;
    if (!r->told)
        tell(r, n, end);
    r->iterations += n;
    if (b->count > 0 || r->view.prefilling_count > 0)
        account_time(r, total);
    if (b->count == 1 && started > 1)
        take_chunk_blocks(r, 1, started);
    if (batch_steps(b)) {
        bool alone = b->count == 0;
        r->decodes.own +=
            alone ? (fine_time)total << FINE_BITS : n * r->cost.decode_alone + (n * (n - 1) / 2) * r->cost.alone_growth;
        r->decodes.stepping += total;
        if (has_windows(r))
            move_window(r, n, started);
        else
            take_blocks(r, 1, started);
        decode_set_advance(&r->decodes, n, end);
        r->decodes_taken = false;
    }
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].req)
            compute_single(r, b->items[i].req, (uint32_t)n * b->items[i].new_tokens, end);
    if (b->count > 0)
        close_ranks(&r->view);
}

void replica_catch_up(struct replica *r, sim_time now)
{
    if (!r->busy || r->stretch.count == 1)
        return;
    uint64_t n = stretch_ends_by(&r->stretch, now) - 1;
    if (n == 0)
        return;
    apply(r, n, stretch_end(&r->stretch, n));
    stretch_drop(&r->stretch, n);
    r->batch.decode_kv += n * r->batch.decodes;
    r->batch.decode_longest += r->batch.decode_longest > 0 ? n : 0;
    r->batch.row_kv += (uint32_t)n;
    r->cost.total += n * r->cost.growth;
    r->cost.decode_alone += n * r->cost.alone_growth;
    for (int i = 0; i < COST_SOURCES; i++)
        r->cost.by[i] += n * r->cost.by_growth[i];
}

static void retire_decodes(struct replica *r, sim_time now)
{
    for (struct request *q; (q = decode_set_due(&r->decodes));) {
        if (q->generated < q->output_tokens) {
            kv_pool_slide(r->kv, q, now);
            decode_set_watch(&r->decodes, q);
            continue;
        }
        decode_set_leave(&r->decodes, q);
        retire(r, q, now);
    }
}

/* Requests that have ended before their limit decode on, as far as the policy sees. */
static void keep_ended(struct replica *r)
{
    for (size_t i = 0; i < r->leaving_count; i++)
        if (r->leaving[i]->ended)
            decode_set_join(&r->decodes, r->leaving[i]);
}

/* The iteration's tokens are counted as it starts, and the next batch is formed as if it had ended. */
static void run_ahead(struct replica *r, sim_time end)
{
    r->told_tokens = batch_outputs(&r->batch);
    apply(r, 1, end);
    retire_decodes(r, end);
    if (r->receive)
        r->receive(r->owner, r, end);
    keep_ended(r);
    form_batch(r, &r->next, end);
    r->next_formed = !batch_is_empty(&r->next);
}

/* A request that has ended goes before the next batch starts, in which its row is wasted if it stands there. */
static void waste_row(struct replica *r, struct request *q)
{
    uint32_t rows = r->next_formed ? batch_take_out(&r->next, q) : 0;
    leave_decodes(r, q);
    batch_add_wasted(&r->next, rows, q->computed);
}

void replica_finish(struct replica *r, sim_time now)
{
    assert(r->busy);
    r->busy = false;
    r->ended = now;
    r->carry = stretch_fine(&r->stretch, r->stretch.count) & ((1 << FINE_BITS) - 1);
    r->counted = false;
    if (r->ahead) {
        for (size_t i = 0; i < r->leaving_count; i++) {
            if (r->leaving[i]->decode.in)
                waste_row(r, r->leaving[i]);
            depart(r, r->leaving[i], now);
        }
        r->leaving_count = 0;
        return;
    }
    apply(r, r->stretch.count, now);
    r->told = false;
    retire_decodes(r, now);
}

/* Puts a prompt in its place by admission. */
static void insert_admitted(struct request_list *list, struct request *q)
{
    struct request *at = list->tail;
    while (at && at->admitted > q->admitted)
        at = at->prev;
    request_list_insert(list, q, at ? at->next : list->head);
}

int replica_take_prompts(struct replica *r, struct request_list *prompts)
{
    struct request_list taken = *prompts;
    if (taken.count == 0)
        return 0;
    *prompts = (struct request_list){0};
    for (struct request *q = taken.head, *next; q; q = next) {
        next = q->next;
        insert_admitted(&r->running, q);
    }
    if (!make_room(r))
        return -1;
    for (struct request *q = r->running.head; q; q = q->next)
        if (q->prefilling)
            r->view.prefilling[r->view.prefilling_count++] = q;
    return 0;
}

void replica_pass_prompts(struct replica *r, struct request_list *prompts, sim_time now, sim_time end)
{
    r->told_tokens = batch_outputs(&r->batch);
    tell(r, 1, end);
    r->told = true;
    for (size_t i = 0; i < r->batch.count; i++) {
        struct batch_item *item = &r->batch.items[i];
        struct request *q = item->req;
        if (!q->prefilling)
            continue;
        book_chunk(q, now);
        q->chunk_end = item->new_tokens == request_uncomputed(q) ? SIM_TIME_NEVER : end;
        if (q->chunk_end == SIM_TIME_NEVER)
            continue; /* it decodes here */
        q->chunk_part = q->computed < q->peak_computed ? PART_PREEMPTED : PART_PREFILL_OWN;
        compute(r, q, item->new_tokens, now);
        item->req = NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < r->view.prefilling_count; i++) {
        struct request *q = r->prefilling[i];
        if (q->chunk_end == SIM_TIME_NEVER) {
            r->prefilling[kept++] = q;
        } else {
            request_list_remove(&r->running, q);
            insert_admitted(prompts, q);
        }
    }
    r->view.prefilling_count = kept;
}
