/* SPDX-License-Identifier: MIT */
#include "sim/kv_transfer.h"

#include <math.h>
#include <stdlib.h>

int kv_transfers_init(struct kv_transfers *t, const struct kv_wire *wire, size_t stations)
{
    *t = (struct kv_transfers){.wire = *wire};
    t->queued = calloc(stations, sizeof *t->queued);
    t->arrived = calloc(stations, sizeof *t->arrived);
    t->under_way = calloc(stations, sizeof *t->under_way);
    return link_init(&t->link, &wire->link, stations, stations) || !t->queued || !t->arrived || !t->under_way ? -1 : 0;
}

void kv_transfers_release(struct kv_transfers *t)
{
    link_release(&t->link);
    free(t->queued);
    free(t->arrived);
    free(t->under_way);
    *t = (struct kv_transfers){0};
}

double kv_bytes(const struct kv_wire *wire, const struct request *r)
{
    double bytes = wire->bytes_per_token * r->computed;
    if (wire->window_bytes > 0)
        bytes += wire->window_bytes * (double)kv_layout_seen(&wire->layout, r->computed);
    return bytes;
}

double kv_bytes_left(const struct kv_wire *wire, const struct request *r, sim_time now)
{
    double all = kv_bytes(wire, r);
    if (wire->layers == 0 || now > r->last_token)
        return all;
    return fmax(all / wire->layers, all - sim_time_to_s(r->parts[PART_PREFILL_OWN]) * wire->link.bytes_per_s);
}

int kv_transfers_start(struct kv_transfers *t, struct station_id to, sim_time now)
{
    struct request *r = t->queued[to.index].head;
    if (link_send(&t->link, r->source.index, to.index, kv_bytes_left(&t->wire, r, now), r, now))
        return -1;
    request_list_remove(&t->queued[to.index], r);
    t->under_way[to.index]++;
    return 0;
}

struct request *kv_transfers_take(struct kv_transfers *t, sim_time now, struct station_id *to)
{
    struct request *r = link_arrived(&t->link, now, &to->index);
    if (r) {
        t->under_way[to->index]--;
        request_list_insert(&t->arrived[to->index], r, NULL);
    }
    return r;
}

struct request *kv_transfers_cancel(struct kv_transfers *t, struct station_id station, sim_time now,
                                    struct station_id *to)
{
    struct request *r = link_cancel(&t->link, station.index, station.index, now, &to->index);
    if (r)
        t->under_way[to->index]--;
    return r;
}
