/* SPDX-License-Identifier: MIT */
/* Host memory that KV of preempted requests is moved to, and fetched from. */
#include <assert.h>

#include "sim/replica_parts.h"

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
bool replica_swap_out(struct replica *r, struct request *request)
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
void replica_leave_swap(const struct replica *r, struct request *request)
{
    struct swap_space *swap = request->swapped_to;
    swap->used -= swapped_blocks(r, request->swapped_tokens);
    request->swapped_to = NULL;
}

void replica_swap_in(struct replica *r, struct request *request)
{
    request->computed = request->swapped_tokens;
    bool reserved = kv_pool_reserve(r->kv, request, request->swapped_tokens, r->view.now);
    assert(reserved); /* a policy admits only what fits */
    (void)reserved;
    move_blocks(r, kv_pool_held(r->kv, request), &r->swaps_in);
    replica_leave_swap(r, request);
}
