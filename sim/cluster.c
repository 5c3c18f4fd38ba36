/* SPDX-License-Identifier: MIT */
#include "sim/cluster.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/random.h"
#include "sim/min_index.h"

enum { REQUESTS_PER_SLAB = 256, EVENTS_PER_LOOK = 1 << 8, EVENTS_PER_TICK = 1 << 16 };

#define NOBODY SIZE_MAX

#define LATEST ((sim_time)4 * 1000000000000000000) /* 127 years */

struct cluster {
    const struct cluster_config *config;
    const struct observer *observer;
    struct replica *replicas;
    struct min_index events;     /* by replica: when it acts next */
    struct min_index ranks;      /* by replica, for routing policies that rank them */
    struct request_list central; /* the shared queue of central routing */
    uint64_t *listening; /* bit i of the shared queue's replicas: i is idle, or in a stretch that an arrival can cut */
    struct request *free_requests;
    struct request **slabs;
    size_t slab_count, slab_capacity;
    size_t *touched; /* [replicas] ring: idle ones that have something to look at at this instant, each once */
    size_t touched_first, touched_count;
    bool *is_touched;
    struct handover handover;   /* of disaggregated placement */
    struct pipeline *pipelines; /* [stations]; NULL without pipeline parallelism, and empty where a pool has none */
    struct pair *pairs;         /* [stations], NULL where replicas are not paired */
    struct fleet fleet;         /* where one is asked for */
    struct request_list limbo;  /* who arrived, or was evicted, while no replica was up */
    bool out_of_memory;
    gsl_rng *prediction_rng; /* NULL: nothing is foretold */
    struct request_source *source;
    struct arrival next;
    int more; /* 1: `next` is to come; else as the source said */
    uint64_t cursor, decode_cursor;
    sim_time next_probe;
    uint64_t next_id, in_flight, events_seen;
    struct cluster_totals totals;
};

static bool receives(const struct cluster *c, size_t replica)
{
    return c->config->prefill_replicas && replica >= c->config->prefill_replicas;
}

/* How many replicas are tied to this one, itself included, and the first of them. */
static size_t tied_to(const struct cluster *c, size_t replica)
{
    return receives(c, replica) ? c->config->decode_tied : c->config->tied;
}

static size_t first_tied(const struct cluster *c, size_t replica)
{
    size_t from = receives(c, replica) ? c->config->prefill_replicas : 0;
    return replica - (replica - from) % tied_to(c, replica);
}

/* The first replica of a station. */
static size_t station_first(const struct cluster *c, size_t station)
{
    size_t prefills = c->config->prefill_replicas, before = prefills / c->config->tied;
    return prefills && station >= before ? prefills + (station - before) * c->config->decode_tied
                                         : station * c->config->tied;
}

static struct pipeline *pipeline_of(const struct cluster *c, const struct replica *r)
{
    return c->pipelines && c->pipelines[r->station].stages > 0 ? &c->pipelines[r->station] : NULL;
}

static void recycle(void *owner, struct request *r)
{
    struct cluster *c = owner;
    r->next = c->free_requests;
    c->free_requests = r;
    c->in_flight--;
    c->totals.finished++;
    if (c->source->finished)
        c->source->finished(c->source->state, r, c->totals.end);
    r->id = UINT64_MAX; /* nobody who remembers it takes it for another */
}

