/* SPDX-License-Identifier: MIT */
#include "sim/handover.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"

int handover_init(struct handover *h, const struct handover_link *link, size_t sources, size_t destinations)
{
    *h = (struct handover){.link = *link, .sources = sources, .destinations = destinations};
    h->way_out = calloc(sources, sizeof *h->way_out);
    h->way_in = calloc(destinations, sizeof *h->way_in);
    h->inbound = calloc(destinations, sizeof *h->inbound);
    h->landed = calloc(destinations, sizeof *h->landed);
    h->under_way = calloc(destinations, sizeof *h->under_way);
    return h->way_out && h->way_in && h->inbound && h->landed && h->under_way ? 0 : -1;
}

void handover_release(struct handover *h)
{
    free(h->way_out);
    free(h->way_in);
    free(h->inbound);
    free(h->landed);
    free(h->under_way);
    free(h->heap);
    *h = (struct handover){0};
}

static bool before(const struct transfer *a, const struct transfer *b)
{
    return a->end != b->end ? a->end < b->end : a->number < b->number;
}

static void sift_up(struct handover *h, struct transfer t)
{
    size_t i = h->count++;
    for (; i > 0 && before(&t, &h->heap[(i - 1) / 2]); i = (i - 1) / 2)
        h->heap[i] = h->heap[(i - 1) / 2];
    h->heap[i] = t;
}

double handover_left_to_send(const struct handover_link *link, const struct request *r, sim_time now)
{
    double all = link->bytes_per_token * r->computed / link->bytes_per_s;
    if (link->layers == 0 || now > r->last_token)
        return all;
    return fmax(all / link->layers, all - sim_time_to_s(r->parts[PART_PREFILL_OWN]));
}

int handover_start(struct handover *h, size_t to, sim_time now)
{
    struct transfer *grown = array_grow(h->heap, &h->capacity, h->count + 1, sizeof *grown);
    struct request *r = h->inbound[to].head;
    if (!grown)
        return -1;
    h->heap = grown;
    request_list_remove(&h->inbound[to], r);
    sim_time *out = &h->way_out[r->source], *in = &h->way_in[to], start = now;
    start = *out > start ? *out : start;
    start = *in > start ? *in : start;
    sim_time end = start + h->link.latency + sim_time_from_s(handover_left_to_send(&h->link, r, now));
    *out = *in = end;
    h->under_way[to]++;
    sift_up(h, (struct transfer){.end = end, .number = h->started++, .request = r, .to = to});
    return 0;
}

sim_time handover_next_end(const struct handover *h)
{
    return h->count > 0 ? h->heap[0].end : SIM_TIME_NEVER;
}

struct transfer handover_take(struct handover *h)
{
    struct transfer first = h->heap[0], last = h->heap[--h->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && before(&h->heap[child + 1], &h->heap[child]))
            child++;
        if (!before(&h->heap[child], &last))
            break;
        h->heap[i] = h->heap[child];
    }
    if (h->count > 0)
        h->heap[i] = last;
    h->under_way[first.to]--;
    return first;
}
