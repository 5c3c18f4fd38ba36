/* SPDX-License-Identifier: MIT */
/* Replicas that come and go. A replica has as many stations as ranks, and a station as many of struct replica as it has
 * micro-batches: they all come and go together. */
#include "sim/cluster_state.h"

/* The first station of a fleet's replica; `ranks` of its pool follow one another. */
static struct station *stations_at(const struct cluster *c, const struct fleet *f, size_t place)
{
    return c->fleet_stations[f->config->first + place];
}

void cluster_open_stations(struct cluster *c, const struct fleet *f)
{
    struct router *router = &c->routers[stations_at(c, f, 0)->decodes];
    router->open_count = 0;
    for (size_t i = router->first; i < router->first + router->count; i++)
        if (state_of(&c->stations[i]) == REPLICA_UP)
            router->open[router->open_count++] = i;
}

/* A station's state has changed: who ranks it, and who tells it of arrivals, does so by what it is now. */
static void rank_and_listen(struct cluster *c, const struct station *s, sim_time now)
{
    for (size_t i = 0; i < s->pool->tied; i++) {
        cluster_rank(c, s->replicas[i]);
        cluster_listen(c, s->replicas[i], now);
    }
}

static void expect_no_event(struct cluster *c, const struct station *s)
{
    for (size_t i = 0; i < s->pool->tied; i++)
        await_replica(c, s->replicas[i], SIM_TIME_NEVER);
}

/* Nothing runs there, waits there, comes there or is to be sent from there. */
static bool is_empty(const struct cluster *c, const struct station *s)
{
    bool empty = s->sent_later == 0 && cluster_to_receive(c, s) == 0 && s->pipeline.prompts.count == 0 &&
                 (shares_queue(c, s) || replica_waiting(s->replicas[0]) == 0);
    for (size_t i = 0; i < s->pool->tied; i++)
        empty &= !replica_is_busy(s->replicas[i]) && replica_is_drained(s->replicas[i]);
    return empty;
}

/* Its server is given back: the next one starts with nothing. */
static void forget(struct cluster *c, const struct station *s, sim_time now)
{
    struct error err = {0};
    for (size_t i = s->pool->tied; i-- > 0;)
        c->out_of_memory |= replica_forget(s->replicas[i], now, &err) != 0;
}

bool cluster_settle_fleet(struct cluster *c, const struct station *s, sim_time now)
{
    if (state_of(s) != REPLICA_DRAINING)
        return false;
    const struct station *first = stations_at(c, s->fleet, s->fleet_place);
    for (size_t i = 0; i < s->pool->ranks; i++)
        if (!is_empty(c, &first[i]))
            return false;
    fleet_off(s->fleet, s->fleet_place, now);
    await_fleet(c, s->fleet);
    for (size_t i = 0; i < s->pool->ranks; i++) {
        expect_no_event(c, &first[i]);
        forget(c, &first[i], now);
    }
    return true;
}

/* Requests that lost their KV, all over again, or not at all. Those that a station had are told to have left it. */
static int compute_again(struct cluster *c, const struct fleet *f, struct request_list *gone, struct station_id station,
                         sim_time now, struct error *err)
{
    for (struct request *q; (q = gone->head);) {
        request_list_remove(gone, q);
        tell_evicted(c->observer, station, q, now);
        q->taken_over = 0;
        if (f->config->lose)
            cluster_lose(c, q, now, "its replica failed");
        else if (cluster_route_again(c, q, now, EVERYBODY, err))
            return -1;
    }
    return 0;
}

