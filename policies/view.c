/* SPDX-License-Identifier: MIT */
#include "policies/view.h"

/* Serving them one by one in order of admission would evict the same requests: as many from the end as make the
 * others fit. */
void view_decode_all(struct replica_view *view, struct batch *out)
{
    while (view->decoding > 0 && !view->verbs->take_decodes(view, out))
        view_preempt(view, view->running->tail);
}

void view_hold(const struct replica_view *view, struct batch *out, bool full)
{
    if (out->count > 0 || view->evicted > 0)
        return; /* a prompt moves on, or the evicted one is looked at next time */
    bool blocked = view->waiting->count > 0;
    if (blocked && view->shared_queue && !full)
        return; /* somebody else may take who stands first */
    out->stable_iterations = STABLE_FOREVER;
    out->arrivals_wait = full || blocked;
}

bool view_reserve_or_preempt(struct replica_view *view, struct request *r, uint32_t tokens)
{
    while (!view_reserve(view, r, tokens)) {
        struct request *victim = view->running->tail;
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
