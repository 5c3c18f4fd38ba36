/* SPDX-License-Identifier: MIT */
/* From an iteration that has ended to its requests: tokens, time parts, who finishes, who leaves. */
#include <assert.h>

#include "sim/replica_parts.h"

static void finish_request(struct replica *r, struct request *q, sim_time now)
{
    request_list_remove(&r->running, q);
    replica_order_leaves(r, q);
    if (r->view.finds_prefixes && q->kv_blocks > 0)
        kv_pool_share(r->kv, q, q->computed, now);
    if (r->tiers)
        replica_note_computed(r, q);
    if (r->batching->holds_finished_kv)
        kv_pool_park(r->kv, q);
    else
        kv_pool_release(r->kv, q, now);
    r->load->outstanding_requests--;
    r->load->outstanding_tokens -= q->max_output_tokens;
    r->load->predicted_kv_tokens -= (uint64_t)q->prompt_tokens + q->predicted_tokens;
    if (r->host.finish)
        r->host.finish(r->host.owner, r->station, q);
    else
        tell_finished(r->observer, r->station, q);
}

/* Its token is computed again where it decodes, from the KV of all tokens before the last one. */
static void withdraw_token(struct request *q)
{
    q->generated--;
    q->peak_computed = --q->computed;
    q->recomputed_tokens++;
}

/* It has its first token and decodes elsewhere; what it holds here stays taken until its KV has been pulled. */
static void leave_for_decode(struct replica *r, struct request *q, sim_time now)
{
    request_list_remove(&r->running, q);
    replica_order_leaves(r, q);
    r->load->outstanding_requests--;
    r->load->outstanding_tokens -= q->max_output_tokens;
    r->load->predicted_kv_tokens -= (uint64_t)q->prompt_tokens + q->predicted_tokens;
    q->leaving = false;
    q->waiting_since = now;
    q->source = r->station;
    if (r->host.tokens_later)
        withdraw_token(q);
    tell_handed_over(r->observer, r->station, q);
    r->host.hand_over(r->host.owner, r, q, now);
}

static void depart(struct replica *r, struct request *q, sim_time now)
{
    bool stays = q->generated == q->output_tokens && !r->host.tokens_later;
    (stays ? finish_request : leave_for_decode)(r, q, now);
}

/* Whether it is certain before the iteration ends that a request has its last token here: by its limit, or since it
 * goes elsewhere to decode. */
