/* SPDX-License-Identifier: MIT */
#include "sim/event_list.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

struct event {
    sim_time at;
    uint64_t sequence;
    size_t station;
};

struct event_list {
    struct event *heap; /* [count], children of i at 2i + 1 and 2i + 2 */
    size_t *place;      /* [stations] index in heap plus 1; 0: none */
    size_t count;
    uint64_t sequence;
};

struct event_list *event_list_create(size_t stations)
{
    struct event_list *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->heap = calloc(stations, sizeof *e->heap);
    e->place = calloc(stations, sizeof *e->place);
    if (!e->heap || !e->place) {
        event_list_destroy(e);
        return NULL;
    }
    return e;
}

void event_list_destroy(struct event_list *e)
{
    if (!e)
        return;
    free(e->heap);
    free(e->place);
    free(e);
}

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static void put(struct event_list *e, size_t i, struct event event)
{
    e->heap[i] = event;
    e->place[event.station] = i + 1;
}

static void sift_up(struct event_list *e, size_t i, struct event event)
{
    for (; i > 0 && before(&event, &e->heap[(i - 1) / 2]); i = (i - 1) / 2)
        put(e, i, e->heap[(i - 1) / 2]);
    put(e, i, event);
}

static void sift_down(struct event_list *e, size_t i, struct event event)
{
    for (size_t child; (child = 2 * i + 1) < e->count; i = child) {
        if (child + 1 < e->count && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &event))
            break;
        put(e, i, e->heap[child]);
    }
    put(e, i, event);
}

static void take_out(struct event_list *e, size_t i)
{
    e->place[e->heap[i].station] = 0;
    struct event last = e->heap[--e->count];
    if (i == e->count)
        return;
    if (i > 0 && before(&last, &e->heap[(i - 1) / 2]))
        sift_up(e, i, last);
    else
        sift_down(e, i, last);
}

void event_list_set(struct event_list *e, size_t station, sim_time at)
{
    if (e->place[station])
        take_out(e, e->place[station] - 1);
    if (at == SIM_TIME_NEVER)
        return;
    sift_up(e, e->count++, (struct event){.at = at, .sequence = e->sequence++, .station = station});
}

sim_time event_list_next_time(const struct event_list *e)
{
    return e->count ? e->heap[0].at : SIM_TIME_NEVER;
}

size_t event_list_pop(struct event_list *e)
{
    assert(e->count > 0);
    size_t station = e->heap[0].station;
    take_out(e, 0);
    return station;
}
