/* SPDX-License-Identifier: MIT */
#include "sim/replica.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"

static void sync_view(struct replica *r)
{
    r->view.kv_free_blocks = r->kv.free_blocks;
}

static bool verb_reserve(struct replica_view *view, struct request *request, uint32_t tokens)
{
    struct replica *r = view->replica;
    bool reserved = kv_pool_reserve(&r->kv, request, tokens);
    sync_view(r);
    return reserved;
}

static void verb_admit(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    sim_time waited = view->now - request->waiting_since;
    request->parts[request->scheduled ? PART_PREEMPTED : PART_QUEUE] += waited;
    request_list_remove(view->waiting, request);
    request_list_insert(&r->running, request, NULL);
}

/* Recompute: the KV is dropped; prompt and generated tokens will be prefilled again. */
static void verb_preempt(struct replica_view *view, struct request *request)
{
    struct replica *r = view->replica;
    kv_pool_release(&r->kv, request);
    request->preemptions++;
    request->computed = 0;
    request->waiting_since = view->now;
    request_list_remove(&r->running, request);
    request_list_insert(view->waiting, request, view->waiting->head);
    sync_view(r);
    r->observer->preempted(r->observer->state, r->index, request);
}

static const struct replica_verbs verbs = {.reserve = verb_reserve, .admit = verb_admit, .preempt = verb_preempt};

int replica_init(struct replica *r, size_t index, const struct replica_config *config, struct executor executor,
                 struct request_list *waiting, const struct observer *observer, struct error *err)
{
    *r = (struct replica){.index = index, .batching = config->batching, .executor = executor, .observer = observer};
    kv_pool_init(&r->kv, config->kv_blocks, config->kv_block_tokens);
    r->view = (struct replica_view){.waiting = waiting ? waiting : &r->own_waiting,
                                    .running = &r->running,
                                    .admission = config->admission,
                                    .kv_block_tokens = config->kv_block_tokens,
                                    .kv_total_blocks = config->kv_blocks,
                                    .max_tokens = config->max_tokens,
                                    .verbs = &verbs,
                                    .replica = r};
    sync_view(r);
    return r->batching->create ? r->batching->create(&r->batching_state, config->batching_params, err) : 0;
}

void replica_release(struct replica *r)
{
    if (r->batching && r->batching->destroy && r->batching_state)
        r->batching->destroy(r->batching_state);
    free(r->batch.items);
    r->batching_state = NULL;
    r->batch.items = NULL;
}

const char *replica_refuses(const struct replica *r, const struct request *request)
{
    uint64_t tokens = (uint64_t)request->prompt_tokens + request->max_output_tokens;
    if (request->prompt_tokens == 0)
        return "empty prompt";
    if (request->output_tokens == 0)
        return "no output tokens";
    if (tokens > r->view.max_tokens)
        return "longer than the model's longest sequence";
    if (view_blocks(&r->view, tokens) > r->kv.total_blocks)
        return "longer than the KV pool";
    return r->batching->refuses ? r->batching->refuses(r->batching_state, &r->view, request) : NULL;
}

void replica_enqueue(struct replica *r, struct request *request)
{
    request_list_insert(r->view.waiting, request, NULL);
    r->load.outstanding_requests++;
    r->load.outstanding_tokens += (uint64_t)request->prompt_tokens + request->max_output_tokens;
}

static bool make_room(struct replica *r)
{
    size_t needed = r->running.count + r->view.waiting->count;
    struct batch_item *grown = array_grow(r->batch.items, &r->batch.capacity, needed, sizeof *grown);
    if (!grown)
        return false;
    r->batch.items = grown;
    return true;
}

/* First scheduling of a request ends its queueing; stamps tell later who was in this batch. */
static void mark_scheduled(struct replica *r, sim_time now)
{
    r->iterations++;
    for (size_t i = 0; i < r->batch.count; i++) {
        struct request *request = r->batch.items[i].req;
        request->batch_stamp = r->iterations;
        if (request->scheduled)
            continue;
        request->scheduled = true;
        request->first_scheduled = now;
        r->observer->scheduled(r->observer->state, r->index, request);
    }
}

