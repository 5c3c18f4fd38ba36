/* SPDX-License-Identifier: MIT */
#include "sim/pair.h"

static size_t place(const struct pair *p, const struct replica *r)
{
    return (size_t)(r - p->members);
}

static struct request_list *queue_of(const struct pair *p)
{
    return p->members->view.waiting;
}

bool pair_awaits(const struct pair *p, const struct replica *r)
{
    return queue_of(p)->count > 0 || p->inbound[place(p, r)].count > 0;
}

sim_time pair_next(struct pair *p, const struct replica *r, sim_time next)
{
    if (p->prefills == r && next == SIM_TIME_NEVER) {
        p->prefills = NULL;
        p->declined_with = queue_of(p)->count > 0 ? r->kv->free_blocks : 0;
    }
    const struct request *first = p->inbound[place(p, r)].head;
    return first && first->waiting_since < next ? first->waiting_since : next;
}

void pair_copy(struct pair *p, const struct replica *r, struct request *q, sim_time now)
{
    sim_time *way = &p->way_free[place(p, r)], start = *way > now ? *way : now;
    double seconds = kv_bytes_left(p->wire, q, now) / p->wire->link.bytes_per_s;
    *way = q->copied = start + p->wire->link.latency + sim_time_from_s(seconds);
}

/* Who has left the other one at `at` or before. */
static int take_inbound(struct pair *p, struct replica *r, sim_time at)
{
    struct request_list *inbound = &p->inbound[place(p, r)];
    for (struct request *q = inbound->head, *next; q; q = next) {
        next = q->next;
        if (q->waiting_since > at)
            continue;
        request_list_remove(inbound, q);
        p->inbound_kv[place(p, r)] -= q->computed;
        if (replica_join(r, q, at))
            return -1;
    }
    return 0;
}

/* Whether the next prompt has room in the pool, which the prefilling member's policy has the last word on. */
static bool next_fits(const struct pair *p, const struct replica *r)
{
    const struct request *next = r->view.waiting->head;
    if (!next || (r->kv->free_blocks <= p->declined_with && p->declined_with < r->kv->total_blocks))
        return false;
    uint64_t needed =
        view_blocks(&r->view, view_admission_tokens(&r->view, next, next->prompt_tokens + next->generated));
    return needed + r->kv->total_blocks / 100 <= r->kv->free_blocks || r->kv->free_blocks == r->kv->total_blocks;
}

static void settle_role(struct pair *p, const struct replica *r)
{
    if (p->prefills == pair_other(p, r))
        return;
    p->prefills = r->view.prefilling_count > 0 || next_fits(p, r) ? r : NULL;
    if (p->prefills)
        p->declined_with = 0;
}

/* Gives decodes to the other member: all that can go, or as many as make both have the same to read. */
static bool give(struct pair *p, struct replica *r, bool all, sim_time at)
{
    size_t to = 1 - place(p, r);
    const struct replica *other = &p->members[to];
    bool gave = false;
    for (struct request *q = r->running.tail, *before; q; q = before) {
        uint64_t own = r->decodes.kv_tokens, others = other->decodes.kv_tokens + p->inbound_kv[to];
        before = q->prev;
        if ((!all && own <= others) || other->running.count + p->inbound[to].count >= p->most)
            break;
        if (!q->decode.in || q->copied > at)
            continue;
        decode_set_settle(&r->decodes, q);
        if (!all && own - others <= q->computed)
            continue;
        replica_leave(r, q, at);
        request_list_insert(&p->inbound[to], q, NULL);
        p->inbound_kv[to] += q->computed;
        gave = true;
    }
    return gave;
}

int pair_settle(struct pair *p, struct replica *r, sim_time at)
{
    if (take_inbound(p, r, at))
        return -1;
    settle_role(p, r);
    r->closed = p->prefills != r;
    if (p->prefills && r->closed)
        return 0;
    return give(p, r, !r->closed, at);
}
