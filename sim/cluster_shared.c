/* SPDX-License-Identifier: MIT */
/* Who looks at the shared queue of central routing next. Each replica looks whenever an iteration of its ends. In a
 * stretch it would look in vain but for somebody new, and then only the replica whose iteration ends first need be cut
 * short; if it leaves somebody standing, the next one is. So who is known only to be in a stretch costs nothing. */
#include <stdlib.h>

#include "sim/cluster_state.h"

static size_t words(const struct cluster *c)
{
    return (c->replica_count + 63) / 64;
}

int cluster_prepare_lookers(struct cluster *c)
{
    struct lookers *l = &c->lookers;
    l->idle = calloc(words(c), sizeof *l->idle);
    l->seen = calloc(words(c), sizeof *l->seen);
    return l->idle && l->seen && min_index_init(&l->ends, c->replica_count) == 0 ? 0 : -1;
}

void cluster_release_lookers(struct cluster *c)
{
    free(c->lookers.idle);
    free(c->lookers.seen);
    min_index_release(&c->lookers.ends);
}

static void set_bit(uint64_t *bits, size_t index, bool on)
{
    uint64_t bit = (uint64_t)1 << index % 64, *word = &bits[index / 64];
    *word = on ? *word | bit : *word & ~bit;
}

/* The first one that is set, from `index` on; SIZE_MAX: none. */
static size_t next_bit(const struct cluster *c, const uint64_t *bits, size_t index)
{
    for (size_t word = index / 64; word < words(c); word++) {
        uint64_t left = word == index / 64 ? bits[word] & (UINT64_MAX << index % 64) : bits[word];
        if (left)
            return word * 64 + (size_t)__builtin_ctzll(left);
    }
    return SIZE_MAX;
}

void cluster_listen(struct cluster *c, const struct replica *r, sim_time now)
{
    if (station_of(c, r)->decodes)
        return;
    struct lookers *l = &c->lookers;
    size_t index = replica_id(r).index;
    bool up = state_of(station_of(c, r)) == REPLICA_UP, busy = replica_is_busy(r);
    bool cuttable = up && busy && replica_can_be_cut(r), seen = c->central.count > 0;
    set_bit(l->idle, index, up && !busy);
    set_bit(l->seen, index, cuttable && seen);
    min_index_set(&l->ends, index, cuttable && !seen ? (uint64_t)now : MIN_INDEX_NONE);
}

void cluster_tell_lookers(struct cluster *c, sim_time now)
{
    struct lookers *l = &c->lookers;
    l->news = true;
    for (size_t i = 0; (i = next_bit(c, l->seen, i)) != SIZE_MAX;) {
        set_bit(l->seen, i, false);
        min_index_set(&l->ends, i, (uint64_t)now);
    }
}

/* All idle ones that there is something left for, in order of index. */
static void idle_look(struct cluster *c, sim_time now)
{
    for (size_t i = 0; c->central.count > 0 && (i = next_bit(c, c->lookers.idle, i)) != SIZE_MAX; i++)
        cluster_look(c, c->replicas[i], now);
}

/* Of the replicas in a stretch that have not seen who stands there, the one whose iteration ends first, not before it
 * may look. Keys are no later than such ends. NOBODY: none is. */
static struct replica_id first_to_look(struct cluster *c, sim_time now, struct replica_id after)
{
    struct min_index *ends = &c->lookers.ends;
    for (;;) {
        struct min_index_node first = min_index_first(ends);
        if (first.key == MIN_INDEX_NONE)
            return NOBODY;
        const struct replica *r = c->replicas[first.slot];
        sim_time from = had_its_turn(r, after) ? now + 1 : now, end = replica_next_end(r, from);
        if (!replica_can_be_cut(r) || end < from) /* it looks of its own accord */
            min_index_set(ends, first.slot, MIN_INDEX_NONE);
        else if ((sim_time)first.key == end)
            return replica_id(r);
        else
            min_index_set(ends, first.slot, (uint64_t)end);
    }
}

/* Whether the one that was cut last is still to look. */
static bool somebody_looks(const struct cluster *c, sim_time now, struct replica_id after)
{
    const struct lookers *l = &c->lookers;
    size_t next = l->next.index;
    return next != NOBODY.index && min_index_key(&c->events, next) == (uint64_t)l->next_at &&
           (l->next_at > now || (l->next_at == now && !had_its_turn(c->replicas[next], after)));
}

void cluster_look_at_queue(struct cluster *c, sim_time now, struct replica_id after)
{
    struct lookers *l = &c->lookers;
    bool news = l->news;
    l->news = false;
    if (news)
        idle_look(c, now);
    bool looked_after = somebody_looks(c, now, after);
    if (c->central.count == 0 || (!news && looked_after))
        return;
    struct replica_id first = first_to_look(c, now, after);
    if (first.index == NOBODY.index)
        return;
    sim_time end = (sim_time)min_index_key(&l->ends, first.index);
    if (looked_after && l->next_at <= end)
        return;
    await_replica(c, c->replicas[first.index], replica_cut(c->replicas[first.index], end));
    min_index_set(&l->ends, first.index, MIN_INDEX_NONE);
    l->next = first;
    l->next_at = end;
}
