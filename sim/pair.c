/* SPDX-License-Identifier: MIT */
#include "sim/pair.h"

static size_t place(const struct pair *p, const struct replica *r)
{
    return r != p->members[0];
}

bool pair_awaits(const struct pair *p, const struct replica *r)
{
    return replica_waiting(r) > 0 || p->inbound[place(p, r)].count > 0;
}

sim_time pair_next(struct pair *p, const struct replica *r, sim_time next)
{
    if (p->prefills == r && next == SIM_TIME_NEVER) {
        p->prefills = NULL;
        p->declined_with = replica_waiting(r) > 0 ? replica_free_blocks(r) : 0;
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
    uint64_t free = replica_free_blocks(r), total = replica_total_blocks(r);
    if (replica_waiting(r) == 0 || (free <= p->declined_with && p->declined_with < total))
        return false;
    return free == total || replica_next_needs(r) + total / 100 <= free;
}

static void settle_role(struct pair *p, const struct replica *r)
{
    if (p->prefills == pair_other(p, r))
        return;
    p->prefills = replica_prefills(r) || next_fits(p, r) ? r : NULL;
    if (p->prefills)
        p->declined_with = 0;
}

/* Gives decodes to the other member: all that can go, or as many as make both have the same to read. */
static bool give(struct pair *p, struct replica *r, bool all, sim_time at)
{
    size_t to = 1 - place(p, r);
    const struct replica *other = p->members[to];
    bool gave = false;
    for (struct request *q = replica_last_running(r), *before; q; q = before) {
        uint64_t own = replica_decode_kv(r), others = replica_decode_kv(other) + p->inbound_kv[to];
        before = q->prev;
        if ((!all && own <= others) || replica_running(other) + p->inbound[to].count >= p->most)
            break;
        if (!q->decode.in || q->copied > at)
            continue;
        replica_settle(r, q);
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
    replica_close(r, p->prefills != r);
    if (p->prefills && p->prefills != r)
        return 0;
    return give(p, r, p->prefills == r, at);
}
