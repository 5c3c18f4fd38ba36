/* SPDX-License-Identifier: MIT */
/* pair.h — two replicas that keep each other's KV, so that a request decodes on either (AcceLLM, arXiv:2411.05555).
 *
 * They share a queue, and, since each holds what both have, the blocks of one pool. While prompts wait that fit, one of
 * them, who has ended an iteration first, prefills: its decodes go on at the other. When none waits or fits, both
 * decode, and whoever has more KV to read gives some to the other. Going over takes no time, but it happens between
 * two iterations of either, and not before the prompt's KV has been copied, which each way carries for one request
 * after another. KV of tokens generated is copied along the way, and takes no time. */
#ifndef TANDEM_SIM_PAIR_H
#define TANDEM_SIM_PAIR_H

#include "sim/kv_transfer.h"
#include "sim/replica.h"

struct pair {
    struct replica *const *members; /* [2], the first one leads; NULL: no pair */
    const struct kv_wire *wire;
    uint32_t most;                  /* sequences that decode on one of them */
    struct request_list inbound[2]; /* go on there */
    uint64_t inbound_kv[2];         /* tokens of these */
    sim_time way_free[2];           /* from each to the other */
    const struct replica *prefills; /* NULL: both decode */
    uint64_t declined_with;         /* blocks were free when a member admitted nobody who waited; 0: it has since */
};

/* Before this member's batch for `at` is formed: who has come to it joins, and its role is settled. Returns 1 when the
 * other member has been given something, 0 when not, -1 when memory is short. */
int pair_settle(struct pair *p, struct replica *r, sim_time at);

/* A request's prompt is through at this member: the other gets a copy of its KV. */
void pair_copy(struct pair *p, const struct replica *r, struct request *q, sim_time now);

/* A member has formed no batch: when it looks again. That is at `next`, or when who is to go on there has left the
 * other. */
sim_time pair_next(struct pair *p, const struct replica *r, sim_time next);

/* Whether this member would have something to look at. */
bool pair_awaits(const struct pair *p, const struct replica *r);

static inline struct replica *pair_other(const struct pair *p, const struct replica *r)
{
    return p->members[r == p->members[0]];
}

#endif
