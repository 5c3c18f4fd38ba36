/* SPDX-License-Identifier: MIT */
#include "sim/delay.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "sim/cluster.h"

bool delays_may_finish(const struct cluster_config *config)
{
    bool may = config->delay_count > config->delays_before;
    for (size_t i = 0; i < config->delay_count; i++)
        may |= config->delays[i].kind->answers != NULL;
    return may;
}

static int init_station(struct delays *d, struct delay_station *s, const struct delay_config *config, uint64_t seed)
{
    char purpose[96];
    snprintf(purpose, sizeof purpose, "delay %s", config->name);
    s->config = config;
    s->rng = random_stream_create(seed, purpose);
    if (!s->rng || (config->kind->open && !(s->own = config->kind->open(config, seed))))
        return -1;
    d->answers |= config->kind->answers != NULL;
    d->reads_prompts |= config->kind->reads_prompts;
    return 0;
}

int delays_init(struct delays *d, const struct cluster_config *config, const struct observer *observer,
                bool *out_of_memory)
{
    *d = (struct delays){.next = SIM_TIME_NEVER, .observer = observer, .out_of_memory = out_of_memory};
    if (config->delay_count == 0)
        return 0;
    d->stations = calloc(config->delay_count, sizeof *d->stations);
    if (!d->stations)
        return -1;
    d->before = config->delays_before;
    while (d->count < config->delay_count) {
        const struct delay_config *next = &config->delays[d->count];
        if (init_station(d, &d->stations[d->count++], next, config->seed))
            return -1;
    }
    return 0;
}

void delays_release(struct delays *d)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->stations[i].rng)
            gsl_rng_free(d->stations[i].rng);
        if (d->stations[i].own)
            d->stations[i].config->kind->close(d->stations[i].own);
    }
    free(d->stations);
    *d = (struct delays){.next = SIM_TIME_NEVER};
}

static struct request *request_of(struct ordered *place)
{
    return (struct request *)(void *)((char *)place - offsetof(struct request, place));
}

static void serve(struct delay_station *s, struct request *r, sim_time now)
{
    r->admitted = now;
    r->place = (struct ordered){.time = now + duration_draw(&s->config->service, s->rng), .number = s->started++};
    ordered_insert(&s->serving, &r->place);
    s->busy++;
}

static void enter(struct delays *d, size_t index, struct request *r, sim_time now)
{
    struct delay_station *s = &d->stations[index];
    r->entered = now;
    tell_delayed(d->observer, index, r);
    if (s->config->servers > 0 && s->busy == s->config->servers)
        request_list_insert(&s->waiting, r, NULL);
    else
        serve(s, r, now);
}

/* The station where a service ends first; of several at one instant the one that stands first in the flow. */
static size_t first_to_end(struct delays *d)
{
    size_t first = 0;
    d->next = SIM_TIME_NEVER;
    for (size_t i = 0; i < d->count; i++) {
        const struct ordered *o = d->stations[i].serving ? ordered_first(d->stations[i].serving) : NULL;
        if (o && o->time < d->next) {
            d->next = o->time;
            first = i;
        }
    }
    return first;
}

void delays_enter(struct delays *d, struct request *r, sim_time now)
{
    enter(d, 0, r, now);
    first_to_end(d);
}

void delays_serve(struct delays *d, struct request *r)
{
    struct request *next = NULL;
    for (struct request *q = d->served.tail; q && q->id > r->id; q = q->prev)
        next = q;
    request_list_insert(&d->served, r, next);
    d->next = r->last_token;
}

static struct request *end_service(struct delays *d, size_t index)
{
    struct delay_station *s = &d->stations[index];
    struct ordered *place = ordered_first(s->serving);
    struct request *r = request_of(place), *next = s->waiting.head;
    sim_time now = place->time;
    ordered_remove(&s->serving, place);
    s->busy--;
    r->parts[index < d->before ? PART_DELAY : PART_AFTER] += now - r->entered;
    tell_delay_ended(d->observer, index, r, now);
    if (next) {
        request_list_remove(&s->waiting, next);
        serve(s, next, now);
    }
    return r;
}

/* The stations that it has gone by learn its answer. */
static void learn(struct delays *d, const struct request *r, size_t passed)
{
    for (size_t i = 0; d->answers && i < passed; i++) {
        const struct delay_kind *kind = d->stations[i].config->kind;
        if (kind->learn && kind->learn(d->stations[i].own, r))
            *d->out_of_memory = true;
    }
}

static bool is_answered(struct delays *d, size_t index, const struct request *r)
{
    const struct delay_station *s = &d->stations[index];
    if (!s->config->kind->answers || !s->config->kind->answers(s->own, r))
        return false;
    tell_answered(d->observer, index, r);
    return true;
}

/* A request has left a station, or SIZE_MAX: a replica. Whether it leaves them all. */
static bool go_on(struct delays *d, size_t index, struct request *r, sim_time now, enum delay_exit *to)
{
    bool serves = index == SIZE_MAX;
    size_t next = serves ? d->before : index + 1;
    *to = !serves && index < d->before ? DELAY_TO_ROUTER : DELAY_TO_CLIENT;
    if (!serves && is_answered(d, index, r)) {
        learn(d, r, index);
        *to = DELAY_ANSWERED;
        return true;
    }
    if (next == (*to == DELAY_TO_ROUTER ? d->before : d->count)) {
        if (*to == DELAY_TO_CLIENT)
            learn(d, r, d->before);
        return true;
    }
    enter(d, next, r, now);
    return false;
}

struct request *delays_take(struct delays *d, sim_time now, enum delay_exit *to)
{
    while (d->next <= now) {
        struct request *r = d->served.head;
        size_t index = r ? SIZE_MAX : first_to_end(d);
        sim_time left = r ? r->last_token : d->next;
        if (r)
            request_list_remove(&d->served, r);
        else
            r = end_service(d, index);
        bool leaves = go_on(d, index, r, left, to);
        first_to_end(d);
        if (d->served.head)
            d->next = left;
        if (leaves)
            return r;
    }
    return NULL;
}
