/* SPDX-License-Identifier: MIT */
/* kv_transfer.h — KV on its way from stations that prefill to stations that decode (disaggregated placement,
 * DistServe).
 *
 * A request that has its first token waits at the station that is to decode it, in order, until that pulls its KV: when
 * it has blocks for it. Its blocks at the other one are held until the transfer has ended. Transfers go over a link
 * (link.h).
 *
 * Layer by layer (Splitwise, Patel et al., ISCA 2024), what is left to send when the prompt is through is the last
 * layer, or, where sending takes longer than computing the prompt, the difference. A request that cannot be pulled at
 * once is sent whole. */
#ifndef TANDEM_SIM_KV_TRANSFER_H
#define TANDEM_SIM_KV_TRANSFER_H

#include "sim/link.h"
#include "workloads/kv_layout.h"
#include "workloads/request.h"

struct kv_wire {
    struct link_config link; /* of one GPU: the GPUs of a replica send side by side */
    double bytes_per_token;  /* of KV, on one GPU */
    double window_bytes;     /* a token, of layers that keep a window, and so send the tokens in it alone */
    struct kv_layout layout;
    /* The receiver keeps prefixes for others, and is sent only what it does not have. */
    bool only_lacking;
    bool first_token_later; /* the first token that a client sees comes from where the request decodes */
    uint32_t local_below;   /* a prompt of which the station that decodes lacks fewer tokens is computed there */
    double failing_share;   /* of transfers that fail when they end: the receiver computes the prompt itself */
    double layers; /* above 0: a layer is sent as soon as it is computed, where the decode replica has room by then */
};

/* Bytes of KV that a request's computed tokens have. */
double kv_bytes(const struct kv_wire *wire, const struct request *r);

/* What was sent over the whole run. */
struct kv_transfer_totals {
    uint64_t transfers, failed;
    uint64_t tokens, present; /* that those requests had computed; of these, that the receiver had already */
    double bytes;
};

/* Bytes of a request's KV that are left to send when its prompt is through, or later. */
double kv_bytes_left(const struct kv_wire *wire, const struct request *r, sim_time now);

struct kv_transfers {
    struct kv_wire wire;
    struct link link;
    struct request_list *queued;  /* [stations]: to be received; their KV is still where they were prefilled */
    struct request_list *arrived; /* [stations]: their KV is there, the next iteration has them */
    size_t *under_way;            /* [stations]: transfers to it */
    struct kv_transfer_totals totals;
};

/* Returns 0, or -1 when memory is short. Release with kv_transfers_release. */
int kv_transfers_init(struct kv_transfers *t, const struct kv_wire *wire, size_t stations);
void kv_transfers_release(struct kv_transfers *t);

/* Starts the transfer of the request that is first in a station's queue, from r->source. Returns -1 when memory is
 * short. */
int kv_transfers_start(struct kv_transfers *t, struct station_id to, sim_time now);

/* When to ask next for what has arrived, SIM_TIME_NEVER for never. */
static inline sim_time kv_transfers_next(const struct kv_transfers *t)
{
    return link_next(&t->link);
}

/* The next request whose KV has arrived by now, and where; it is in that station's list then. NULL: none. */
struct request *kv_transfers_take(struct kv_transfers *t, sim_time now, struct station_id *to);

/* Ends a transfer from or to the station: the request whose KV it was of, and where it was to go. NULL: there is none.
 */
struct request *kv_transfers_cancel(struct kv_transfers *t, struct station_id station, sim_time now,
                                    struct station_id *to);

#endif