sim_time replica_start(struct replica *r, sim_time now)
{
    assert(!r->busy);
    if (r->running.count == 0)
        kv_pool_release_parked(&r->kv);
    if (r->running.count + r->view.waiting->count == 0 || !make_room(r))
        return SIM_TIME_NEVER;
    r->view.now = now;
    sync_view(r);
    struct batch *b = &r->batch;
    *b = (struct batch){.items = b->items, .capacity = b->capacity, .wake_at = SIM_TIME_NEVER};
    r->batching->form_batch(r->batching_state, &r->view, b);
    if (b->count == 0) {
        assert(r->running.count == 0); /* a policy always serves somebody it has admitted */
        return b->wake_at;
    }
    mark_scheduled(r, now);
    r->cost = r->executor.run(r->executor.state, b);
    r->iteration_start = now;
    r->busy = true;
    sim_time end = now + r->cost.total;
    struct iteration_record record = {.replica = r->index,
                                      .start = now,
                                      .end = end,
                                      .batch = b,
                                      .cost = r->cost,
                                      .waiting = r->view.waiting->count,
                                      .running = r->running.count,
                                      .kv_used_blocks = r->kv.total_blocks - r->kv.free_blocks,
                                      .kv_total_blocks = r->kv.total_blocks};
    r->observer->iterated(r->observer->state, &record);
    return end;
}

/* Books the iteration's duration on every admitted request, to what it was doing meanwhile. */
static void account_time(struct replica *r)
{
    sim_time total = r->cost.total, own = r->cost.decode_alone;
    for (struct request *q = r->running.head; q; q = q->next) {
        bool in_batch = q->batch_stamp == r->iterations;
        if (q->computed < q->peak_computed && !request_decodes(q)) {
            q->parts[PART_PREEMPTED] += total;
        } else if (!request_decodes(q)) {
            q->parts[in_batch ? PART_PREFILL_OWN : PART_PREFILL_STALL] += total;
        } else if (in_batch) {
            q->parts[PART_DECODE_OWN] += own;
            q->parts[PART_DECODE_INTERFERENCE] += total - own;
        } else {
            q->parts[PART_DECODE_STALL] += total;
        }
    }
}

static void finish_request(struct replica *r, struct request *q)
{
    request_list_remove(&r->running, q);
    if (r->batching->holds_finished_kv)
        kv_pool_park(&r->kv, q);
    else
        kv_pool_release(&r->kv, q);
    r->load.outstanding_requests--;
    r->load.outstanding_tokens -= (uint64_t)q->prompt_tokens + q->max_output_tokens - q->peak_computed;
    r->observer->finished(r->observer->state, r->index, q);
    if (r->recycle)
        r->recycle(r->owner, q);
}

/* The iteration that computes a request's last known token also yields its next one. */
static void emit_token(struct replica *r, struct request *q, sim_time now, uint64_t *steady_gaps)
{
    if (q->generated == 0) {
        q->first_token = now;
    } else if (q->last_token == r->iteration_start) {
        ++*steady_gaps;
    } else {
        r->observer->gap(r->observer->state, now - q->last_token, 1);
    }
    q->generated++;
    q->last_token = now;
    if (q->generated == q->output_tokens)
        finish_request(r, q);
}

static void compute_tokens(struct replica *r, struct request *q, uint32_t tokens)
{
    uint32_t again = q->peak_computed - q->computed;
    q->recomputed_tokens += tokens < again ? tokens : again;
    q->computed += tokens;
    if (q->computed > q->peak_computed) {
        r->load.outstanding_tokens -= q->computed - q->peak_computed;
        q->peak_computed = q->computed;
    }
}

void replica_finish(struct replica *r, sim_time now)
{
    assert(r->busy);
    r->busy = false;
    account_time(r);
    uint64_t steady_gaps = 0;
    for (size_t i = 0; i < r->batch.count; i++) {
        struct request *q = r->batch.items[i].req;
        uint32_t tokens = r->batch.items[i].new_tokens;
        compute_tokens(r, q, tokens);
        if (request_uncomputed(q) == 0)
            emit_token(r, q, now, &steady_gaps);
    }
    if (steady_gaps)
        r->observer->gap(r->observer->state, r->cost.total, steady_gaps);
}
