/* SPDX-License-Identifier: MIT */
/* A replica comes up, takes requests in, loses them, and goes. */
#include <assert.h>
#include <stdlib.h>

#include "base/array.h"
#include "sim/replica_parts.h"

static int create_policies(struct replica *r, struct error *err)
{
    if (r->order && r->order->create && r->order->create(&r->order_state, r->order_params, err))
        return -1;
    return r->batching->create ? r->batching->create(&r->batching_state, r->batching_params, err) : 0;
}

static void destroy_policies(struct replica *r)
{
    if (r->batching && r->batching->destroy && r->batching_state)
        r->batching->destroy(r->batching_state);
    if (r->order && r->order->destroy && r->order_state)
        r->order->destroy(r->order_state);
    r->batching_state = r->order_state = NULL;
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

int replica_create(struct replica **out, const struct replica_place *place, const struct replica_config *config,
                   struct executor executor, const struct observer *observer, struct error *err)
{
    struct replica *r = *out = malloc(sizeof *r), *leader = place->leader;
    struct request_list *waiting = place->waiting;
    if (!r)
        return error_no_memory(err);
    *r = (struct replica){.id = place->id,
                          .station = place->station,
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
                          .step = config->step,
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
                              .ahead = config->schedule_ahead,
                              .kv = layout,
                              .kv_total_blocks = config->kv_blocks,
                              .finds_prefixes = config->prefix_caching && !config->batching->holds_finished_kv,
                              .shares = config->batching->shares,
                              .host_memory = &r->swap,
                              .max_tokens = config->max_tokens,
                              .verbs = &replica_own_verbs,
                              .replica = r};
    replica_sync_view(r);
    return create_policies(r, err);
}

void replica_connect(struct replica *r, const struct replica_host *host)
{
    r->host = *host;
    r->step |= host->step;
    r->view.decodes_elsewhere = host->hand_over && !host->keeps;
    r->tiers = host->tiers;
    r->view.loads = r->tiers && r->view.finds_prefixes;
    r->kv->notes_evicted |= r->view.loads;
}

void replica_destroy(struct replica *r)
{
    if (!r)
        return;
    destroy_policies(r);
    decode_set_release(&r->decodes);
    kv_pool_destroy(&r->own_kv);
    free(r->batch.items);
    free(r->next.items);
    free(r->leaving);
    free(r->prefilling);
    free(r->decoders);
    free(r);
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
    uint64_t kept = r->view.decodes_elsewhere && !r->host.takes_back ? request->prompt_tokens : tokens;
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
    if (replica_arranges(r) && r->order->joins) {
        replica_catch_up(r, now);
        replica_account_served(r);
        if (r->order->joins(r->order_state, request))
            return -1;
    }
    order_insert(r->order, r->order_params, r->view.waiting, request);
    r->extra += request->prediction;
    r->queue_changed = true;
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

void replica_drop(struct replica *r, struct request *request, sim_time now)
{
    if (replica_arranges(r) && r->order->withdrawn) {
        replica_catch_up(r, now);
        replica_account_served(r);
        r->order->withdrawn(r->order_state, request);
    }
    order_remove(r->view.waiting, request);
    r->queue_changed = true;
    if (request->swapped_to)
        replica_leave_swap(r, request);
    unload(r, request);
}

void replica_abort(struct replica *r, sim_time now)
{
    if (!r->busy) {
        if (r->running.count > 0)
            replica_wait(r, now); /* a micro-batch, for its first stage */
        return;
    }
    replica_catch_up(r, now + 1);
    assert(!r->counted && !r->told);
    for (struct request *q = r->running.head; q; q = q->next)
        q->parts[PART_PREEMPTED] += q->loading ? 0 : now - r->stretch.start;
    r->busy = false;
}

/* A request that runs here has lost its KV. */
static void lose_kv(struct replica *r, struct request *q, sim_time now, struct request_list *out)
{
    if (q->decode.in)
        decode_set_leave(&r->decodes, q);
    q->parts[PART_LOAD] += q->loading ? now - q->admitted : 0;
    q->prefilling = q->loading = false;
    q->units_kept = 0;
    q->computed = 0;
    q->waiting_since = now;
    kv_pool_release(r->kv, q, now);
    unload(r, q);
    request_list_insert(out, q, NULL);
}

/* Of those that wait in its own queue. Where an order arranges it, who stands where depends on when it was asked last.
 */
static struct request *first_to_go(const struct replica *r)
{
    return replica_arranges(r) ? r->view.waiting->oldest : r->view.waiting->head;
}

int replica_evict(struct replica *r, struct request_list *prompts, sim_time now, struct request_list *out,
                  struct error *err)
{
    assert(!r->busy);
    batch_clear(&r->next);
    r->next_formed = false;
    if (replica_arranges(r))
        replica_account_served(r); /* what they were served of goes with them, and does not count again elsewhere */
    r->view.prefilling_count = r->loading = 0;
    for (struct request *q; (q = r->running.head);) {
        request_list_remove(&r->running, q);
        lose_kv(r, q, now, out);
    }
    for (struct request *q; (q = prompts->head);) {
        request_list_remove(prompts, q);
        replica_book_chunk(q, now);
        lose_kv(r, q, now, out);
    }
    for (struct request *q; !r->view.shared_queue && (q = first_to_go(r));) {
        replica_drop(r, q, now);
        request_list_insert(out, q, NULL);
    }
    r->extra = 0;
    r->carry = 0;
    return replica_forget(r, now, err);
}

int replica_forget(struct replica *r, sim_time now, struct error *err)
{
    if (r->kv == &r->own_kv) {
        kv_pool_release_parked(r->kv, now);
        kv_pool_forget(r->kv, now);
        r->kv->evicted_count = 0;
        if (r->tiers)
            tiers_fail(r->tiers, now);
    }
    replica_sync_view(r);
    destroy_policies(r); /* they may remember who was here */
    return create_policies(r, err);
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

bool replica_make_room(struct replica *r)
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

static struct kv_holding holding_of(const struct request *q)
{
    return (struct kv_holding){q->kv_blocks, q->kv_window, q->kv_left, q->units, q->unit_blocks};
}

static void set_holding(struct request *q, struct kv_holding h)
{
    q->kv_blocks = h.blocks;
    q->kv_window = h.window;
    q->kv_left = h.left;
    q->units = h.units;
    q->unit_blocks = h.unit_blocks;
}

static bool finds_received(const struct replica *r)
{
    return r->host.finds_received && r->view.finds_prefixes;
}

/* What the replica has of a request whose KV is to come. */
static void take_present(struct replica *r, struct request *request, sim_time now)
{
    struct kv_found found = kv_pool_find(r->kv, request);
    uint64_t tokens = (uint64_t)found.blocks * r->kv->layout.block_tokens;
    kv_pool_reclaim(r->kv, request, &found, now);
    request->present_tokens = tokens < request->computed ? (uint32_t)tokens : request->computed;
}

bool replica_reserve_inbound(struct replica *r, struct request *request, sim_time now)
{
    uint32_t tokens = view_admission_tokens(&r->view, request, request->computed + 1);
    request->source_kv = holding_of(request);
    request->present_tokens = 0;
    set_holding(request, (struct kv_holding){0});
    bool fits = !finds_received(r) || view_blocks_to_admit(&r->view, request, tokens) <= r->kv->free_blocks;
    if (fits && finds_received(r))
        take_present(r, request, now);
    bool reserved = fits && kv_pool_reserve(r->kv, request, tokens, now);
    if (!reserved) {
        kv_pool_release(r->kv, request, now);
        set_holding(request, request->source_kv);
    }
    replica_sync_view(r);
    return reserved;
}

void replica_drop_inbound(struct replica *r, struct request *request, sim_time now)
{
    kv_pool_release(r->kv, request, now);
    r->queue_changed = true;
    replica_sync_view(r);
}

void replica_cancel_inbound(struct replica *r, struct request *request, sim_time now)
{
    replica_drop_inbound(r, request, now);
    set_holding(request, request->source_kv);
}

void replica_give_back(struct replica *r, struct request *request, sim_time now)
{
    if (r->view.finds_prefixes)
        kv_pool_share(r->kv, request, request->computed, now);
    kv_pool_release(r->kv, request, now);
    r->queue_changed = true;
    replica_sync_view(r);
}

/* To the pool it is as if the request had finished: others may find what it computed. */
void replica_release_source(struct replica *r, struct request *request, sim_time now)
{
    struct kv_holding here = holding_of(request);
    set_holding(request, request->source_kv);
    replica_give_back(r, request, now);
    set_holding(request, here);
}

int replica_join(struct replica *r, struct request *request, sim_time at)
{
    assert(!r->next_formed && request_decodes(request));
    request_list_insert(&r->running, request, NULL);
    if (!replica_make_room(r))
        return -1;
    request->parts[PART_TRANSFER] += at - request->waiting_since;
    decode_set_join(&r->decodes, request);
    replica_sync_view(r);
    return 0;
}

void replica_leave(struct replica *r, struct request *request, sim_time at)
{
    request->waiting_since = at;
    decode_set_leave(&r->decodes, request);
    request_list_remove(&r->running, request);
    replica_sync_view(r);
}

/* It computes the last token of its prompt here, and has its first token from that. */
static int join_with_prompt(struct replica *r, struct request *request, sim_time at)
{
    assert(!r->next_formed);
    request_list_insert(&r->running, request, NULL);
    if (!replica_make_room(r))
        return -1;
    request->parts[PART_TRANSFER] += at - request->waiting_since;
    request->prefilling = true;
    request->admitted = request->booked = request->chunk_end = at;
    request->chunk_part = PART_PREFILL_OWN;
    r->view.prefilling[r->view.prefilling_count++] = request;
    replica_sync_view(r);
    return 0;
}

int replica_take_over(struct replica *r, struct request *request, sim_time at)
{
    if (finds_received(r) && r->view.shares != SHARE_FINISHED)
        kv_pool_share(r->kv, request, request->computed, at);
    if (request->generated == 0 ? join_with_prompt(r, request, at) : replica_join(r, request, at))
        return -1;
    request->taken_over = at;
    tell_taken_over(r->observer, r->station, request);
    return 0;
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
    if (!replica_make_room(r))
        return -1;
    for (struct request *q = r->running.head; q; q = q->next)
        if (q->prefilling)
            r->view.prefilling[r->view.prefilling_count++] = q;
    return 0;
}

/* The replica fails before the micro-batch has left the last stage: no chunk that follows could end, either. */
static void keep_void_chunks(struct replica *r, sim_time now)
{
    for (size_t i = 0; i < r->view.prefilling_count; i++) {
        replica_book_chunk(r->prefilling[i], now);
        r->prefilling[i]->chunk_end = SIM_TIME_NEVER;
    }
}

void replica_pass_prompts(struct replica *r, struct request_list *prompts, sim_time now, sim_time end)
{
    if (end > r->fails_at) {
        keep_void_chunks(r, now);
        return;
    }
    r->told_tokens = batch_outputs(&r->batch);
    replica_tell(r, 1, end);
    r->told = true;
    for (size_t i = 0; i < r->batch.count; i++) {
        struct batch_item *item = &r->batch.items[i];
        struct request *q = item->req;
        if (!q->prefilling)
            continue;
        replica_book_chunk(q, now);
        q->chunk_end = item->new_tokens == request_uncomputed(q) ? SIM_TIME_NEVER : end;
        if (q->chunk_end == SIM_TIME_NEVER)
            continue; /* it decodes here */
        q->chunk_part = q->computed < q->peak_computed ? PART_PREEMPTED : PART_PREFILL_OWN;
        replica_compute(r, q, item->new_tokens, now);
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