static bool serves(const struct cluster *c, size_t replica)
{
    return !c->config->fleet.asked || c->fleet.states[replica] == REPLICA_UP;
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

static struct request *new_request(struct cluster *c, const struct arrival *a, struct error *err)
{
    if (!c->free_requests && add_slab(c, err))
        return NULL;
    struct request *r = c->free_requests;
    c->free_requests = r->next;
    request_init(r, c->next_id++, a->at, a->prompt_tokens, a->output_tokens, a->max_output_tokens);
    r->origin = a->origin;
    if (a->hash_count > 0 && c->config->replica.prefix_caching && copy_hashes(r, a)) {
        error_no_memory(err);
        return NULL;
    }
    if (c->prediction_rng)
        predictor_apply(c->config->predictor, c->config->predictor_params, r, c->prediction_rng);
    if (++c->in_flight > c->totals.peak_in_flight)
        c->totals.peak_in_flight = c->in_flight;
    return r;
}

/* Replicas that a routing policy chooses among: every `step`-th from `first` on. */
struct routed {
    struct cluster *c;
    size_t first, step;
    const size_t *only; /* those of them that are up; NULL: all */
};

static struct replica *routed_replica(void *replicas, size_t index)
{
    const struct routed *r = replicas;
    return &r->c->replicas[r->first + (r->only ? r->only[index] : index) * r->step];
}

static const struct replica_load *load_of(void *replicas, size_t index)
{
    return routed_replica(replicas, index)->load;
}

static uint32_t cached_tokens_of(void *replicas, size_t index, const struct request *r)
{
    struct replica *replica = routed_replica(replicas, index);
    replica_catch_up(replica, r->arrival);
    return replica_cached_tokens(replica, r);
}

static uint64_t kv_tokens_of(void *replicas, size_t index)
{
    const struct kv_pool *kv = routed_replica(replicas, index)->kv;
    return kv->total_blocks * kv->block_tokens;
}

/* Replicas that arrivals are routed to; of one with stages, its first micro-batch stands for it. */
static size_t entrances(const struct cluster *c)
{
    size_t replicas = c->config->prefill_replicas ? c->config->prefill_replicas : c->config->replicas;
    return replicas / c->config->tied;
}

static struct routing_view view_of(struct routed *routed, const struct param_set *params)
{
    return (struct routing_view){.params = params,
                                 .load = load_of,
                                 .cached_tokens = cached_tokens_of,
                                 .kv_tokens = kv_tokens_of,
                                 .replicas = routed};
}

static size_t choose_by_policy(struct cluster *c, const struct request *r, size_t count)
{
    const struct routing_policy *routing = c->config->routing;
    const size_t *only = c->config->fleet.asked ? c->fleet.serving : NULL;
    struct routed entered = {.c = c, .step = c->config->tied, .only = only};
    struct routing_view view = view_of(&entered, c->config->routing_params);
    size_t chosen = routing->choose(&c->cursor, count, r, &view);
    return only ? only[chosen] : c->config->tied * chosen;
}

static size_t choose_replica(struct cluster *c, const struct request *r)
{
    const struct routing_policy *routing = c->config->routing;
    size_t count = entrances(c);
    if (routing->central || count == 1)
        return 0;
    if (c->config->fleet.asked && (count = c->fleet.serving_count) == 1)
        return c->fleet.serving[0];
    return routing->rank ? c->config->tied * (size_t)min_index_first(&c->ranks).slot : choose_by_policy(c, r, count);
}

/* The decode replica, from 0, that a request goes to whose prompt is through. */
static size_t choose_decoder(struct cluster *c, const struct request *r)
{
    const struct routing_policy *routing = c->config->decode_routing;
    size_t first = c->config->prefill_replicas, step = c->config->decode_tied;
    size_t count = (c->config->replicas - first) / step, least = 0;
    struct routed decoders = {.c = c, .first = first, .step = step};
    struct routing_view view = view_of(&decoders, c->config->decode_routing_params);
    if (count == 1)
        return 0;
    if (!routing->rank)
        return routing->choose(&c->decode_cursor, count, r, &view);
    for (size_t i = 1; i < count; i++)
        if (routing->rank(load_of(&decoders, i)) < routing->rank(load_of(&decoders, least)))
            least = i;
    return least;
}

/* Where a prompt goes that was routed to `chosen`, in a mixed pool: the decode replica with fewest prompt tokens before
 * it, if the prefill replica has too many and that one fewer. */
static size_t relieve(const struct cluster *c, size_t chosen)
{
    uint64_t least = c->replicas[chosen].load->prompt_tokens;
    if (!c->config->mixed || least <= c->config->prefill_above)
        return chosen;
    for (size_t i = c->config->prefill_replicas; i < c->config->replicas; i += c->config->decode_tied)
        if (c->replicas[i].load->prompt_tokens < least) {
            least = c->replicas[i].load->prompt_tokens;
            chosen = i;
        }
    return chosen;
}

/* In a mixed pool, whether all decode replicas are too busy to take a request over. */
static bool keeps_in_mixed_pool(void *owner, const struct replica *r, struct request *q, sim_time now)
{
    const struct cluster *c = owner;
    (void)r, (void)q, (void)now;
    for (size_t i = c->config->prefill_replicas; i < c->config->replicas; i += c->config->decode_tied)
        if (c->replicas[i].load->outstanding_tokens <= c->config->decode_above)
            return false;
    return true;
}

static struct pair *pair_of(const struct cluster *c, const struct replica *r)
{
    return &c->pairs[r->station];
}

static bool keeps_in_pair(void *owner, const struct replica *r, struct request *q, sim_time now)
{
    pair_copy(pair_of(owner, r), r, q, now);
    return true;
}

static void rank(struct cluster *c, const struct replica *r)
{
    size_t entrance = r->index / c->config->tied;
    if (c->config->routing->rank && entrance < entrances(c))
        min_index_set(&c->ranks, entrance, serves(c, r->index) ? c->config->routing->rank(r->load) : MIN_INDEX_NONE);
}

static void touch(struct cluster *c, size_t replica)
{
    if (!c->is_touched[replica])
        c->touched[(c->touched_first + c->touched_count++) % c->config->replicas] = replica;
    c->is_touched[replica] = true;
}

static void set_event(struct cluster *c, size_t replica, sim_time at)
{
    min_index_set(&c->events, replica, at == SIM_TIME_NEVER ? MIN_INDEX_NONE : (uint64_t)at);
}

/* Somebody new stands in the replica's queue; an idle replica looks when the instant's arrivals are all in. */
static void notice(struct cluster *c, struct replica *r, sim_time from)
{
    if (!r->busy)
        touch(c, r->index);
    else if (replica_can_be_cut(r))
        set_event(c, r->index, replica_cut(r, from));
}

/* Whether the replica must be told when somebody new stands in the shared queue. */
static void listen(struct cluster *c, const struct replica *r)
{
    if (r->index / c->config->tied >= entrances(c))
        return;
    uint64_t bit = (uint64_t)1 << r->index % 64, *word = &c->listening[r->index / 64];
    *word = serves(c, r->index) && (!r->busy || replica_can_be_cut(r)) ? *word | bit : *word & ~bit;
}

/* Tells all who listen, in order of index. One that is cut looks at the queue next of its own accord. `after` and
 * those before it have had their turn at this instant. */
static void notice_all(struct cluster *c, sim_time now, size_t after)
{
    for (size_t word = 0; word <= (c->config->replicas - 1) / 64; word++)
        for (uint64_t left = c->listening[word]; left; left &= left - 1) {
            struct replica *r = &c->replicas[word * 64 + (size_t)__builtin_ctzll(left)];
            notice(c, r, after != NOBODY && r->index <= after ? now + 1 : now);
            if (r->busy)
                listen(c, r);
        }
}

/* Why the replica would take nobody more now; NULL when it would. */
static const char *sheds(const struct cluster *c, const struct replica *r, const struct request *q)
{
    const struct fleet_config *f = &c->config->fleet;
    size_t share = c->config->routing->central && c->fleet.serving_count > 0 ? c->fleet.serving_count : 1;
    if (!f->asked)
        return NULL;
    if (r->view.waiting->count / share >= f->most_waiting)
        return "shed: too many wait";
    uint64_t tokens = (uint64_t)q->prompt_tokens + q->max_output_tokens;
    return r->load->outstanding_tokens + tokens > f->most_outstanding_tokens ? "shed: too many outstanding tokens"
                                                                             : NULL;
}

/* Puts a request in a replica's queue, or in the shared one. */
static int enqueue(struct cluster *c, struct replica *replica, struct request *r, sim_time now, size_t after,
                   struct error *err)
{
    bool central = c->config->routing->central;
    r->replica = replica->index;
    if (replica_enqueue(replica, r, now))
        return error_no_memory(err);
    rank(c, replica);
    if (central)
        notice_all(c, now, after);
    for (size_t i = 0; !central && i < tied_to(c, replica->index); i++)
        notice(c, &replica[i], after != NOBODY && replica[i].index <= after ? now + 1 : now);
    return 0;
}

static bool nobody_serves(const struct cluster *c)
{
    return c->config->fleet.asked && c->fleet.serving_count == 0 && !c->config->routing->central;
}

static void reject(struct cluster *c, struct request *r, const char *reason)
{
    c->observer->rejected(c->observer->state, r, reason);
    recycle(c, r);
    c->totals.finished--;
    c->totals.rejected++;
}

/* `after` and the replicas before it have had their turn at this instant. */
static int arrive(struct cluster *c, const struct arrival *a, size_t after, struct error *err)
{
    struct request *r = new_request(c, a, err);
    if (!r)
        return -1;
    c->totals.arrived++;
    c->fleet.arrived++;
    bool waits = nobody_serves(c);
    struct replica *replica = &c->replicas[waits ? 0 : relieve(c, choose_replica(c, r))];
    const char *reason = replica_refuses(replica, r);
    if (!reason && c->config->prefill_replicas &&
        replica->index < c->config->prefill_replicas) /* and who decodes it must be able to, too */
        reason = replica_refuses(&c->replicas[c->config->prefill_replicas], r);
    if (!reason && !waits)
        reason = sheds(c, replica, r);
    if (reason) {
        reject(c, r, reason);
        return 0;
    }
    bool at_router = waits || c->config->routing->central;
    c->observer->arrived(c->observer->state, at_router ? ROUTER_QUEUE : replica->station, r);
    if (c->config->fleet.asked && fleet_wait(&c->fleet, r))
        return error_no_memory(err);
    if (c->fleet.waiting_count == 1)
        set_event(c, c->config->replicas + 1, fleet_next(&c->fleet));
    if (waits) {
        request_list_insert(&c->limbo, r, NULL);
        return 0;
    }
    return enqueue(c, replica, r, a->at, after, err);
}

/* A request that lost its replica, or waited for one to come up. */
static int route_again(struct cluster *c, struct request *r, sim_time now, size_t after, struct error *err)
{
    r->replica = SIZE_MAX;
    r->entered = now;
    if (nobody_serves(c)) {
        request_list_insert(&c->limbo, r, NULL);
        return 0;
    }
    struct replica *replica = &c->replicas[choose_replica(c, r)];
    if (c->observer->routed && !c->config->routing->central)
        c->observer->routed(c->observer->state, replica->station, r, now);
    return enqueue(c, replica, r, now, after, err);
}

static void lose(struct cluster *c, struct request *r, sim_time now, const char *reason)
{
    if (c->observer->lost)
        c->observer->lost(c->observer->state, r, now, reason);
    recycle(c, r);
    c->totals.finished--;
    c->totals.lost++;
}

/* A replica has failed and its last iteration has ended. */
static int evict(struct cluster *c, struct replica *r, sim_time now, size_t after, struct error *err)
{
    struct request_list evicted = {0};
    if (replica_evict(r, now, &evicted, err))
        return -1;
    set_event(c, r->index, SIM_TIME_NEVER);
    for (struct request *q; (q = evicted.head);) {
        request_list_remove(&evicted, q);
        if (c->observer->evicted)
            c->observer->evicted(c->observer->state, r->station, q, now);
        if (c->config->fleet.lose)
            lose(c, q, now, "its replica failed");
        else if (route_again(c, q, now, after, err))
            return -1;
    }
    return 0;
}

static struct replica *leader_of(struct cluster *c, size_t replica)
{
    return &c->replicas[replica - replica % c->config->group];
}

/* Ranks step together; the events of all are their leader's. */
static bool group_is_busy(struct cluster *c, size_t replica)
{
    const struct replica *leader = leader_of(c, replica);
    for (size_t i = 0; i < c->config->group; i++)
        if (leader[i].busy)
            return true;
    return false;
}

/* What runs on a replica ends with the first iteration that ends at `from` or later, since something has changed that
 * no policy foresaw: KV has come, or has gone. */
static void cut_short(struct cluster *c, size_t replica, sim_time from)
{
    struct replica *r = &c->replicas[replica];
    if (!r->busy)
        touch(c, replica);
    else if (r->stretch.count > 1)
        set_event(c, replica, replica_cut(r, from));
}

static void cut_station(struct cluster *c, size_t station, sim_time from)
{
    size_t first = station_first(c, station);
    for (size_t i = 0; i < tied_to(c, first); i++)
        cut_short(c, first + i, from);
}

static void on_hand_over(void *owner, struct replica *from, struct request *r, sim_time now)
{
    struct cluster *c = owner;
    struct handover *h = &c->handover;
    size_t to = choose_decoder(c, r);
    struct replica_load *load = c->replicas[station_first(c, h->sources + to)].load;
    (void)from;
    load->outstanding_requests++;
    load->outstanding_tokens += r->max_output_tokens;
    load->predicted_kv_tokens += (uint64_t)r->prompt_tokens + r->predicted_tokens;
    bool first = h->inbound[to].count == 0; /* else who stands before it cannot be pulled yet */
    request_list_insert(&h->inbound[to], r, NULL);
    if (first)
        cut_station(c, h->sources + to, now);
}

/* Requests that run on a replica: in all of its micro-batches. */
static size_t running_on(const struct cluster *c, const struct replica *r)
{
    size_t first = first_tied(c, r->index), count = 0;
    for (size_t i = 0; i < tied_to(c, r->index); i++)
        count += c->replicas[first + i].running.count;
    return count;
}

/* Whose KV has come joins the batch that is formed for `at`; micro-batches take equal shares. */
static void join_landed(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    struct request_list *landed = &c->handover.landed[r->station - c->handover.sources];
    size_t tied = tied_to(c, r->index), share = (running_on(c, r) + landed->count + tied - 1) / tied;
    for (struct request *q; (tied == 1 || r->running.count < share) && (q = landed->head);) {
        request_list_remove(landed, q);
        if (replica_take_over(r, q, at))
            c->out_of_memory = true;
    }
}

/* Between two iterations of a decode replica: whose KV has come joins, unless the next batch is formed already, and
 * more is pulled while it fits. */
static void receive(struct cluster *c, size_t replica, sim_time now)
{
    struct handover *h = &c->handover;
    struct replica *r = &c->replicas[replica];
    size_t to = r->station - h->sources, most = c->config->decode_max_sequences * c->config->decode_tied;
    if (!r->next_formed)
        join_landed(c, r, now);
    while (h->inbound[to].count > 0 && running_on(c, r) + h->under_way[to] + h->landed[to].count < most &&
           replica_reserve_inbound(r, h->inbound[to].head, now))
        if (handover_start(h, to, now)) {
            c->out_of_memory = true;
            return;
        }
    set_event(c, c->config->replicas, handover_next_end(h));
}

static bool awaits(const struct cluster *c, size_t replica)
{
    const struct replica *r = &c->replicas[replica];
    if (c->pairs)
        return pair_awaits(pair_of(c, r), r);
    size_t to = r->station - c->handover.sources;
    return receives(c, replica) && (c->handover.inbound[to].count > 0 || c->handover.landed[to].count > 0);
}

static void start_group(struct cluster *c, size_t replica, sim_time now)
{
    struct replica *leader = leader_of(c, replica);
    set_event(c, leader->index, replica_start_group(leader, c->config->group, now));
    for (size_t i = 0; c->config->routing->central && i < c->config->group; i++) {
        listen(c, &leader[i]);
        if (leader[i].view.evicted > 0)
            notice_all(c, now, leader[i].index);
    }
}

/* A micro-batch starts when the first stage has let the one before go. The others of the same replica that could take
 * from its queue look again then. */
static void start_micro_batch(struct cluster *c, size_t replica, sim_time now)
{
    size_t first = first_tied(c, replica);
    struct replica *r = &c->replicas[replica];
    struct pipeline *p = pipeline_of(c, r);
    bool waited_for = r->running.count + r->view.waiting->count > 0 || awaits(c, replica);
    if (p->free_at[0] > now) {
        r->view.evicted = 0; /* it has not looked yet */
        set_event(c, replica, waited_for ? p->free_at[0] : SIM_TIME_NEVER);
        return;
    }
    p->now = now;
    replica_wait(r, now);
    if (receives(c, replica))
        receive(c, replica, now);
    sim_time next = replica_start(r, now);
    set_event(c, replica, next);
    bool more = r->view.waiting->count > 0 || awaits(c, replica);
    for (size_t i = first; r->busy && more && i < first + p->stages; i++)
        if (!c->replicas[i].busy)
            set_event(c, i, p->free_at[0]);
}

/* Before a batch of one of a pair is formed for `at`. */
static void settle_pair(void *owner, struct replica *r, sim_time at)
{
    struct cluster *c = owner;
    struct pair *p = pair_of(c, r);
    int gave = pair_settle(p, r, at);
    if (gave < 0)
        c->out_of_memory = true;
    else if (gave && !pair_other(p, r)->busy)
        set_event(c, pair_other(p, r)->index, at);
}

/* The other one looks again where somebody waits: there may be blocks for a prompt now. */
static void start_member(struct cluster *c, size_t replica, sim_time now)
{
    struct replica *r = &c->replicas[replica];
    struct pair *p = pair_of(c, r);
    if (!r->next_formed)
        settle_pair(c, r, now);
    sim_time next = replica_start(r, now);
    set_event(c, replica, r->busy ? next : pair_next(p, r, next));
    if (r->busy && !pair_other(p, r)->busy && r->view.waiting->count > 0)
        touch(c, pair_other(p, r)->index);
}

static void start_one(struct cluster *c, size_t replica, sim_time now)
{
    if (pipeline_of(c, &c->replicas[replica]))
        start_micro_batch(c, replica, now);
    else if (c->pairs)
        start_member(c, replica, now);
    else
        set_event(c, replica, replica_start(&c->replicas[replica], now));
}

/* A request that is preempted goes back to the shared queue: to the others in a stretch it is an arrival. */
static void start(struct cluster *c, size_t replica, sim_time now)
{
    struct replica *r = &c->replicas[replica];
    if (!serves(c, replica) && c->fleet.states[replica] != REPLICA_DRAINING) {
        set_event(c, replica, SIM_TIME_NEVER);
        return;
    }
    if (c->config->group > 1) {
        start_group(c, replica, now);
        return;
    }
    if (receives(c, replica) && !pipeline_of(c, r))
        receive(c, replica, now);
    start_one(c, replica, now);
    if (!c->config->routing->central)
        return;
    listen(c, r);
    if (r->view.evicted > 0)
        notice_all(c, now, replica);
}

/* Idle replicas look at what has arrived once all arrivals of the instant are in. */
static void wake_touched(struct cluster *c, sim_time now)
{
    while (c->touched_count > 0) {
        size_t replica = c->touched[c->touched_first];
        c->touched_first = (c->touched_first + 1) % c->config->replicas;
        c->touched_count--;
        c->is_touched[replica] = false;
        bool waited_for = c->replicas[replica].view.waiting->count > 0 || awaits(c, replica);
        if (!group_is_busy(c, replica) && waited_for)
            start(c, replica, now);
    }
}

/* Everything before this instant has been applied when it is told. */
static void probe(struct cluster *c)
{
    struct cluster_state state = {.at = c->next_probe,
                                  .replicas_up = c->config->fleet.asked ? c->fleet.serving_count : c->config->replicas};
    for (size_t i = 0; i < c->config->replicas; i++) {
        replica_catch_up(&c->replicas[i], c->next_probe);
        state.kv_used_blocks += c->replicas[i].own_kv.total_blocks - c->replicas[i].own_kv.free_blocks;
    }
    c->observer->probed(c->observer->state, &state);
    c->next_probe += c->config->probe_interval;
}

static bool asks_to_stop(struct cluster *c, const struct run_control *control)
{
    if (++c->events_seen % EVENTS_PER_LOOK != 0)
        return false;
    if (control->tick && c->events_seen % EVENTS_PER_TICK == 0)
        control->tick(control->state, &c->totals);
    c->totals.stopped = control->stop && *control->stop;
    return c->totals.stopped;
}

/* All arrivals of this instant, and the one after them. */
static int take_arrivals(struct cluster *c, sim_time now, size_t after, struct error *err)
{
    while (c->more == 1 && c->next.at <= now) {
        if (arrive(c, &c->next, after, err))
            return -1;
        c->more = c->source->next(c->source->state, &c->next, err);
    }
    return c->more < 0 ? -1 : 0;
}

static int arrive_together(struct cluster *c, struct error *err)
{
    sim_time now = c->totals.end = c->next.at;
    if (take_arrivals(c, now, NOBODY, err))
        return -1;
    wake_touched(c, now);
    return 0;
}

/* Clients of a closed loop whose requests have finished may send their next ones at this very instant: the replica can
 * have them in its next batch. */
static int hear_from_clients(struct cluster *c, size_t replica, sim_time now, struct error *err)
{
    if (c->more != SOURCE_WAITS)
        return 0;
    c->more = c->source->next(c->source->state, &c->next, err);
    return take_arrivals(c, now, replica, err);
}

/* Transfers that end now: the source has its blocks again, the request decodes from the next iteration on. Replicas
 * that had something to do at this instant have done it. */
static void land(struct cluster *c, sim_time now)
{
    struct handover *h = &c->handover;
    c->totals.end = now;
    while (handover_next_end(h) <= now) {
        struct transfer t = handover_take(h);
        struct request *r = t.request;
        struct replica *source = &c->replicas[station_first(c, r->source)];
        replica_catch_up(source, now + 1); /* what it took before is counted before */
        replica_release_source(source, r, now);
        cut_station(c, r->source, now + 1);
        request_list_insert(&h->landed[t.to], r, NULL);
        cut_station(c, h->sources + t.to, now + 1);
    }
    set_event(c, c->config->replicas, handover_next_end(h));
    wake_touched(c, now);
}

/* Before a replica that is not simply up starts again. Returns 1 when it does not, -1 on error. */
static int settle_fleet(struct cluster *c, struct replica *r, sim_time now, struct error *err)
{
    if (!c->config->fleet.asked || serves(c, r->index))
        return 0;
    bool drained = r->running.count == 0 && (c->config->routing->central || r->view.waiting->count == 0);
    if (c->fleet.states[r->index] == REPLICA_FAILED)
        return evict(c, r, now, r->index, err) ? -1 : 1;
    if (c->fleet.states[r->index] != REPLICA_DRAINING || !drained)
        return 0;
    fleet_off(&c->fleet, r->index, now);
    set_event(c, r->index, SIM_TIME_NEVER);
    set_event(c, c->config->replicas + 1, fleet_next(&c->fleet));
    return 1;
}

static int act(struct cluster *c, size_t replica, sim_time now, struct error *err)
{
    struct replica *r = &c->replicas[replica];
    size_t ranks = c->config->group;
    c->totals.end = now;
    for (size_t i = 0; i < ranks; i++)
        if (r[i].busy)
            replica_finish(&r[i], now);
    int idle = settle_fleet(c, r, now, err);
    if (idle < 0 || hear_from_clients(c, replica, now, err))
        return -1;
    if (!idle)
        start(c, replica, now);
    for (size_t i = 0; i < ranks; i++)
        rank(c, &r[i]);
    wake_touched(c, now); /* idle ones, where somebody was preempted to the shared queue, or has just arrived */
    return 0;
}

/* Its queue has changed, or it is up again: it looks. */
static void look_again(struct cluster *c, struct replica *r, sim_time now)
{
    rank(c, r);
    listen(c, r);
    notice(c, r, now + 1);
}

static int come_up(struct cluster *c, struct replica *r, sim_time now, struct error *err)
{
    r->closed = false;
    look_again(c, r, now);
    for (struct request *q; c->fleet.serving_count > 0 && (q = c->limbo.head);) {
        request_list_remove(&c->limbo, q);
        if (route_again(c, q, now, c->config->replicas, err))
            return -1;
    }
    return 0;
}

/* It ends the iteration that it is in. */
static int fail(struct cluster *c, struct replica *r, sim_time now, struct error *err)
{
    c->totals.failures++;
    rank(c, r);
    listen(c, r);
    if (!r->busy)
        return evict(c, r, now, c->config->replicas, err);
    if (r->stretch.count > 1)
        set_event(c, r->index, replica_cut(r, now + 1));
    return 0;
}

static size_t least_loaded(const struct cluster *c)
{
    size_t least = c->fleet.serving_count ? c->fleet.serving[0] : 0;
    for (size_t i = 1; i < c->fleet.serving_count; i++)
        if (c->replicas[c->fleet.serving[i]].running.count + c->replicas[c->fleet.serving[i]].own_waiting.count <
            c->replicas[least].running.count + c->replicas[least].own_waiting.count)
            least = c->fleet.serving[i];
    return least;
}

/* A central queue's replica that drains takes nobody more; any other serves its own queue first. */
static void drain(struct cluster *c, struct replica *r, sim_time now)
{
    r->closed = c->config->routing->central;
    rank(c, r);
    listen(c, r);
    if (!r->busy && r->running.count == 0 && (r->closed || r->view.waiting->count == 0)) {
        fleet_off(&c->fleet, r->index, now);
        set_event(c, r->index, SIM_TIME_NEVER);
    }
}

static int scale(struct cluster *c, sim_time now, struct error *err)
{
    struct scaling_view view = {.waiting = c->limbo.count + c->central.count};
    for (size_t i = 0; i < c->config->replicas; i++) {
        view.outstanding += c->replicas[i].running.count + c->replicas[i].own_waiting.count;
        view.waiting += c->replicas[i].own_waiting.count;
    }
    view.outstanding += c->limbo.count + c->central.count;
    fleet_look(&c->fleet, &view);
    size_t replica = 0;
    for (enum fleet_event e; (e = fleet_adjust(&c->fleet, now, least_loaded(c), &replica)) != FLEET_NOTHING;) {
        if (e == FLEET_DRAIN)
            drain(c, &c->replicas[replica], now);
        else if (e == FLEET_UP && come_up(c, &c->replicas[replica], now, err))
            return -1;
    }
    return 0;
}

/* Whoever gives up has not been in a batch. */
static void give_up(struct cluster *c, struct request *r, sim_time now)
{
    if (r->replica == SIZE_MAX) {
        request_list_remove(&c->limbo, r);
        lose(c, r, now, "gave up waiting");
        return;
    }
    struct replica *replica = &c->replicas[r->replica];
    bool central = c->config->routing->central;
    replica_drop(replica, r);
    if (c->observer->evicted && !central)
        c->observer->evicted(c->observer->state, replica->station, r, now);
    lose(c, r, now, "gave up waiting");
    for (size_t i = 0; i < c->config->replicas; i++) /* who stood behind it may fit */
        if ((central || i == replica->index) && c->replicas[i].busy)
            cut_short(c, i, now + 1);
    rank(c, replica);
}

/* Replicas that had something to do at this instant have done it. */
static int step_fleet(struct cluster *c, sim_time now, struct error *err)
{
    size_t replica = 0;
    c->totals.end = now;
    for (enum fleet_event e; (e = fleet_take(&c->fleet, now, &replica)) != FLEET_NOTHING;) {
        int status = e == FLEET_LOOK     ? scale(c, now, err)
                     : e == FLEET_FAILED ? fail(c, &c->replicas[replica], now, err)
                                         : come_up(c, &c->replicas[replica], now, err);
        if (status)
            return -1;
    }
    for (struct request *r; (r = fleet_gives_up(&c->fleet, now));)
        give_up(c, r, now);
    set_event(c, c->config->replicas + 1, fleet_next(&c->fleet));
    wake_touched(c, now);
    return c->more == SOURCE_WAITS ? hear_from_clients(c, c->config->replicas, now, err) : 0;
}

/* At one instant probes come first, then arrivals, then replicas in order of index: a batch formed then can hold
 * what has just arrived. */
static int loop(struct cluster *c, const struct run_control *control, struct error *err)
{
    c->more = c->source->next(c->source->state, &c->next, err);
    while (c->more >= 0) {
        struct min_index_node event = min_index_first(&c->events);
        sim_time event_at = event.key == MIN_INDEX_NONE ? SIM_TIME_NEVER : (sim_time)event.key;
        bool arrival = c->more == 1 && c->next.at <= event_at;
        sim_time earliest = arrival ? c->next.at : event_at;
        if (earliest == SIM_TIME_NEVER || (c->config->fleet.asked && c->more != 1 && c->in_flight == 0))
            return 0;
        if (earliest > LATEST)
            return error_set(err, ERROR_INPUT, "simulated time goes beyond %.0f years",
                             sim_time_to_s(LATEST) / 31557600);
        if (control && asks_to_stop(c, control))
            return 0;
        while (c->config->probe_interval > 0 && c->next_probe <= earliest)
            probe(c);
        if (!arrival && event.slot == c->config->replicas)
            land(c, event_at);
        else if (arrival                            ? arrive_together(c, err)
                 : event.slot > c->config->replicas ? step_fleet(c, event_at, err)
                                                    : act(c, event.slot, event_at, err))
            return -1;
        if (c->out_of_memory)
            return error_no_memory(err);
    }
    return -1;
}

static int prepare_pipelines(struct cluster *c)
{
    const struct cluster_config *config = c->config;
    size_t count = cluster_stations(config);
    if (!config->stage_executors && !config->decode_stage_executors)
        return 0;
    c->pipelines = calloc(count, sizeof *c->pipelines);
    for (size_t i = 0; c->pipelines && i < count; i++) {
        bool decodes = receives(c, station_first(c, i));
        const struct executor *stages = decodes ? config->decode_stage_executors : config->stage_executors;
        const struct pipeline_link *link = decodes ? &config->decode_stage_link : &config->stage_link;
        if (stages && pipeline_init(&c->pipelines[i], cluster_station_servers(config, i), stages, link))
            return -1;
    }
    return c->pipelines ? 0 : -1;
}

static int prepare_pairs(struct cluster *c)
{
    if (c->config->tied == 1 || c->config->stage_executors)
        return 0;
    c->pairs = calloc(c->config->replicas / 2, sizeof *c->pairs);
    for (size_t i = 0; c->pairs && i < c->config->replicas / 2; i++)
        c->pairs[i] = (struct pair){.members = &c->replicas[2 * i],
                                    .link = &c->config->link,
                                    .most = c->config->decode_max_sequences};
    return c->pairs ? 0 : -1;
}

static int prepare(struct cluster *c, struct executor executor, struct error *err)
{
    size_t count = c->config->replicas;
    if (c->config->predictor && !(c->prediction_rng = random_stream_create(c->config->seed, "prediction noise")))
        return error_no_memory(err);
    c->next_probe = c->config->probe_interval;
    c->replicas = calloc(count, sizeof *c->replicas);
    c->touched = calloc(count, sizeof *c->touched);
    c->is_touched = calloc(count, sizeof *c->is_touched);
    c->listening = calloc((count + 63) / 64, sizeof *c->listening);
    if (min_index_init(&c->events, count + 2) || min_index_init(&c->ranks, count) || !c->replicas || !c->touched ||
        !c->is_touched || !c->listening)
        return error_no_memory(err);
    if (c->config->fleet.asked) {
        if (fleet_init(&c->fleet, &c->config->fleet, count, c->config->seed))
            return error_no_memory(err);
        set_event(c, count + 1, fleet_next(&c->fleet));
    }
    size_t prefills = c->config->prefill_replicas, sources = prefills / c->config->tied;
    if (prefills && handover_init(&c->handover, &c->config->link, sources, cluster_stations(c->config) - sources))
        return error_no_memory(err);
    if (prepare_pipelines(c) || prepare_pairs(c))
        return error_no_memory(err);
    size_t station = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = first_tied(c, i);
        station += i > 0 && first == i;
        struct replica *leader = first < i ? &c->replicas[first] : NULL;
        struct pipeline *p = c->pipelines && c->pipelines[station].stages > 0 ? &c->pipelines[station] : NULL;
        bool decodes = receives(c, i);
        struct request_list *shared = c->config->routing->central && !decodes ? &c->central : NULL;
        if (replica_init(&c->replicas[i], i, decodes ? &c->config->decode : &c->config->replica,
                         p         ? pipeline_executor(p)
                         : decodes ? c->config->decode_executor
                                   : executor,
                         shared, leader, c->observer, err))
            return -1;
        c->replicas[i].station = station;
        c->replicas[i].step |= c->pairs != NULL; /* any iteration of one may change what the other has */
        c->replicas[i].hand_over = prefills && !decodes ? on_hand_over : NULL;
        c->replicas[i].keeps = c->config->mixed && !decodes ? keeps_in_mixed_pool : c->pairs ? keeps_in_pair : NULL;
        c->replicas[i].receive = decodes ? join_landed : c->pairs ? settle_pair : NULL;
        c->replicas[i].recycle = recycle;
        c->replicas[i].owner = c;
        rank(c, &c->replicas[i]);
        listen(c, &c->replicas[i]);
    }
    return 0;
}

