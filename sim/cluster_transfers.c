/* SPDX-License-Identifier: MIT */
/* From stations that prefill to stations that decode. */
#include "sim/cluster_state.h"

void cluster_cut_station(struct cluster *c, const struct station *s, sim_time from)
{
    for (size_t i = 0; i < s->pool->tied; i++)
        cluster_cut_short(c, replica_id(s->replicas[i]), from);
}

size_t cluster_to_receive(const struct cluster *c, const struct station *s)
{
    const struct kv_transfers *t = &c->transfers;
    size_t to = id_of(c, s).index;
    return s->decodes ? t->queued[to].count + t->under_way[to] + t->arrived[to].count : 0;
}

/* NULL: no station is up. */
static void queue_at(struct cluster *c, const struct station *s, struct request *r, sim_time from)
{
    if (!s) {
        request_list_insert(&c->routers[1].unrouted, r, NULL);
        return;
    }
    struct request_list *queued = &c->transfers.queued[id_of(c, s).index];
    replica_expect(s->replicas[0], r);
    request_list_insert(queued, r, NULL);
    if (queued->count == 1) /* else the first one cannot be pulled yet */
        cluster_cut_station(c, s, from);
}

void cluster_await_transfer(struct cluster *c, struct request *r, sim_time from)
{
    queue_at(c, cluster_choose(c, 1, r), r, from);
}

void cluster_drop_source(struct cluster *c, struct request *r, sim_time now)
{
    struct station *source = &c->stations[r->source.index];
    replica_give_back(source->replicas[0], r, now);
    source->sent_later--;
}

/* It leaves with its KV, which is lost with it. */
static void shed(struct cluster *c, struct request *r, sim_time now, const char *reason)
{
    cluster_drop_source(c, r, now);
    r->computed = 0;
    tell_evicted(c->observer, KV_TRANSFERS, r, now);
    cluster_lose(c, r, now, reason);
}

void cluster_hand_over(void *owner, struct replica *from, struct request *r, sim_time now)
{
    struct cluster *c = owner;
    const struct station *s = cluster_choose(c, 1, r);
    const char *reason = s ? cluster_sheds(c, s, r) : NULL;
    station_of(c, from)->sent_later++;
    if (c->fleet_count > 0)
        (s ? s->fleet : cluster_fleet_of(c, 1, r))->arrived++;
    if (reason)
        shed(c, r, now, reason);
    else
        queue_at(c, s, r, now);
}

/* The source has its blocks again, the request decodes from the next iteration on. Replicas that had something to do at
 * this instant have done it. */
void cluster_end_transfers(struct cluster *c, sim_time now)
{
    struct kv_transfers *t = &c->transfers;
    struct station_id to = {0};
    c->totals.end = now;
    for (struct request *r; (r = kv_transfers_take(t, now, &to));) {
        struct station *source = &c->stations[r->source.index];
        replica_catch_up(source->replicas[0], now + 1); /* what it took before is counted before */
        replica_release_source(source->replicas[0], r, now);
        source->sent_later--;
        cluster_cut_station(c, source, now + 1);
        cluster_cut_station(c, &c->stations[to.index], now + 1);
        cluster_settle_fleet(c, source, now);
    }
    set_event(c, slot_of_transfers(c), kv_transfers_next(t));
    cluster_wake_touched(c, now, EVERYBODY);
}

/* A request that was to be received there is not. Its blocks there have been given back. */
static void turn_away(struct cluster *c, struct station *s, const struct request *r, sim_time now)
{
    replica_expect_no_more(s->replicas[0], r);
    if (state_of(s) != REPLICA_FAILED)
        cluster_cut_station(c, s, now + 1);
}

/* It waits no more, and its KV is gone. */
static void lose_kv(struct request *r, sim_time now, struct request_list *gone)
{
    r->parts[PART_TRANSFER] += now - r->waiting_since;
    r->waiting_since = now;
    r->computed = 0;
    request_list_insert(gone, r, NULL);
}

/* Out of a queue of transfers from the failed station. */
static void break_queue(struct cluster *c, struct request_list *queue, struct station *to, struct station_id failed,
                        sim_time now, struct request_list *gone)
{
    for (struct request *r = queue->head, *next; r; r = next) {
        next = r->next;
        if (r->source.index != failed.index)
            continue;
        request_list_remove(queue, r);
        if (to)
            turn_away(c, to, r, now);
        cluster_drop_source(c, r, now);
        lose_kv(r, now, gone);
    }
}

static void break_under_way(struct cluster *c, struct station_id failed, sim_time now, struct request_list *gone,
                            struct request_list *left)
{
    struct station_id to = {0};
    for (struct request *r; (r = kv_transfers_cancel(&c->transfers, failed, now, &to));) {
        struct station *s = &c->stations[to.index];
        replica_catch_up(s->replicas[0], now + 1);
        replica_cancel_inbound(s->replicas[0], r, now);
        turn_away(c, s, r, now);
        cluster_settle_fleet(c, s, now);
        if (to.index == failed.index) {
            request_list_insert(left, r, NULL);
            continue;
        }
        cluster_drop_source(c, r, now);
        lose_kv(r, now, gone);
    }
    set_event(c, slot_of_transfers(c), kv_transfers_next(&c->transfers));
}

void cluster_break_transfers(struct cluster *c, struct station *s, sim_time now, struct request_list *gone,
                             struct request_list *left)
{
    struct kv_transfers *t = &c->transfers;
    struct station_id failed = id_of(c, s);
    if (c->config->step_count == 1)
        return;
    break_under_way(c, failed, now, gone, left);
    for (struct request *r; s->decodes && (r = t->queued[failed.index].head);) {
        request_list_remove(&t->queued[failed.index], r);
        turn_away(c, s, r, now);
        request_list_insert(left, r, NULL);
    }
    for (struct request *r; s->decodes && (r = t->arrived[failed.index].head);) {
        request_list_remove(&t->arrived[failed.index], r);
        turn_away(c, s, r, now);
        replica_give_back(s->replicas[0], r, now);
        lose_kv(r, now, gone);
    }
    for (size_t i = c->routers[1].first; !s->decodes && i < c->station_count; i++) {
        break_queue(c, &t->queued[i], &c->stations[i], failed, now, gone);
        cluster_settle_fleet(c, &c->stations[i], now);
    }
    if (!s->decodes)
        break_queue(c, &c->routers[1].unrouted, NULL, failed, now, gone);
}
