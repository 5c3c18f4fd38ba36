/* SPDX-License-Identifier: MIT */
#include "sim/link.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"

int link_init(struct link *l, const struct link_config *config, size_t sources, size_t destinations)
{
    *l = (struct link){.config = *config, .next = SIM_TIME_NEVER};
    l->sending = calloc(sources, sizeof *l->sending);
    l->receiving = calloc(destinations, sizeof *l->receiving);
    return l->sending && l->receiving ? 0 : -1;
}

void link_release(struct link *l)
{
    free(l->sending);
    free(l->receiving);
    free(l->transfers);
    free(l->arrivals);
    *l = (struct link){0};
}

/* A transfer goes on at another rate from now on. */
static void set_rate(struct link_transfer *t, double bytes_per_s, sim_time now)
{
    if (bytes_per_s == t->bytes_per_s)
        return;
    t->bytes_left = fmax(0, t->bytes_left - t->bytes_per_s * sim_time_to_s(now - t->since));
    t->since = now;
    t->bytes_per_s = bytes_per_s;
    t->sent = bytes_per_s > 0 ? now + sim_time_from_s(t->bytes_left / bytes_per_s) : SIM_TIME_NEVER;
}

static void share(struct link *l, sim_time now)
{
    for (size_t i = 0; i < l->count; i++) {
        struct link_transfer *t = &l->transfers[i];
        size_t most = l->sending[t->from] > l->receiving[t->to] ? l->sending[t->from] : l->receiving[t->to];
        set_rate(t, l->config.bytes_per_s / (double)most, now);
    }
}

/* Those that wait start in order, each whose two connections are idle. */
static void start_idle(struct link *l, sim_time now)
{
    for (size_t i = 0; i < l->count; i++) {
        struct link_transfer *t = &l->transfers[i];
        if (t->bytes_per_s > 0 || l->sending[t->from] > 0 || l->receiving[t->to] > 0)
            continue;
        l->sending[t->from] = l->receiving[t->to] = 1;
        set_rate(t, l->config.bytes_per_s, now);
    }
}

static void settle(struct link *l, sim_time now)
{
    (l->config.discipline == LINK_SHARED ? share : start_idle)(l, now);
    l->next = l->arrival_count > 0 ? l->arrivals[0].at : SIM_TIME_NEVER;
    for (size_t i = 0; i < l->count; i++)
        l->next = l->transfers[i].sent < l->next ? l->transfers[i].sent : l->next;
}

/* The one whose last byte is sent first, of equals the one that was asked for first. */
static size_t first_sent(const struct link *l)
{
    size_t first = 0;
    for (size_t i = 1; i < l->count; i++)
        if (l->transfers[i].sent < l->transfers[first].sent)
            first = i;
    return first;
}

/* Last bytes that are sent by now, in order; each frees its connections then. */
static void finish_sending(struct link *l, sim_time now)
{
    for (size_t i; l->count > 0 && l->transfers[i = first_sent(l)].sent <= now;) {
        struct link_transfer t = l->transfers[i];
        for (l->count--; i < l->count; i++)
            l->transfers[i] = l->transfers[i + 1];
        l->sending[t.from]--;
        l->receiving[t.to]--;
        l->arrivals[l->arrival_count++] = (struct link_arrival){t.sent + l->config.latency, t.from, t.to, t.what};
        settle(l, t.sent);
    }
}

int link_send(struct link *l, size_t from, size_t to, double bytes, void *what, sim_time now)
{
    struct link_transfer *grown = array_grow(l->transfers, &l->capacity, l->count + 1, sizeof *grown);
    if (!grown)
        return -1;
    l->transfers = grown;
    struct link_arrival *places = array_grow(l->arrivals, &l->arrival_capacity, l->arrival_count + l->count + 1,
                                             sizeof *places); /* so that taking them never fails */
    if (!places)
        return -1;
    l->arrivals = places;
    finish_sending(l, now);
    l->transfers[l->count++] = (struct link_transfer){
        .from = from, .to = to, .what = what, .bytes_left = bytes, .since = now, .sent = SIM_TIME_NEVER};
    if (l->config.discipline == LINK_SHARED) {
        l->sending[from]++;
        l->receiving[to]++;
    }
    settle(l, now);
    return 0;
}

sim_time link_estimate(const struct link *l, size_t from, size_t to, double bytes, size_t others, double before,
                       sim_time now)
{
    size_t most = l->sending[from] > l->receiving[to] ? l->sending[from] : l->receiving[to];
    double left = l->config.discipline == LINK_SHARED ? bytes * (double)(most + others + 1) : bytes + before;
    for (size_t i = 0; l->config.discipline == LINK_FIFO && i < l->count; i++) {
        const struct link_transfer *t = &l->transfers[i];
        if (t->from == from || t->to == to)
            left += fmax(0, t->bytes_left - t->bytes_per_s * sim_time_to_s(now - t->since));
    }
    return l->config.latency + sim_time_from_s(left / l->config.bytes_per_s);
}

static void *take_arrival(struct link *l, size_t index, size_t *to)
{
    struct link_arrival taken = l->arrivals[index];
    for (l->arrival_count--; index < l->arrival_count; index++)
        l->arrivals[index] = l->arrivals[index + 1];
    *to = taken.to;
    return taken.what;
}

void *link_arrived(struct link *l, sim_time now, size_t *to)
{
    finish_sending(l, now);
    if (l->arrival_count == 0 || l->arrivals[0].at > now)
        return NULL;
    void *what = take_arrival(l, 0, to);
    settle(l, now);
    return what;
}

/* Takes a transfer out whose bytes are not all sent. */
static void *take_transfer(struct link *l, size_t index, size_t *to)
{
    struct link_transfer taken = l->transfers[index];
    for (l->count--; index < l->count; index++)
        l->transfers[index] = l->transfers[index + 1];
    if (taken.bytes_per_s > 0) {
        l->sending[taken.from]--;
        l->receiving[taken.to]--;
    }
    *to = taken.to;
    return taken.what;
}

void *link_cancel(struct link *l, size_t source, size_t destination, sim_time now, size_t *to)
{
    void *what = NULL;
    finish_sending(l, now);
    for (size_t i = 0; !what && i < l->arrival_count; i++)
        if (l->arrivals[i].from == source || l->arrivals[i].to == destination)
            what = take_arrival(l, i, to);
    for (size_t i = 0; !what && i < l->count; i++)
        if (l->transfers[i].from == source || l->transfers[i].to == destination)
            what = take_transfer(l, i, to);
    settle(l, now);
    return what;
}
