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
        l->arrivals[l->arrival_count++] = (struct link_arrival){t.sent + l->config.latency, t.to, t.what};
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

void *link_arrived(struct link *l, sim_time now, size_t *to)
{
    finish_sending(l, now);
    if (l->arrival_count == 0 || l->arrivals[0].at > now)
        return NULL;
    struct link_arrival first = l->arrivals[0];
    l->arrival_count--;
    for (size_t i = 0; i < l->arrival_count; i++)
        l->arrivals[i] = l->arrivals[i + 1];
    settle(l, now);
    *to = first.to;
    return first.what;
}
