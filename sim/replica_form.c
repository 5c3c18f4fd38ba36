/* SPDX-License-Identifier: MIT */
/* From a queue to an iteration that runs: the batch is formed, priced, and set going, as a stretch where it can be. */
#include <assert.h>
#include <math.h>

#include "sim/replica_parts.h"

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

/* Blocks that the batch's only prompt lacks for `iterations` chunks of it; of models without windows. */
uint64_t replica_chunk_blocks(const struct replica *r, uint64_t iterations)
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
        (b->count == 1 && replica_has_windows(r)))
        return 1; /* with windows a chunk gives blocks back before the next one */
    /* A block of a unit is taken at the start of a stretch, so that tiers learn of it in time. */
    uint64_t most = b->stable_iterations, free_blocks = r->tiers ? kv_pool_plain_blocks(r->kv) : r->kv->free_blocks;
    if (most > r->cost.steady)
        most = r->cost.steady;
    if (most > STRETCH_MAX)
        most = STRETCH_MAX;
    if (b->decodes && most > decode_set_steps_left(&r->decodes))
        most = decode_set_steps_left(&r->decodes);
    if (b->count == 1 && most > chunks_computed_again(r))
        most = chunks_computed_again(r);
    if (b->count == 1) {
        uint64_t blocks = replica_chunk_blocks(r, most);
        if (blocks > free_blocks)
            return 1;
        free_blocks -= blocks;
    }
    if (b->decodes)
        most = replica_has_windows(r)
                   ? windowed_steps(r, most)
                   : decode_set_steps_within(&r->decodes, free_blocks + decode_set_blocks(&r->decodes), most);
    bool sums_fit = r->cost.total <= STRETCH_FINE_MAX && r->cost.growth <= STRETCH_FINE_MAX / STRETCH_MAX;
    return sums_fit ? most : 1;
}

/* Whether somebody who waits may have to be looked at for the batch after the one that starts. */
static bool somebody_may_enter(const struct replica *r)
{
    bool waited_then = !r->queue_changed && !r->view.shared_queue; /* and could not enter */
    return r->view.waiting->count > 0 && !r->batch.arrivals_wait && !waited_then;
}

/* Scheduling ahead, of `most` iterations that could be a stretch: as many as the batch formed after each is the one at
 * hand again; the last one is by itself. Where an order keeps account of who has been served, each of them is: its
 * tokens count when it starts. */
static uint64_t length_ahead(struct replica *r, uint64_t most)
{
    r->repeats = false;
    if (r->batch_changes || r->batch.wasted > 0 || r->view.reorders || somebody_may_enter(r))
        return 1;
    struct stretch s = r->stretch;
    s.count = most - 1;
    if (s.count > 1 && stretch_end(&s, s.count) > r->fails_at)
        s.count = stretch_ends_by(&s, r->fails_at) - 1;
    r->repeats = s.count > 1;
    return r->repeats ? s.count : 1;
}

/* Nobody waits, as far as the policy sees; who is preempted waits first of all. */
static void form_closed(struct replica *r, struct batch *b)
{
    struct request_list *queue = r->view.waiting, preempted = {0};
    r->view.waiting = &preempted;
    r->batching->form_batch(r->batching_state, &r->view, b);
    r->view.waiting = queue;
    bool behind = r->batching->requeues && !r->view.shared_queue;
    for (struct request *q; (q = behind ? preempted.head : preempted.tail);) {
        order_remove(&preempted, q);
        replica_wait_again(r, queue, q);
    }
}

/* Whether who stands first comes later: one whom another replica of a shared queue, which has formed its next batch
 * ahead, preempts after `at`. */
static bool heads_later(const struct request_list *waiting, sim_time at)
{
    return waiting->head && waiting->head->waiting_since > at;
}

/* Those at the head of a shared queue whom another replica, which has formed its next batch ahead, preempts after `at`.
 */
static struct request_list set_aside(struct request_list *waiting, sim_time at)
{
    struct request_list later = {0};
    while (heads_later(waiting, at)) {
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

static void ask_policy(struct replica *r, struct batch *b)
{
    if (r->closed)
        form_closed(r, b);
    else
        r->batching->form_batch(r->batching_state, &r->view, b);
}

/* Asks the policy for a batch that starts at `at`; it stays empty when there is nothing to do, or no memory. */
void replica_form_batch(struct replica *r, struct batch *b, sim_time at)
{
    batch_clear(b);
    if (r->running.count + r->view.waiting->count == 0 || !replica_make_room(r))
        return;
    r->view.now = at;
    r->decodes_taken = false;
    if (r->loading > 0)
        replica_join_loaded(r, at);
    replica_sync_view(r);
    if (replica_arranges(r) && r->view.waiting->count > 0) {
        replica_account_served(r);
        if (r->order->begins)
            r->order->begins(r->order_state, &r->view);
        r->order->arrange(r->order_state, r->view.waiting);
    }
    if (heads_later(r->view.waiting, at)) {
        struct request_list later = set_aside(r->view.waiting, at);
        ask_policy(r, b);
        put_back(r, &later, b);
    } else {
        ask_policy(r, b);
    }
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
    if (r->next_formed) {
        take_next(r);
    } else {
        replica_form_batch(r, &r->batch, now);
        r->queue_changed = r->batch_changes = false;
    }
    if (r->tiers)
        replica_flush_tiers(r, now);
    if (batch_is_empty(&r->batch)) {
        assert(r->running.count == r->loading || memory_has_failed()); /* a policy always serves somebody of the rest */
        r->carry = 0;
        return false;
    }
    r->batch.start = now;
    r->batch.after_prompts = r->had_prompts;
    r->had_prompts = batch_has_prompts(&r->batch);
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
    if (r->ahead)
        r->stretch.count = length_ahead(r, r->stretch.count);
    r->busy = true;
    sim_time end = stretch_end(&r->stretch, r->stretch.count);
    if (r->ahead)
        replica_form_ahead(r, end);
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

sim_time replica_start_group(struct replica *const *ranks, size_t count, sim_time now)
{
    uint64_t tokens = 0, most = 0;
    fine_time carry = 0, total = 0;
    sim_time wake_at = SIM_TIME_NEVER, end = SIM_TIME_NEVER;
    for (size_t i = 0; i < count; i++) {
        struct replica *r = ranks[i];
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
        struct replica *r = ranks[i];
        if (batch_is_empty(&r->batch))
            continue;
        r->batch.group_tokens = tokens;
        r->batch.group_most = most;
        cost_batch(r);
        total = r->cost.total > total ? r->cost.total : total;
    }
    for (size_t i = 0; i < count; i++) {
        ranks[i]->carry = carry;
        ranks[i]->cost.total = total;
        if (!batch_is_empty(&ranks[i]->batch))
            end = set_going(ranks[i], now);
    }
    return end;
}

sim_time replica_next_end(const struct replica *r, sim_time from)
{
    return stretch_end(&r->stretch, stretch_ends_by(&r->stretch, from));
}

sim_time replica_cut(struct replica *r, sim_time from)
{
    r->stretch.count = stretch_ends_by(&r->stretch, from);
    return stretch_end(&r->stretch, r->stretch.count);
}
