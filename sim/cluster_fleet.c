/* SPDX-License-Identifier: MIT */
#include "sim/cluster_state.h"

/* A replica has failed: who was there goes elsewhere, or is lost. */
static int evict(struct cluster *c, struct replica *r, sim_time now, struct error *err)
{
    struct request_list evicted = {0};
    if (replica_evict(r, now, &evicted, err))
        return -1;
    set_event(c, replica_index(r), SIM_TIME_NEVER);
    for (struct request *q; (q = evicted.head);) {
        request_list_remove(&evicted, q);
        tell_evicted(c->observer, replica_station(r), q, now);
        if (c->config->fleet.lose)
            cluster_lose(c, q, now, "its replica failed");
        else if (cluster_route_again(c, q, now, EVERYBODY, err))
            return -1;
    }
    return 0;
}

/* Before a replica that is not simply up starts again. Returns whether it does not. */
bool cluster_settle_fleet(struct cluster *c, struct replica *r, sim_time now)
{
    size_t index = replica_index(r);
    if (!c->config->fleet.asked || serves(c, index))
        return false;
    bool drained = replica_is_drained(r) && (c->queue_is_shared || replica_waiting(r) == 0);
    if (c->fleet.states[index] != REPLICA_DRAINING || !drained)
        return false;
    fleet_off(&c->fleet, index, now);
    set_event(c, index, SIM_TIME_NEVER);
    set_event(c, slot_of_fleet(c), fleet_next(&c->fleet));
    return true;
}

/* Its queue has changed, or it is up again: it looks. */
static void look_again(struct cluster *c, struct replica *r, sim_time now)
{
    cluster_rank(c, r);
    cluster_listen(c, r);
    cluster_notice(c, r, now + 1);
}

static int come_up(struct cluster *c, struct replica *r, sim_time now, struct error *err)
{
    replica_close(r, false);
    replica_set_failure(r, fleet_fails_at(&c->fleet, replica_index(r)));
    look_again(c, r, now);
    for (struct request *q; c->fleet.serving_count > 0 && (q = c->limbo.head);) {
        request_list_remove(&c->limbo, q);
        if (cluster_route_again(c, q, now, EVERYBODY, err))
            return -1;
    }
    return 0;
}

static int fail(struct cluster *c, struct replica *r, sim_time now, struct error *err)
{
    c->totals.failures++;
    if (replica_is_busy(r))
        replica_abort(r, now);
    cluster_rank(c, r);
    cluster_listen(c, r);
    return evict(c, r, now, err);
}

/* Requests that run there or wait in its own queue. */
static size_t present(const struct replica *r)
{
    return replica_running(r) + replica_own_waiting(r);
}

static size_t least_loaded(const struct cluster *c)
{
    size_t least = c->fleet.serving_count ? c->fleet.serving[0] : 0;
    for (size_t i = 1; i < c->fleet.serving_count; i++)
        if (present(c->replicas[c->fleet.serving[i]]) < present(c->replicas[least]))
            least = c->fleet.serving[i];
    return least;
}

/* A central queue's replica that drains takes nobody more; any other serves its own queue first. */
static void drain(struct cluster *c, struct replica *r, sim_time now)
{
    replica_close(r, c->queue_is_shared);
    cluster_rank(c, r);
    cluster_listen(c, r);
    if (!replica_is_busy(r) && replica_running(r) == 0 && (c->queue_is_shared || replica_waiting(r) == 0)) {
        fleet_off(&c->fleet, replica_index(r), now);
        set_event(c, replica_index(r), SIM_TIME_NEVER);
    }
}

static int scale(struct cluster *c, sim_time now, struct error *err)
{
    struct scaling_view view = {.waiting = c->limbo.count + c->central.count};
    for (size_t i = 0; i < c->replica_count; i++) {
        view.outstanding += present(c->replicas[i]);
        view.waiting += replica_own_waiting(c->replicas[i]);
    }
    view.outstanding += c->limbo.count + c->central.count;
    fleet_look(&c->fleet, &view);
    size_t replica = 0;
    for (enum fleet_event e; (e = fleet_adjust(&c->fleet, now, least_loaded(c), &replica)) != FLEET_NOTHING;) {
        if (e == FLEET_DRAIN)
            drain(c, c->replicas[replica], now);
        else if (e == FLEET_UP && come_up(c, c->replicas[replica], now, err))
            return -1;
    }
    return 0;
}

/* Whoever gives up has not been in a batch. */
static void give_up(struct cluster *c, struct request *r, sim_time now)
{
    if (r->replica == SIZE_MAX) {
        request_list_remove(&c->limbo, r);
        cluster_lose(c, r, now, "gave up waiting");
        return;
    }
    struct replica *replica = c->replicas[r->replica];
    bool central = c->queue_is_shared;
    replica_drop(replica, r);
    if (!central)
        tell_evicted(c->observer, replica_station(replica), r, now);
    cluster_lose(c, r, now, "gave up waiting");
    for (size_t i = 0; i < c->replica_count; i++) /* who stood behind it may fit */
        if ((central || i == replica_index(replica)) && replica_is_busy(c->replicas[i]))
            cluster_cut_short(c, i, now + 1);
    cluster_rank(c, replica);
}

/* Replicas that had something to do at this instant have done it. */
int cluster_step_fleet(struct cluster *c, sim_time now, struct error *err)
{
    size_t replica = 0;
    c->totals.end = now;
    for (enum fleet_event e; (e = fleet_take(&c->fleet, now, &replica)) != FLEET_NOTHING;) {
        int status = e == FLEET_LOOK     ? scale(c, now, err)
                     : e == FLEET_FAILED ? fail(c, c->replicas[replica], now, err)
                                         : come_up(c, c->replicas[replica], now, err);
        if (status)
            return -1;
    }
    for (struct request *r; (r = fleet_gives_up(&c->fleet, now));)
        give_up(c, r, now);
    set_event(c, slot_of_fleet(c), fleet_next(&c->fleet));
    if (cluster_hear_from_clients(c, EVERYBODY, now, err))
        return -1;
    cluster_wake_touched(c, now);
    return !cluster_can_go_on(c) && c->in_flight > 0 ? cluster_stalled(c, err) : 0;
}
