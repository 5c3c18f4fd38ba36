/* SPDX-License-Identifier: MIT */
#include "policies/view.h"

/* Whose last iteration runs cannot be evicted any more. */
static struct request *last_admitted(const struct replica_view *view)
{
    struct request *last = view->running->tail;
    while (last->leaving)
        last = last->prev;
    return last;
}

/* Serving them one by one in order of admission would evict the same requests: as many from the end as make the
 * others fit. */
void view_decode_all(struct replica_view *view, struct batch *out)
{
    while (view->decoding > 0 && !view->verbs->take_decodes(view, out))
        view_preempt(view, last_admitted(view));
}

/* What is found of a common prefix is not its own, so it needs the blocks of its next iteration beside. */
uint64_t view_windowed_blocks(const struct replica_view *view, const struct request *r, uint64_t tokens)
{
    uint64_t found = view_cached_tokens(view, r), uncomputed = request_uncomputed(r) - found;
    uint64_t step = uncomputed < view->kv.step_tokens ? uncomputed : view->kv.step_tokens;
    return kv_layout_blocks(&view->kv, tokens, found, step + kv_layout_seen(&view->kv, found));
}

/* Equal chunks that leave the prompt unfinished; one that is computed again must not end up as a decode. */
static uint64_t equal_chunks(const struct batch_item *item)
{
    uint32_t left_over = 1 + (item->req->generated > 0), uncomputed = request_uncomputed(item->req);
    return uncomputed > left_over ? (uncomputed - left_over) / item->new_tokens : 0;
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
    out->stable_iterations = iterations;
    out->arrivals_wait = full || (blocked && !view->ordered);
    out->awaits_blocks = blocked && !full;
}

bool view_reserve_or_preempt(struct replica_view *view, struct request *r, uint32_t tokens)
{
    while (!view_reserve(view, r, tokens)) {
        struct request *victim = last_admitted(view);
        view_preempt(view, victim);
        if (victim == r)
            return false;
    }
    return true;
}

bool view_admits(const struct replica_view *view, uint64_t blocks, double watermark)
{
    uint64_t kept = (uint64_t)(watermark * (double)view->kv_total_blocks);
    if (view->kv_free_blocks == view->kv_total_blocks)
        kept = 0;
    return view->kv_free_blocks >= blocks + kept;
}
