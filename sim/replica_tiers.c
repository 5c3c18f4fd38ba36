/* SPDX-License-Identifier: MIT */
/* A replica's KV in tiers below GPU memory: loads before a request prefills, and what is written. */
#include "sim/replica_parts.h"

/* How long it would take to compute tokens `from` … `to` of a request's by themselves; 0 where nobody can say. */
static sim_time time_to_compute(const struct replica *r, const struct request *q, uint32_t from, uint32_t to)
{
    struct request prompt = *q;
    struct batch_item item;
    struct batch batch = {.items = &item, .capacity = 1};
    struct iteration_cost cost = {0};
    if (!r->executor.predict)
        return 0;
    prompt.computed = from;
    batch_clear(&batch);
    batch_add(&batch, &prompt, to - from);
    r->executor.predict(r->executor.state, &batch, &cost);
    return (sim_time)(cost.total >> FINE_BITS);
}

/* Whether the load ends before computing would, where its tiers ask for that. */
static bool pays(const struct replica *r, const struct request *q, uint32_t from, const struct tier_found *found)
{
    uint32_t to = found->blocks * r->kv->layout.block_tokens;
    return !tiers_compare(r->tiers, found) ||
           tiers_estimate(r->tiers, found, r->view.now) <= time_to_compute(r, q, from, to);
}

bool replica_load_prefix(struct replica_view *view, struct request *q, uint32_t reserved)
{
    struct replica *r = view->replica;
    uint32_t most = replica_most_found(r, q), block_tokens = r->kv->layout.block_tokens;
    if (q->swapped_to == &r->swap)
        return false;
    struct kv_found here = kv_pool_find(r->kv, q);
    if (here.blocks > here.unit_blocks || here.blocks >= most)
        return false; /* blocks of its own follow */
    struct tier_found below = tiers_find(r->tiers, q, here.units, here.blocks, most);
    uint32_t tokens = below.blocks * block_tokens, room = tokens > reserved ? tokens : reserved;
    if (below.blocks == here.blocks || view_blocks_to_admit(view, q, room) > r->kv->free_blocks ||
        !pays(r, q, here.blocks * block_tokens, &below))
        return false;
    view_reuse(view, q);
    view_reserve(view, q, room);
    q->load_to = (below.blocks < most ? below.blocks : most) * block_tokens;
    q->loading = true;
    q->loaded = false;
    r->loading++;
    tiers_ask(r->tiers, q, &below);
    view_admit(view, q);
    return true;
}

/* It goes on as if it had been admitted at `at`. */
static void join(struct replica *r, struct request *q, sim_time at)
{
    request_list_remove(&r->running, q);
    request_list_insert(&r->running, q, NULL);
    q->parts[PART_LOAD] += at - q->admitted;
    q->loading = false;
    q->prefilling = true;
    q->admitted = q->booked = q->chunk_end = at;
    r->loading--;
    r->view.prefilling[r->view.prefilling_count++] = q;
    replica_count_found(q, q->load_to);
    kv_pool_share(r->kv, q, q->computed, at);
    q->units_kept = q->units > q->units_kept ? q->units : q->units_kept;
}

void replica_join_loaded(struct replica *r, sim_time at)
{
    for (struct request *q = r->running.head, *next; q; q = next) {
        next = q->next;
        if (q->loading && q->loaded)
            join(r, q, at);
    }
}

void replica_note_computed(struct replica *r, struct request *q)
{
    uint32_t block_tokens = r->kv->layout.block_tokens;
    uint64_t full = q->computed / block_tokens;
    struct content_unit unit;
    for (; r->tiers->through && content_unit(q, q->units_kept, block_tokens, &unit); q->units_kept++) {
        if ((uint64_t)unit.first_block + unit.blocks > full)
            return;
        if (unit.blocks > 0)
            tiers_note_computed(r->tiers, unit.key, unit.blocks);
    }
}

void replica_flush_tiers(struct replica *r, sim_time now)
{
    for (size_t i = 0; i < r->kv->evicted_count; i++)
        tiers_note_evicted(r->tiers, r->kv->evicted[i].key, r->kv->evicted[i].blocks);
    r->kv->evicted_count = 0;
    tiers_flush(r->tiers, now);
}
