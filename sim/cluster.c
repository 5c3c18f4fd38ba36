/* SPDX-License-Identifier: MIT */
#include "sim/cluster.h"

#include <stdlib.h>

#include "base/array.h"
#include "sim/event_list.h"

enum { REQUESTS_PER_SLAB = 256, EVENTS_PER_TICK = 1 << 16 };

#define LATEST ((sim_time)4 * 1000000000000000000) /* 127 years */

struct cluster {
    const struct cluster_config *config;
    const struct observer *observer;
    struct replica *replicas;
    struct replica_load *loads; /* [replicas], what the router looks at */
    struct event_list *events;
    struct request_list central; /* the shared queue of central routing */
    struct request *free_requests;
    struct request **slabs;
    size_t slab_count, slab_capacity;
    size_t *touched; /* replicas that got an arrival at this instant, [replicas] */
    size_t touched_count;
    bool *is_touched;
    uint64_t cursor;
    uint64_t next_id, in_flight, events_seen;
    struct cluster_totals totals;
};

static void recycle(void *owner, struct request *r)
{
    struct cluster *c = owner;
    r->next = c->free_requests;
    c->free_requests = r;
    c->in_flight--;
    c->totals.finished++;
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
        slab[i].next = c->free_requests;
        c->free_requests = &slab[i];
    }
    return 0;
}

static struct request *new_request(struct cluster *c, const struct arrival *a, struct error *err)
{
    if (!c->free_requests && add_slab(c, err))
        return NULL;
    struct request *r = c->free_requests;
    c->free_requests = r->next;
    *r = (struct request){.id = c->next_id++,
                          .arrival = a->at,
                          .waiting_since = a->at,
                          .prompt_tokens = a->prompt_tokens,
                          .output_tokens = a->output_tokens,
                          .max_output_tokens = a->max_output_tokens};
    if (++c->in_flight > c->totals.peak_in_flight)
        c->totals.peak_in_flight = c->in_flight;
    return r;
}

static size_t choose_replica(struct cluster *c, const struct request *r)
{
    if (c->config->routing->central || c->config->replicas == 1)
        return 0;
    for (size_t i = 0; i < c->config->replicas; i++)
        c->loads[i] = c->replicas[i].load;
    return c->config->routing->choose(&c->cursor, c->loads, c->config->replicas, r);
}

static void touch(struct cluster *c, size_t replica)
{
    if (!c->is_touched[replica])
        c->touched[c->touched_count++] = replica;
    c->is_touched[replica] = true;
}

static int arrive(struct cluster *c, const struct arrival *a, struct error *err)
{
    struct request *r = new_request(c, a, err);
    if (!r)
        return -1;
    c->totals.arrived++;
    struct replica *replica = &c->replicas[choose_replica(c, r)];
    const char *reason = replica_refuses(replica, r);
    if (reason) {
        c->observer->rejected(c->observer->state, r, reason);
        recycle(c, r);
        c->totals.finished--;
        c->totals.rejected++;
        return 0;
    }
    c->observer->arrived(c->observer->state, c->config->routing->central ? ROUTER_QUEUE : replica->index, r);
    replica_enqueue(replica, r);
    if (c->config->routing->central)
        for (size_t i = 0; i < c->config->replicas; i++)
            touch(c, i);
    else
        touch(c, replica->index);
    return 0;
}

static void start(struct cluster *c, size_t replica, sim_time now)
{
    event_list_set(c->events, replica, replica_start(&c->replicas[replica], now));
}

/* Idle replicas look at what has arrived once all arrivals of the instant are in. */
static void wake_touched(struct cluster *c, sim_time now)
{
    for (size_t i = 0; i < c->touched_count; i++) {
        size_t replica = c->touched[i];
        c->is_touched[replica] = false;
        if (!c->replicas[replica].busy)
            start(c, replica, now);
    }
    c->touched_count = 0;
}

