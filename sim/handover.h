/* SPDX-License-Identifier: MIT */
/* handover.h — KV on its way from replicas that prefill to replicas that decode (disaggregated placement, DistServe).
 *
 * A request that has its first token waits at a decode replica, in order, until that pulls its KV: when it has blocks
 * for it. Its blocks at the prefill replica are held until the transfer has ended. A transfer needs its source's way
 * out and its destination's way in for itself; one that finds them taken starts when both are free.
 *
 * Layer by layer (Splitwise, Patel et al., ISCA 2024), what is left to send when the prompt is through is the last
 * layer, or, where sending takes longer than computing the prompt, the difference. A request that cannot be pulled at
 * once is sent whole. */
#ifndef TANDEM_SIM_HANDOVER_H
#define TANDEM_SIM_HANDOVER_H

#include "workloads/request.h"

struct handover_link {
    double bytes_per_token; /* of KV, over one GPU's link: the GPUs of a replica send side by side */
    double bytes_per_s;
    sim_time latency;
    double layers; /* above 0: a layer is sent as soon as it is computed, where the decode replica has room by then */
};

/* Seconds that the link is still needed for when a request's prompt is through, or later. */
double handover_left_to_send(const struct handover_link *link, const struct request *r, sim_time now);

struct transfer {
    sim_time end;
    uint64_t number; /* in order of start; of equal ends the lower one comes first */
    struct request *request;
    size_t to; /* decode replica, from 0 */
};

struct handover {
    struct handover_link link;
    size_t sources, destinations;
    sim_time *way_out, *way_in;   /* [sources], [destinations]: when each is free */
    struct request_list *inbound; /* [destinations]: KV still at the prefill replica */
    struct request_list *landed;  /* [destinations]: KV is there, the next iteration has them */
    size_t *under_way;            /* [destinations]: transfers */
    struct transfer *heap;        /* [count], the first to end on top */
    size_t count, capacity;
    uint64_t started;
};

/* Returns 0, or -1 when memory is short. Release with handover_release. */
int handover_init(struct handover *h, const struct handover_link *link, size_t sources, size_t destinations);
void handover_release(struct handover *h);

/* Starts the transfer of the request that stands first at a destination, from r->source. Returns -1 when memory is
 * short. */
int handover_start(struct handover *h, size_t to, sim_time now);

/* When the next transfer ends, SIM_TIME_NEVER for none; and taking it. */
sim_time handover_next_end(const struct handover *h);
struct transfer handover_take(struct handover *h);

#endif