/* Requests whose KV is where they were prefilled: to another station that decodes, or not at all. */
static void send_elsewhere(struct cluster *c, const struct fleet *f, struct request_list *left, sim_time now)
{
    for (struct request *q; (q = left->head);) {
        request_list_remove(left, q);
        if (!f->config->lose) {
            cluster_await_transfer(c, q, now + 1);
            continue;
        }
        const struct station *source = &c->stations[q->source.index];
        replica_catch_up(source->replicas[0], now + 1);
        cluster_drop_source(c, q, now);
        cluster_cut_station(c, source, now + 1);
        cluster_settle_fleet(c, source, now);
        q->computed = 0;
        tell_evicted(c->observer, KV_TRANSFERS, q, now);
        cluster_lose(c, q, now, "its replica failed");
    }
}

static int evict(struct cluster *c, struct station *s, sim_time now, struct request_list *out, struct error *err)
{
    struct request_list none = {0};
    if (s->pipeline.stages > 0)
        pipeline_stop(&s->pipeline, now);
    for (size_t i = s->pool->tied; i-- > 0;)
        if (replica_evict(s->replicas[i], i == 0 ? &s->pipeline.prompts : &none, now, out, err))
            return -1;
    expect_no_event(c, s);
    rank_and_listen(c, s, now);
    return 0;
}

/* A station of a replica that has failed: who was there goes elsewhere, or is lost. */
static int clear(struct cluster *c, struct station *s, sim_time now, struct error *err)
{
    struct request_list present = {0}, gone = {0}, left = {0};
    for (size_t i = 0; i < s->pool->tied; i++)
        replica_abort(s->replicas[i], now);
    cluster_break_transfers(c, s, now, &gone, &left);
    if (evict(c, s, now, &present, err) || compute_again(c, s->fleet, &present, id_of(c, s), now, err) ||
        compute_again(c, s->fleet, &gone, KV_TRANSFERS, now, err))
        return -1;
    send_elsewhere(c, s->fleet, &left, now);
    return 0;
}

static int fail(struct cluster *c, struct fleet *f, size_t place, sim_time now, struct error *err)
{
    struct station *s = stations_at(c, f, place);
    c->totals.failures++;
    cluster_open_stations(c, f);
    for (size_t i = 0; i < s->pool->ranks; i++)
        if (clear(c, &s[i], now, err))
            return -1;
    return 0;
}

/* Requests that nobody was up for are routed as those that have just come. */
static int route_unrouted(struct cluster *c, size_t step, sim_time now, struct error *err)
{
    struct request_list waiting = c->routers[step].unrouted;
    c->routers[step].unrouted = (struct request_list){0};
    for (struct request *q; (q = waiting.head);) {
        request_list_remove(&waiting, q);
        if (step > 0)
            cluster_await_transfer(c, q, now + 1);
        else if (cluster_route_again(c, q, now, EVERYBODY, err))
            return -1;
    }
    return 0;
}

static int come_up(struct cluster *c, struct fleet *f, size_t place, sim_time now, struct error *err)
{
    struct station *s = stations_at(c, f, place);
    cluster_open_stations(c, f);
    for (size_t i = 0; i < s->pool->ranks * s->pool->tied; i++) {
        struct replica *r = s->replicas[i];
        replica_close(r, false);
        replica_set_failure(r, fleet_fails_at(f, place));
        cluster_rank(c, r);
        cluster_listen(c, r, now);
        cluster_notice(c, r, now + 1);
    }
    return route_unrouted(c, s->decodes, now, err);
}

/* Requests that run on a replica, wait in its own queue, or are to come with their KV. */
static size_t present(const struct cluster *c, const struct fleet *f, size_t place)
{
    const struct station *s = stations_at(c, f, place);
    size_t count = 0;
    for (size_t i = 0; i < s->pool->ranks; i++)
        count += cluster_running_on(&s[i]) + replica_own_waiting(s[i].replicas[0]) + cluster_to_receive(c, &s[i]);
    return count;
}

/* Of those that are up. */
static size_t least_loaded(const struct cluster *c, const struct fleet *f)
{
    size_t least = f->count;
    for (size_t i = 0; i < f->count; i++)
        if (f->states[i] == REPLICA_UP && (least == f->count || present(c, f, i) < present(c, f, least)))
            least = i;
    return least < f->count ? least : 0;
}

