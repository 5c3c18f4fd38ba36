/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/array.h"
#include "sim/cluster_state.h"

enum { REQUESTS_PER_SLAB = 256 };

/* Another may come now before the one that comes next; not before one that comes at this instant. */
static void tell_source(struct cluster *c, const struct request *r)
{
    c->source->finished(c->source->state, r, c->totals.end);
    if (c->source->put_back && c->more == 1 && c->next.at > c->totals.end) {
        c->source->put_back(c->source->state);
        c->more = SOURCE_WAITS;
    }
}

void cluster_recycle(struct cluster *c, struct request *r)
{
    r->next = c->free_requests;
    c->free_requests = r;
    c->in_flight--;
    c->totals.finished++;
    if (c->source->finished)
        tell_source(c, r);
    r->id = UINT64_MAX; /* nobody who remembers it takes it for another */
}

void cluster_finish(void *owner, struct station_id station, struct request *r)
{
    struct cluster *c = owner;
    tell_finished(c->observer, station, r);
    cluster_recycle(c, r);
}

void cluster_answer_later(void *owner, struct station_id station, struct request *r)
{
    struct cluster *c = owner;
    r->source = station;
    tell_served(c->observer, station, r);
    delays_serve(&c->delays, r);
}

static int add_slab(struct cluster *c, struct error *err)
{
    struct request *slab = malloc(REQUESTS_PER_SLAB * sizeof *slab);
    struct request **grown = slab ? array_grow(c->slabs, &c->slab_capacity, c->slab_count + 1, sizeof *grown) : NULL;
    if (!grown) {
        free(slab);
        return error_no_memory(err);
    }
    c->slabs = grown;
    c->slabs[c->slab_count++] = slab;
    for (size_t i = 0; i < REQUESTS_PER_SLAB; i++) {
        slab[i].hashes = NULL;
        slab[i].hash_capacity = 0;
        slab[i].next = c->free_requests;
        c->free_requests = &slab[i];
    }
    return 0;
}

void cluster_free_requests(struct cluster *c)
{
    for (size_t i = 0; i < c->slab_count; i++) {
        for (size_t k = 0; k < REQUESTS_PER_SLAB; k++)
            free(c->slabs[i][k].hashes);
        free(c->slabs[i]);
    }
    free(c->slabs);
}

/* Its own copy of what the arrival says, where anybody looks at it. */
static int copy_hashes(struct request *r, const struct arrival *a)
{
    size_t capacity = r->hash_capacity;
    uint64_t *grown = array_grow(r->hashes, &capacity, a->hash_count, sizeof *grown);
    if (!grown)
        return -1;
    r->hashes = grown;
    r->hash_capacity = (uint32_t)capacity;
    r->hash_tokens = a->hash_tokens;
    r->hash_count = a->hash_count;
    for (uint32_t i = 0; i < a->hash_count; i++)
        grown[i] = a->hashes[i];
    return 0;
}

/* What its source has settled. */
static void take_route(struct request *r, const struct arrival *a)
{
    r->source = (struct station_id){a->station};
    r->predicted_tokens = a->predicted_tokens;
    r->prediction = a->prediction;
}

static struct request *new_request(struct cluster *c, const struct arrival *a, struct error *err)
{
    if (!c->free_requests && add_slab(c, err))
        return NULL;
    struct request *r = c->free_requests;
    c->free_requests = r->next;
    c->next_id += a->elsewhere;
    request_init(r, c->next_id++, a->at, a->prompt_tokens, a->output_tokens, a->max_output_tokens);
    r->origin = a->origin;
    if (a->hash_count > 0 && (c->config->pools[0].replica.prefix_caching || c->delays.reads_prompts) &&
        copy_hashes(r, a)) {
        error_no_memory(err);
        return NULL;
    }
    if (c->source->routed)
        take_route(r, a);
    else if (c->prediction_rng)
        predictor_apply(c->config->predictor, c->config->predictor_params, r, c->prediction_rng);
    if (++c->in_flight > c->totals.peak_in_flight)
        c->totals.peak_in_flight = c->in_flight;
    return r;
}

/* Where a prompt goes that was routed to `chosen`, in a mixed pool: the station of the second step with fewest prompt
 * tokens before it, if the one chosen has too many and that one fewer. */
static struct station *relieve(const struct cluster *c, struct station *chosen)
{
    if (!c->config->mixed.asked || (chosen && station_load(chosen)->prompt_tokens <= c->config->mixed.prefill_above))
        return chosen;
    for (size_t i = c->routers[1].first; chosen && i < c->station_count; i++) {
        struct station *s = &c->stations[i];
        if (state_of(s) == REPLICA_UP && station_load(s)->prompt_tokens < station_load(chosen)->prompt_tokens)
            chosen = s;
    }
    return chosen;
}