static bool ends_by_limit(const struct replica *r, const struct request *q)
{
    return q->generated < q->output_tokens || (r->host.hand_over && q->generated == 1) ||
           (q->output_tokens == q->max_output_tokens && !r->batching->wastes_last);
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
void replica_tell(struct replica *r, uint64_t n, sim_time end)
{
    struct iteration_record record = {
        .station = r->station, .stretch = &r->stretch, .count = n, .end = end, .batch = &r->batch, .cost = &r->cost};
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
static inline void take_blocks(struct replica *r, uint64_t first, uint64_t last)
{
    struct crossing_sums sums = decode_set_crossings(&r->decodes, first, last);
    if (sums.blocks == 0)
        return;
    const struct stretch *s = &r->stretch;
    wide_sum times = sums.blocks * kv_pool_time(s->start, s->carry) + (wide_sum)sums.steps * s->first +
                     (wide_sum)sums.pairs * s->growth;
    kv_pool_take(r->kv, sums.blocks, times);
}

/* The same where layers have windows: blocks come back when iterations first … last − 1 have ended, and the batch after
 * each takes its own then, if it is one of the first `formed`. */
static void move_window(struct replica *r, uint64_t first, uint64_t last, uint64_t formed)
{
    const struct stretch *s = &r->stretch;
    for (uint64_t i = first; i < last; i++) {
        wide_sum time = kv_pool_time(s->start, stretch_fine(s, i + 1));
        uint64_t left = decode_set_window_step(&r->decodes, i).left;
        kv_pool_give_back(r->kv, left, left * time);
        uint64_t taken = i + 1 < formed ? decode_set_window_step(&r->decodes, i + 1).taken : 0;
        if (taken > 0)
            kv_pool_take(r->kv, taken, taken * time);
    }
}

/* The same for the chunks of a prompt whose blocks are taken as it goes. */
static void take_chunk_blocks(struct replica *r, uint64_t first, uint64_t last)
{
    struct request *q = r->batch.items[0].req;
    for (uint64_t i = first; i < last; i++) {
        uint64_t blocks = replica_chunk_blocks(r, i + 1);
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
void replica_compute(struct replica *r, struct request *q, uint32_t tokens, sim_time now)
{
    uint32_t again = q->peak_computed - q->computed;
    q->recomputed_tokens += tokens < again ? tokens : again;
    q->computed += tokens;
    if (q->computed > q->peak_computed)
        q->peak_computed = q->computed;
    if (r->view.finds_prefixes && r->view.shares != SHARE_FINISHED)
        kv_pool_share(r->kv, q, q->computed, now);
    if (r->tiers)
        replica_note_computed(r, q);
    if (replica_has_windows(r))
        kv_pool_slide(r->kv, q, now);
}

static void compute_single(struct replica *r, struct request *q, uint32_t tokens, sim_time now)
{
    bool decoded = !q->prefilling; /* here, before: where it decodes has been decided */
    replica_compute(r, q, tokens, now);
    if (request_uncomputed(q) == 0)
        emit_token(r, q, now);
    bool finished = q->generated == q->output_tokens;
    q->prefilling = !finished && !request_decodes(q);
    bool stays = !finished && (q->prefilling || decoded ||
                               (r->host.keeps ? r->host.keeps(r->host.owner, r, q, now) : !r->host.hand_over));
    if (!stays)
        retire(r, q, now);
    else if (!q->prefilling)
        decode_set_join(&r->decodes, q);
}

/* How many batches of the stretch have been formed when n of its iterations have ended: that of the one that runs, and
 * scheduling ahead the one after it. */
static uint64_t formed_after(const struct replica *r, uint64_t n)
{
    uint64_t count = r->stretch.count;
    if (r->repeats)
        return n < count ? n + 2 : count + 1;
    return n < count ? n + 1 : count;
}

/* The first n iterations of the stretch have ended. */
static void apply(struct replica *r, uint64_t n, sim_time end)
{
    const struct batch *b = &r->batch;
    sim_time total = end - r->stretch.start;
    uint64_t first = r->repeats ? 2 : 1, formed = formed_after(r, n);
    if (!r->told)
        replica_tell(r, n, end);
    r->iterations += n;
    if (b->count > 0 || r->view.prefilling_count > 0)
        account_time(r, total);
    if (b->count == 1 && formed > first)
        take_chunk_blocks(r, first, formed);
    if (batch_steps(b)) {
        bool alone = b->count == 0;
        r->decodes.own +=
            alone ? (fine_time)total << FINE_BITS : n * r->cost.decode_alone + (n * (n - 1) / 2) * r->cost.alone_growth;
        r->decodes.stepping += total;
        if (replica_has_windows(r))
            move_window(r, first - 1, r->repeats ? formed - 1 : n, formed);
        else
            take_blocks(r, first, formed);
        decode_set_advance(&r->decodes, n, end);
        r->decodes_taken = false;
    }
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].req)
            compute_single(r, b->items[i].req, (uint32_t)n * b->items[i].new_tokens, end);
    if (b->count > 0)
        replica_close_ranks(&r->view);
}

/* The batch as it is formed n iterations later. */
static void move_batch_on(struct replica *r, uint64_t n)
{
    r->batch.decode_kv += n * r->batch.decodes;
    r->batch.decode_longest += r->batch.decode_longest > 0 ? n : 0;
    r->batch.row_kv += (uint32_t)n;
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
    move_batch_on(r, n);
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

/* Below a nanosecond. */
static fine_time carry_at_end(const struct replica *r)
{
    return stretch_fine(&r->stretch, r->stretch.count) & ((1 << FINE_BITS) - 1);
}

/* The iteration's tokens are counted as it starts, and the next batch is formed as if it had ended. */
static void run_ahead(struct replica *r, sim_time end)
{
    r->told_tokens = batch_outputs(&r->batch);
    apply(r, 1, end);
    retire_decodes(r, end);
    if (r->host.receive)
        r->host.receive(r->host.owner, r, end);
    keep_ended(r);
    r->carry = carry_at_end(r);
    replica_form_batch(r, &r->next, end);
    r->next_formed = !batch_is_empty(&r->next);
    r->queue_changed = r->batch_changes = false;
}

/* The first iteration of a stretch starts, and the batch after it is formed, which is the same. */
static void repeat(struct replica *r)
{
    const uint64_t formed = 2;
    if (r->batch.count == 1)
        take_chunk_blocks(r, 1, formed);
    if (replica_has_windows(r) && batch_steps(&r->batch))
        move_window(r, 0, 1, formed);
    else if (batch_steps(&r->batch))
        take_blocks(r, 1, formed);
}

void replica_form_ahead(struct replica *r, sim_time end)
{
    r->counted = !r->repeats && end <= r->fails_at;
    if (r->counted)
        run_ahead(r, end);
    else if (r->repeats)
        repeat(r);
}

/* The stretch has ended, and the batch that repeats is the next one. */
static void end_repeating(struct replica *r, sim_time now)
{
    uint64_t n = r->stretch.count;
    apply(r, n, now);
    move_batch_on(r, n);
    struct batch ended = r->next;
    r->next = r->batch;
    r->batch = ended;
    r->next_formed = true;
    r->decodes_taken = batch_steps(&r->next);
    r->repeats = false;
    r->batch_changes = true;
}

/* A request that has ended goes before the next batch starts, in which its row is wasted if it stands there. */
static void waste_row(struct replica *r, struct request *q)
{
    uint32_t rows = r->next_formed ? batch_take_out(&r->next, q) : 0;
    replica_leave_decodes(r, q);
    batch_add_wasted(&r->next, rows, q->computed);
}

/* Scheduling ahead, requests that have their last token go when its iteration has ended. */
static void leave_now(struct replica *r, sim_time now)
{
    for (size_t i = 0; i < r->leaving_count; i++) {
        if (r->leaving[i]->decode.in)
            waste_row(r, r->leaving[i]);
        depart(r, r->leaving[i], now);
    }
    if (r->leaving_count > 0) {
        r->queue_changed = true;
        r->next.arrivals_wait = false; /* until these have left */
    }
    r->leaving_count = 0;
}

void replica_finish(struct replica *r, sim_time now)
{
    assert(r->busy);
    r->busy = false;
    r->ended = now;
    r->carry = carry_at_end(r);
    r->counted = false;
    if (r->repeats) {
        end_repeating(r, now);
    } else if (r->ahead) {
        leave_now(r, now);
    } else {
        apply(r, r->stretch.count, now);
        r->told = false;
        retire_decodes(r, now);
    }
    if (r->tiers)
        replica_flush_tiers(r, now);
}
