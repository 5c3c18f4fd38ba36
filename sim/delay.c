/* SPDX-License-Identifier: MIT */
#include "sim/delay.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "sim/cluster.h"

int delays_init(struct delays *d, const struct cluster_config *config, const struct observer *observer)
{
    *d = (struct delays){.next = SIM_TIME_NEVER, .observer = observer};
    if (config->delay_count == 0)
        return 0;
    d->stations = calloc(config->delay_count, sizeof *d->stations);
    if (!d->stations)
        return -1;
    d->count = config->delay_count;
    d->before = config->delays_before;
    for (size_t i = 0; i < d->count; i++) {
        char purpose[96];
        snprintf(purpose, sizeof purpose, "delay %s", config->delays[i].name);
        d->stations[i].config = &config->delays[i];
        d->stations[i].rng = random_stream_create(config->seed, purpose);
        if (!d->stations[i].rng)
            return -1;
    }
    return 0;
}

void delays_release(struct delays *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->stations[i].rng)
            gsl_rng_free(d->stations[i].rng);
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

static bool has_free_server(const struct delay_station *s)
{
    return s->config->servers == 0 || s->busy < s->config->servers;
}

static void enter(struct delays *d, size_t index, struct request *r, sim_time now)
{
    struct delay_station *s = &d->stations[index];
    r->entered = now;
    tell_delayed(d->observer, index, r);
    if (has_free_server(s))
        serve(s, r, now);
    else
        request_list_insert(&s->waiting, r, NULL);
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

void delays_answer(struct delays *d, struct request *r, sim_time now)
{
    struct delay_station *s = &d->stations[d->before];
    struct request *next = NULL;
    for (struct request *q = s->waiting.tail; q && q->entered == now && q->id > r->id; q = q->prev)
        next = q;
    r->entered = now;
    tell_delayed(d->observer, d->before, r);
    request_list_insert(&s->waiting, r, next);
    d->next = now;
}

/* All answers of the instant are there. */
static void serve_answers(struct delays *d)
{
    struct delay_station *s = &d->stations[d->before];
    for (struct request *r; d->before < d->count && (r = s->waiting.head) && has_free_server(s);) {
        request_list_remove(&s->waiting, r);
        serve(s, r, r->entered);
    }
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

struct request *delays_take(struct delays *d, sim_time now, enum delay_exit *to)
{
    while (d->next <= now) {
        serve_answers(d);
        size_t index = first_to_end(d), next = index + 1;
        sim_time ended = d->next;
        if (ended > now)
            return NULL;
        struct request *r = end_service(d, index);
        bool leaves = next == d->before || next == d->count;
        if (!leaves)
            enter(d, next, r, ended);
        first_to_end(d);
        *to = index < d->before ? DELAY_TO_ROUTER : DELAY_TO_CLIENT;
        if (leaves)
            return r;
    }
    return NULL;
}