/* The station that would decode a prompt, where that lacks little of its KV; NULL: a station of the first step is to
 * compute it. */
static struct station *skip_prefill(struct cluster *c, const struct request *r, sim_time now)
{
    uint32_t below = c->config->wire.local_below;
    struct station *s = below > 0 && c->config->step_count > 1 ? cluster_choose(c, 1, r, now) : NULL;
    return s && r->prompt_tokens + r->generated - cluster_cached_tokens(c, 1, s, r, now) < below ? s : NULL;
}

static struct station *route(struct cluster *c, const struct request *r, sim_time now)
{
    struct station *there = skip_prefill(c, r, now);
    return there ? there : relieve(c, cluster_choose(c, 0, r, now));
}

bool cluster_keeps_in_mixed_pool(void *owner, const struct replica *r, struct request *q, sim_time now)
{
    const struct cluster *c = owner;
    (void)r, (void)q, (void)now;
    for (size_t i = c->routers[1].first; i < c->station_count; i++)
        if (state_of(&c->stations[i]) == REPLICA_UP &&
            station_load(&c->stations[i])->outstanding_tokens <= c->config->mixed.decode_above)
            return false;
    return true;
}

/* Of all stations where they share a queue: what is taken out of one's load was put into another's. */
static uint64_t outstanding_tokens(const struct cluster *c, const struct station *s)
{
    uint64_t tokens = 0;
    if (!shares_queue(c, s))
        return station_load(s)->outstanding_tokens;
    for (size_t i = 0; i < c->routers[0].count; i++)
        tokens += station_load(&c->stations[i])->outstanding_tokens;
    return tokens;
}

const char *cluster_sheds(const struct cluster *c, const struct station *s, const struct request *r)
{
    if (!s->fleet)
        return NULL;
    const struct fleet_config *f = s->fleet->config;
    size_t share = shares_queue(c, s) && c->routers[0].open_count > 0 ? c->routers[0].open_count : 1;
    size_t to_receive = s->decodes ? c->transfers.queued[id_of(c, s).index].count : 0;
    if ((replica_waiting(s->replicas[0]) + to_receive) / share >= f->most_waiting)
        return "shed: too many wait";
    uint64_t tokens = (uint64_t)(r->generated == 0 ? r->prompt_tokens : 0) + r->max_output_tokens;
    return f->most_outstanding_tokens < UINT64_MAX &&
                   outstanding_tokens(c, s) / share + tokens > f->most_outstanding_tokens
               ? "shed: too many outstanding tokens"
               : NULL;
}

/* Puts a request in a replica's queue, or in the shared one. */
static int enqueue(struct cluster *c, struct replica *replica, struct request *r, sim_time now, struct replica_id after,
                   struct error *err)
{
    bool central = shares_queue(c, station_of(c, replica));
    r->replica = replica_id(replica);
    if (replica_enqueue(replica, r, now))
        return error_no_memory(err);
    cluster_rank(c, replica);
    if (central)
        cluster_tell_lookers(c, now);
    const struct station *s = station_of(c, replica);
    for (size_t i = 0; !central && i < s->pool->tied; i++) {
        cluster_notice(c, s->replicas[i], had_its_turn(s->replicas[i], after) ? now + 1 : now);
    }
    return 0;
}

static void reject(struct cluster *c, struct request *r, const char *reason)
{
    tell_rejected(c->observer, r, reason);
    cluster_recycle(c, r);
    c->totals.finished--;
    c->totals.rejected++;
}

/* Why some pool of a step that it may be sent to could never hold it, or NULL. */
static const char *some_pool_refuses(struct cluster *c, size_t step, const struct request *r)
{
    struct span_of_stations span = cluster_stations_for(&c->routers[step], r);
    const char *reason = NULL;
    for (size_t i = span.first; !reason && i < span.first + span.count; i += c->stations[i].pool->stations)
        reason = replica_refuses(c->stations[i].replicas[0], r);
    return reason;
}

/* Why it is rejected for its lengths. Whoever it may still be sent to must be able to hold it: any station that
 * decodes, and any station at all where its own is not known yet (NULL), or may fail or be given up. */
static const char *refused(struct cluster *c, const struct station *station, const struct request *r)
{
    const char *reason =
        !station || c->fleet_count > 0 ? some_pool_refuses(c, 0, r) : replica_refuses(station->replicas[0], r);
    bool decodes_there = station && station->decodes && c->fleet_count == 0;
    return !reason && c->config->step_count > 1 && !decodes_there ? some_pool_refuses(c, 1, r) : reason;
}