static void sum_up(struct cluster *c)
{
    struct cluster_totals *t = &c->totals;
    t->unfinished = t->arrived - t->finished - t->rejected - t->lost;
    for (size_t i = 0; i < c->config->replicas; i++) {
        struct kv_pool *kv = &c->replicas[i].own_kv;
        if (c->replicas[i].running.count == 0)
            kv_pool_release_parked(kv, t->end);
        t->iterations += c->replicas[i].iterations;
        t->held_s[receives(c, i)] += c->config->fleet.asked ? 0 : sim_time_to_s(t->end);
        t->kv_allocated += kv->allocated;
        t->kv_freed += kv->freed;
        t->kv_held += kv->total_blocks - kv->free_blocks;
        t->kv_peak += kv->peak_blocks;
        t->kv_total += kv->total_blocks;
        t->kv_block_ns += kv_pool_block_ns(kv, t->end);
    }
    if (c->config->fleet.asked)
        t->held_s[0] = sim_time_to_s(fleet_held(&c->fleet, t->end));
    for (size_t i = 0; c->pipelines && i < cluster_stations(c->config); i++) {
        struct bubbles b = pipeline_bubbles(&c->pipelines[i]);
        t->bubbles.idle_s += b.idle_s;
        t->bubbles.active_s += b.active_s;
    }
}

