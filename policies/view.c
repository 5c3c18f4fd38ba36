/* SPDX-License-Identifier: MIT */
#include "policies/view.h"

struct request *view_victim(struct replica_view *view)
{
    if (view->victims_by) {
        view_settle(view);
        return order_last(view->victims_by, view->victims_params, view->running);
    }
    struct request *last = view->running->tail;
    while (request_stands_by(last))
        last = last->prev;
    return last;
}

uint32_t view_preempt_from(struct replica_view *view, struct batch *out, struct request *victim)
{
    uint32_t tokens = batch_take_out(out, victim);
    view_preempt(view, victim);
    return tokens;
}

/* Serving them one by one would preempt the same requests: as many as make the others fit. */
void view_decode_all(struct replica_view *view, struct batch *out)
{
    while (view->decoding > 0 && !view->verbs->take_decodes(view, out))
        view_preempt(view, view_victim(view));
}

void view_swap_in(struct replica_view *view, struct batch *out, size_t most, double watermark)
{
    for (struct request *r = view->waiting->head; r && view_is_swapped(view, r) && view->running->count < most;
         r = view->waiting->head) {
        uint32_t tokens = view_admission_tokens(view, r, request_uncomputed(r));
        if (!view_admits(view, view_blocks(view, tokens), watermark))
            return;
        view_reuse(view, r);
        view_reserve(view, r, tokens);
        view_admit(view, r);
        view_schedule(view, out, r, request_uncomputed(r));
    }
}

/* The request is looked at as it will stand then, with what it finds computed. */
sim_time view_predict_with(const struct replica_view *view, struct batch *batch, struct request *r, uint32_t tokens)
{
    uint32_t computed = r->computed;
    if (!r->prefilling)
        r->computed += view_cached_tokens(view, r);
    batch_add(batch, r, tokens);
    sim_time predicted = view_predict(view, batch);
    batch->count--;
    r->computed = computed;
    return predicted;
}

uint32_t view_chunk_within(const struct replica_view *view, struct batch *out, struct request *r, uint32_t most,
                           sim_time target)
{
    if (view_predict_with(view, out, r, most) <= target)
        return most;
    uint32_t fits = 0, exceeds = most;
    while (exceeds - fits > 1) {
        uint32_t middle = fits + (exceeds - fits) / 2;
        *(view_predict_with(view, out, r, middle) <= target ? &fits : &exceeds) = middle;
    }
    return fits;
}

/* What is found of a common prefix is not its own, so it needs the blocks of its next iteration beside; what comes back
 * from host memory is. */
uint64_t view_windowed_blocks(const struct replica_view *view, const struct request *r, uint64_t tokens)
{
    uint64_t found = view_cached_tokens(view, r), uncomputed = request_uncomputed(r) - found;
    uint64_t step = uncomputed < view->kv.step_tokens ? uncomputed : view->kv.step_tokens;
    uint64_t others = view_is_swapped(view, r) ? 0 : kv_layout_seen(&view->kv, found);
    return kv_layout_blocks(&view->kv, tokens, found, step + others);
}

uint64_t view_prefill_loaded(struct replica_view *view, struct batch *out, uint64_t most)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < view->prefilling_count; i++) {
        struct request *r = view->prefilling[i];
        uint32_t needed = request_uncomputed(r);
        if (tokens > 0 && tokens + needed > most)
            break;
        view_schedule(view, out, r, needed);
        tokens += needed;
    }
    return tokens;
}

/* Equal chunks that leave the prompt unfinished; one that is computed again must not end up as a decode. */
static uint64_t equal_chunks(const struct batch_item *item)
{
    uint32_t left_over = 1 + (item->req->generated > 0), uncomputed = request_uncomputed(item->req);
    return uncomputed > left_over ? (uncomputed - left_over) / item->new_tokens : 0;
}

/* Blocks come back while the batch holds, and somebody waits for some. False when what it finds may be taken meanwhile:
 * it may need fewer free blocks then. */
static bool hold_for_blocks(const struct replica_view *view, struct batch *out)
{
    out->awaits_blocks = true;
    return !view->finds_prefixes || !view_may_find(view, view->waiting->head);
}

void view_hold(const struct replica_view *view, struct batch *out, bool full)
{
    if (out->count > 1 || view->evicted > 0)
        return; /* prompts move on one by one, or the evicted one is looked at next time */
    if (out->count == 1 && view->finds_prefixes && content_is_shared(out->items[0].req))
        return; /* others find each chunk of it when it is computed */
    bool blocked = view->waiting->count > 0;
    if (blocked && (view->shared_queue || view->reorders) && !full)
        return; /* somebody else may take who stands first, or stand there */
    uint64_t iterations = out->count == 0 ? STABLE_FOREVER : out->items[0].decode ? 1 : equal_chunks(&out->items[0]);
    if (iterations <= 1)
        return;
    if (blocked && !full && view->kv.groups.windowed > 0 && !hold_for_blocks(view, out))
        return;
    out->stable_iterations = iterations;
    out->arrivals_wait = full || (blocked && !view->ordered);
}

bool view_admits(const struct replica_view *view, uint64_t blocks, double watermark)
{
    uint64_t kept = (uint64_t)(watermark * (double)view->kv_total_blocks);
    if (view->kv_free_blocks == view->kv_total_blocks)
        kept = 0;
    return view->kv_free_blocks >= blocks + kept;
}