/* Whose queue a request that has been routed stands in, as observers know it; NULL: the router's. */
static struct station_id queue_of(const struct cluster *c, const struct replica *replica)
{
    return !replica || shares_queue(c, station_of(c, replica)) ? ROUTER_QUEUE : replica_station(replica);
}

/* Tells of a request that comes to the router, which the replica that it is sent to may not take (`reason`). Returns
 * whether it stays: one that has just arrived is rejected else, one that has been at delay stations is lost. */
static bool take_in(struct cluster *c, struct request *r, const struct replica *replica, const char *reason,
                    bool arrives)
{
    if (arrives && reason)
        reject(c, r, reason);
    else if (arrives)
        tell_arrived(c->observer, queue_of(c, replica), r);
    else
        tell_queued(c->observer, queue_of(c, reason ? NULL : replica), r);
    if (!arrives && reason)
        cluster_lose(c, r, r->queued, reason);
    return !reason;
}

/* Its station may give it up, or be up only later (NULL). */
static int tell_fleet(struct cluster *c, const struct station *s, struct request *r, struct error *err)
{
    struct fleet *f = c->fleet_count == 0 ? NULL : s ? s->fleet : cluster_fleet_of(c, 0, r);
    if (!f)
        return 0;
    if (fleet_wait(f, r))
        return error_no_memory(err);
    if (f->waiting_count == 1)
        await_fleet(c, f);
    return 0;
}

/* A request comes to the router, at its arrival or later. */
static int come(struct cluster *c, struct request *r, sim_time now, struct replica_id after, bool arrives,
                struct error *err)
{
    struct station *station = route(c, r, now);
    struct replica *replica = station ? station->replicas[0] : NULL;
    const char *reason = arrives ? refused(c, station, r) : NULL;
    if (c->fleet_count > 0)
        (station ? station->fleet : cluster_fleet_of(c, 0, r))->arrived++;
    if (!reason && station)
        reason = cluster_sheds(c, station, r);
    if (!take_in(c, r, replica, reason, arrives))
        return 0;
    if (tell_fleet(c, station, r, err))
        return -1;
    if (replica)
        return enqueue(c, replica, r, now, after, err);
    request_list_insert(&c->routers[0].unrouted, r, NULL);
    return 0;
}

static int enter_delays(struct cluster *c, struct request *r)
{
    const char *reason = refused(c, NULL, r);
    if (reason) {
        reject(c, r, reason);
        return 0;
    }
    tell_arrived(c->observer, DELAY_STATIONS, r);
    delays_enter(&c->delays, r, r->arrival);
    return 0;
}

/* It has its whole answer at once. */
static void answer_early(struct cluster *c, struct request *r, sim_time now)
{
    r->generated = r->output_tokens;
    r->queued = r->first_scheduled = r->first_token = r->last_token = now;
    cluster_finish(c, NO_STATION, r);
}

int cluster_come_from_delays(struct cluster *c, struct request *r, enum delay_exit to, sim_time now,
                             struct replica_id after, struct error *err)
{
    if (to == DELAY_ANSWERED) {
        answer_early(c, r, now);
        return 0;
    }
    if (to == DELAY_TO_CLIENT) {
        cluster_finish(c, r->source, r);
        return 0;
    }
    r->queued = r->entered = r->waiting_since = now;
    return come(c, r, now, after, false, err);
}

/* `after` and the replicas before it have had their turn at this instant. */
int cluster_arrive(struct cluster *c, const struct arrival *a, struct replica_id after, struct error *err)
{
    struct request *r = new_request(c, a, err);
    if (!r)
        return -1;
    c->totals.arrived++;
    return c->delays.before > 0 ? enter_delays(c, r) : come(c, r, a->at, after, true, err);
}

/* A request that lost its replica, or waited for one to come up. */
int cluster_route_again(struct cluster *c, struct request *r, sim_time now, struct replica_id after, struct error *err)
{
    struct station *station = route(c, r, now);
    r->replica = NO_REPLICA;
    r->entered = now;
    if (!station) {
        request_list_insert(&c->routers[0].unrouted, r, NULL);
        return 0;
    }
    if (!shares_queue(c, station))
        tell_routed(c->observer, id_of(c, station), r, now);
    return enqueue(c, station->replicas[0], r, now, after, err);
}

int cluster_compute_there(struct cluster *c, struct station *s, struct request *r, sim_time now, struct error *err)
{
    r->entered = now;
    tell_routed(c->observer, id_of(c, s), r, now);
    return enqueue(c, s->replicas[0], r, now, EVERYBODY, err);
}

void cluster_lose(struct cluster *c, struct request *r, sim_time now, const char *reason)
{
    tell_lost(c->observer, r, now, reason);
    cluster_recycle(c, r);
    c->totals.finished--;
    c->totals.lost++;
}
