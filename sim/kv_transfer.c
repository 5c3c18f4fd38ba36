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

/* Tokens whose KV is sent: that of the last one, too, which is computed again where the first token comes from. */
static uint32_t tokens_to_send(const struct kv_wire *wire, const struct request *r)
{
    return r->computed + wire->first_token_later - (wire->only_lacking ? r->present_tokens : 0);
}

static double bytes_to_send(const struct kv_wire *wire, const struct request *r)
{
    double tokens = tokens_to_send(wire, r), seen = (double)kv_layout_seen(&wire->layout, r->computed);
    return wire->bytes_per_token * tokens + (wire->window_bytes > 0 ? wire->window_bytes * fmin(tokens, seen) : 0);
}

double kv_bytes_left(const struct kv_wire *wire, const struct request *r, sim_time now)
{
    double all = wire->only_lacking || wire->first_token_later ? bytes_to_send(wire, r) : kv_bytes(wire, r);
    if (wire->layers == 0 || now > r->last_token)
        return all;
    return fmax(all / wire->layers, all - sim_time_to_s(r->parts[PART_PREFILL_OWN]) * wire->link.bytes_per_s);
}

int kv_transfers_start(struct kv_transfers *t, struct station_id to, sim_time now)
{
    struct request *r = t->queued[to.index].head;
    double bytes = kv_bytes_left(&t->wire, r, now);
    if (link_send(&t->link, r->source.index, to.index, bytes, r, now))
        return -1;
    t->totals.transfers++;
    t->totals.bytes += bytes;
    t->totals.tokens += r->computed + t->wire.first_token_later;
    t->totals.present += t->wire.only_lacking ? r->present_tokens : 0;
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
