/* SPDX-License-Identifier: MIT */
#include "policies/view.h"

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