static void release(struct cluster *c)
{
    for (size_t i = 0; c->replicas && i < c->config->replicas; i++)
        replica_release(&c->replicas[i]);
    for (size_t i = 0; i < c->slab_count; i++) {
        for (size_t k = 0; k < REQUESTS_PER_SLAB; k++)
            free(c->slabs[i][k].hashes);
        free(c->slabs[i]);
    }
    for (size_t i = 0; c->pipelines && i < cluster_stations(c->config); i++)
        pipeline_release(&c->pipelines[i]);
    free(c->pipelines);
    free(c->pairs);
    free(c->slabs);
    free(c->replicas);
    free(c->touched);
    free(c->is_touched);
    free(c->listening);
    min_index_release(&c->events);
    min_index_release(&c->ranks);
    handover_release(&c->handover);
    fleet_release(&c->fleet);
    if (c->prediction_rng)
        gsl_rng_free(c->prediction_rng);
}

int cluster_run(const struct cluster_config *config, struct executor executor, struct request_source *source,
                const struct observer *observer, const struct run_control *control, struct cluster_totals *totals,
                struct error *err)
{
    assert(config->group > 0 && config->replicas % config->group == 0);
    struct cluster c = {.config = config, .observer = observer, .source = source};
    assert(station_first(&c, cluster_stations(config)) == config->replicas);
    int status = prepare(&c, executor, err) || loop(&c, control, err) ? -1 : 0;
    if (status == 0)
        sum_up(&c);
    *totals = c.totals;
    release(&c);
    return status;
}
