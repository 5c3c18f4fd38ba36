/* SPDX-License-Identifier: MIT */
/* delay.h — delay stations: a front end, a tokenizer, a retrieval; a detokenizer, a filter, a tool. Each has c servers,
 * or as many as there are requests, one queue in order of arrival, and times of service that do not depend on who else
 * is there. A request goes through those before serving, one after another, before it reaches a router, and through
 * those after serving when it has its last token. It holds no KV there.
 *
 * What ends at an instant ends before any replica acts, as arrivals come before replicas. */
#ifndef TANDEM_SIM_DELAY_H
#define TANDEM_SIM_DELAY_H

#include "sim/observer.h"
#include "workloads/durations.h"

struct cluster_config;

struct delay_config {
    const char *name;
    size_t servers; /* 0: as many as there are requests */
    struct duration service;
};

struct delay_station {
    const struct delay_config *config;
    gsl_rng *rng; /* its own stream: the i-th request served takes as long under any policy */
    struct request_list waiting;
    struct ordered *serving; /* by the end of service, then by its start */
    size_t busy;             /* servers */
    uint64_t started;
};

struct delays {
    struct delay_station *stations; /* [count] in order of the flow */
    size_t count, before;           /* all; those before serving, which come first */
    sim_time next;                  /* when some service ends next; SIM_TIME_NEVER: nobody is served */
    const struct observer *observer;
};

/* Where a request goes that has left the last station before serving, or after it. */
enum delay_exit { DELAY_TO_ROUTER, DELAY_TO_CLIENT };

/* The configuration and the observer must outlive it. Returns 0, or -1 when memory is short; release it in both
 * cases. */
int delays_init(struct delays *d, const struct cluster_config *config, const struct observer *observer);
void delays_release(struct delays *d);

/* A request comes to the first station before serving. */
void delays_enter(struct delays *d, struct request *r, sim_time now);

/* A request has its last token, and comes to the first station after serving. Those that a replica finishes together
 * come in order of their numbers; delays_take must be called at this instant. */
void delays_answer(struct delays *d, struct request *r, sim_time now);

/* A request that has left the last station before serving, or after it, at `now` or before; NULL: nobody more. */
struct request *delays_take(struct delays *d, sim_time now, enum delay_exit *to);

#endif