static bool asks_to_stop(struct cluster *c, const struct run_control *control)
{
    if (control->tick && ++c->events_seen % EVENTS_PER_TICK == 0)
        control->tick(control->state, &c->totals);
    c->totals.stopped = control->stop && *control->stop;
    return c->totals.stopped;
}

/* Arrivals come before iteration ends of the same instant, so a batch formed then can hold them. */
static int loop(struct cluster *c, struct request_source *source, const struct run_control *control, struct error *err)
{
    struct arrival next;
    int more = source->next(source->state, &next, err);
    while (more >= 0) {
        sim_time event_at = event_list_next_time(c->events);
        if (more == 0 && event_at == SIM_TIME_NEVER)
            return 0;
        if ((event_at != SIM_TIME_NEVER && event_at > LATEST) || (more == 1 && next.at > LATEST))
            return error_set(err, ERROR_INPUT, "simulated time goes beyond %.0f years",
                             sim_time_to_s(LATEST) / 31557600);
        if (control && asks_to_stop(c, control))
            return 0;
        if (more == 1 && next.at <= event_at) {
            sim_time now = c->totals.end = next.at;
            do {
                if (arrive(c, &next, err))
                    return -1;
                more = source->next(source->state, &next, err);
            } while (more == 1 && next.at == now);
            wake_touched(c, now);
            continue;
        }
        size_t replica = event_list_pop(c->events);
        c->totals.end = event_at;
        if (c->replicas[replica].busy)
            replica_finish(&c->replicas[replica], event_at);
        start(c, replica, event_at);
    }
    return -1;
}

static int prepare(struct cluster *c, struct executor executor, struct error *err)
{
    size_t count = c->config->replicas;
    c->replicas = calloc(count, sizeof *c->replicas);
    c->loads = calloc(count, sizeof *c->loads);
    c->touched = calloc(count, sizeof *c->touched);
    c->is_touched = calloc(count, sizeof *c->is_touched);
    c->events = event_list_create(count);
    if (!c->replicas || !c->loads || !c->touched || !c->is_touched || !c->events)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct request_list *shared = c->config->routing->central ? &c->central : NULL;
        if (replica_init(&c->replicas[i], i, &c->config->replica, executor, shared, c->observer, err))
            return -1;
        c->replicas[i].recycle = recycle;
        c->replicas[i].owner = c;
    }
    return 0;
}

static void sum_up(struct cluster *c)
{
    struct cluster_totals *t = &c->totals;
    t->unfinished = t->arrived - t->finished - t->rejected;
    for (size_t i = 0; i < c->config->replicas; i++) {
        struct kv_pool *kv = &c->replicas[i].kv;
        if (c->replicas[i].running.count == 0)
            kv_pool_release_parked(kv);
        t->iterations += c->replicas[i].iterations;
        t->kv_allocated += kv->allocated;
        t->kv_freed += kv->freed;
        t->kv_held += kv->total_blocks - kv->free_blocks;
        t->kv_peak += kv->peak_blocks;
        t->kv_total += kv->total_blocks;
    }
}

static void release(struct cluster *c)
{
    for (size_t i = 0; c->replicas && i < c->config->replicas; i++)
        replica_release(&c->replicas[i]);
    for (size_t i = 0; i < c->slab_count; i++)
        free(c->slabs[i]);
    free(c->slabs);
    free(c->replicas);
    free(c->loads);
    free(c->touched);
    free(c->is_touched);
    event_list_destroy(c->events);
}

int cluster_run(const struct cluster_config *config, struct executor executor, struct request_source *source,
                const struct observer *observer, const struct run_control *control, struct cluster_totals *totals,
                struct error *err)
{
    struct cluster c = {.config = config, .observer = observer};
    int status = prepare(&c, executor, err) || loop(&c, source, control, err) ? -1 : 0;
    if (status == 0)
        sum_up(&c);
    *totals = c.totals;
    release(&c);
    return status;
}