/* A central queue's replica that drains takes nobody more; any other serves its own queue first, and receives what
 * waits to be sent to it. */
static void drain(struct cluster *c, struct fleet *f, size_t place, sim_time now)
{
    const struct station *s = stations_at(c, f, place);
    cluster_open_stations(c, f);
    for (size_t i = 0; i < s->pool->ranks; i++) {
        for (size_t k = 0; k < s->pool->tied; k++)
            replica_close(s[i].replicas[k], shares_queue(c, s));
        rank_and_listen(c, &s[i], now);
    }
    cluster_settle_fleet(c, s, now);
}

static struct scaling_view measure(struct cluster *c, const struct fleet *f)
{
    struct scaling_view view = {.waiting = cluster_unrouted(c, f)};
    const struct station *first = stations_at(c, f, 0);
    if (shares_queue(c, first))
        view.waiting += c->central.count;
    view.outstanding = view.waiting;
    for (size_t i = 0; i < f->count; i++) {
        const struct station *s = stations_at(c, f, i);
        view.outstanding += present(c, f, i);
        for (size_t k = 0; k < s->pool->ranks; k++)
            view.waiting += replica_own_waiting(s[k].replicas[0]) +
                            (s->decodes ? c->transfers.queued[id_of(c, &s[k]).index].count : 0);
    }
    return view;
}

static int scale(struct cluster *c, struct fleet *f, sim_time now, struct error *err)
{
    struct scaling_view view = measure(c, f);
    fleet_look(f, &view);
    size_t place = 0;
    for (enum fleet_event e; (e = fleet_adjust(f, now, least_loaded(c, f), &place)) != FLEET_NOTHING;) {
        if (e == FLEET_DRAIN)
            drain(c, f, place, now);
        else if (e == FLEET_UP && come_up(c, f, place, now, err))
            return -1;
    }
    return 0;
}

/* Whoever gives up has not been in a batch. */
static void give_up(struct cluster *c, struct request *r, sim_time now)
{
    if (r->replica.index == NO_REPLICA.index) {
        request_list_remove(&c->routers[0].unrouted, r);
        cluster_lose(c, r, now, "gave up waiting");
        return;
    }
    struct replica *replica = c->replicas[r->replica.index];
    const struct station *s = station_of(c, replica);
    bool central = shares_queue(c, s);
    replica_drop(replica, r, now);
    if (!central)
        tell_evicted(c->observer, replica_station(replica), r, now);
    cluster_lose(c, r, now, "gave up waiting");
    for (size_t i = 0; i < c->replica_count; i++) { /* who stood behind it may fit */
        const struct station *other = station_of(c, c->replicas[i]);
        if ((other == s || (central && !other->decodes)) && replica_is_busy(c->replicas[i]))
            cluster_cut_short(c, replica_id(c->replicas[i]), now + 1);
    }
    cluster_rank(c, replica);
    cluster_settle_fleet(c, s, now);
}

/* Replicas that had something to do at this instant have done it. */
int cluster_step_fleet(struct cluster *c, struct fleet *f, sim_time now, struct error *err)
{
    size_t place = 0;
    c->totals.end = now;
    for (enum fleet_event e; (e = fleet_take(f, now, &place)) != FLEET_NOTHING;) {
        int status = e == FLEET_LOOK     ? scale(c, f, now, err)
                     : e == FLEET_FAILED ? fail(c, f, place, now, err)
                                         : come_up(c, f, place, now, err);
        if (status)
            return -1;
    }
    for (struct request *r; (r = fleet_gives_up(f, now));)
        give_up(c, r, now);
    await_fleet(c, f);
    if (cluster_hear_from_clients(c, EVERYBODY, now, err))
        return -1;
    cluster_wake_touched(c, now, EVERYBODY);
    return !cluster_can_go_on(c) && c->in_flight > 0 ? cluster_stalled(c, err) : 0;
}
