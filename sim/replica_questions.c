/* SPDX-License-Identifier: MIT */
/* What others may know of a replica, and tell it. */
#include "sim/replica_parts.h"

struct replica_id replica_id(const struct replica *r)
{
    return r->id;
}

struct station_id replica_station(const struct replica *r)
{
    return r->station;
}

bool replica_is_busy(const struct replica *r)
{
    return r->busy;
}

bool replica_runs_stretch(const struct replica *r)
{
    return r->stretch.count > 1;
}

bool replica_can_be_cut(const struct replica *r)
{
    return r->stretch.count > 1 && (!r->batch.arrivals_wait || r->extra > 0);
}

bool replica_has_formed_next(const struct replica *r)
{
    return r->next_formed;
}

bool replica_has_preempted(const struct replica *r)
{
    return r->view.evicted > 0;
}

bool replica_is_drained(const struct replica *r)
{
    return r->running.count == 0 && !r->next_formed;
}

bool replica_prefills(const struct replica *r)
{
    return r->view.prefilling_count > 0;
}

bool replica_has_loaded(const struct replica *r)
{
    const struct request *q = r->loading > 0 ? r->running.head : NULL;
    while (q && !(q->loading && q->loaded))
        q = q->next;
    return q != NULL;
}

size_t replica_running(const struct replica *r)
{
    return r->running.count;
}

size_t replica_waiting(const struct replica *r)
{
    return r->view.waiting->count;
}

size_t replica_own_waiting(const struct replica *r)
{
    return r->own_waiting.count;
}

struct request *replica_first_waiting(const struct replica *r)
{
    return r->view.waiting->head;
}

struct request *replica_first_running(const struct replica *r)
{
    return r->running.head;
}

struct request *replica_last_running(const struct replica *r)
{
    return r->running.tail;
}

const struct replica_load *replica_load(const struct replica *r)
{
    return r->load;
}

uint64_t replica_free_blocks(const struct replica *r)
{
    return r->kv->free_blocks;
}

uint64_t replica_total_blocks(const struct replica *r)
{
    return r->kv->total_blocks;
}

uint64_t replica_kv_tokens(const struct replica *r)
{
    const struct kv_layout *l = &r->kv->layout;
    return r->kv->total_blocks / (l->groups.full + l->groups.windowed) * l->block_tokens;
}

uint64_t replica_decode_kv(const struct replica *r)
{
    return r->decodes.kv_tokens;
}

uint64_t replica_next_needs(const struct replica *r)
{
    const struct request *next = r->view.waiting->head;
    return view_blocks(&r->view, view_admission_tokens(&r->view, next, next->prompt_tokens + next->generated));
}

struct replica_totals replica_sum_up(struct replica *r, sim_time end)
{
    struct kv_pool *kv = &r->own_kv;
    if (r->running.count == 0)
        kv_pool_release_parked(kv, end);
    return (struct replica_totals){.iterations = r->iterations,
                                   .kv_allocated = kv->allocated,
                                   .kv_freed = kv->freed,
                                   .kv_held = kv->total_blocks - kv->free_blocks,
                                   .kv_peak = kv->peak_blocks,
                                   .kv_total = kv->total_blocks,
                                   .kv_block_ns = kv_pool_block_ns(kv, end)};
}

uint64_t replica_own_blocks_in_use(const struct replica *r)
{
    return r->own_kv.total_blocks - r->own_kv.free_blocks;
}

void replica_note_changes(struct replica *r)
{
    r->kv->notes_changes = r->kv->queue;
}

const struct kv_change *replica_take_changes(struct replica *r, size_t *count)
{
    *count = r->kv->change_count;
    r->kv->change_count = 0;
    return r->kv->changes;
}

void replica_expect(struct replica *r, const struct request *request)
{
    uint64_t prompt = request->generated == 0 ? request->prompt_tokens : 0; /* its first token comes here */
    r->load->outstanding_requests++;
    r->load->outstanding_tokens += prompt + request->max_output_tokens;
    r->load->prompt_tokens += prompt;
    r->load->predicted_kv_tokens += (uint64_t)request->prompt_tokens + request->predicted_tokens;
}

void replica_expect_no_more(struct replica *r, const struct request *request)
{
    uint64_t prompt = request->generated == 0 ? request->prompt_tokens : 0;
    r->load->outstanding_requests--;
    r->load->outstanding_tokens -= prompt + request->max_output_tokens;
    r->load->prompt_tokens -= prompt;
    r->load->predicted_kv_tokens -= (uint64_t)request->prompt_tokens + request->predicted_tokens;
}

void replica_await_blocks(struct replica *r, bool awaited)
{
    r->blocks_awaited = awaited;
}

void replica_disturb(struct replica *r)
{
    r->batch_changes = true;
}

void replica_forget_preemptions(struct replica *r)
{
    r->view.evicted = 0;
}

void replica_close(struct replica *r, bool closed)
{
    r->closed = closed;
    r->queue_changed = true;
}

bool replica_is_closed(const struct replica *r)
{
    return r->closed;
}

void replica_set_failure(struct replica *r, sim_time at)
{
    r->fails_at = at;
    r->queue_changed = true;
}

void replica_settle(struct replica *r, struct request *request)
{
    decode_set_settle(&r->decodes, request);
}

bool replica_decodes(const struct replica *r, const struct request *request, uint32_t *generated, sim_time *last_token)
{
    const struct decode_set *d = &r->decodes;
    if (request->decode.place >= d->count || d->heap[request->decode.place].r != request)
        return false;
    *generated = decode_set_generated(d, request);
    if (*generated > request->generated)
        *last_token = d->last_token;
    return true;
}
