/* SPDX-License-Identifier: MIT */
/* delay.h — stations that requests go through one by one: a front end, a tokenizer, a retrieval, a response cache; a
 * detokenizer, a filter, a tool. Each has c servers, or as many as there are requests, one queue in order of arrival,
 * and times of service that do not depend on who else is there. A request goes through those before serving, one after
 * another, before it reaches a router, and through those after serving when it has its last token. It holds no KV
 * there.
 *
 * What ends at an instant ends before any replica acts, as arrivals come before replicas. */
#ifndef TANDEM_SIM_DELAY_H
#define TANDEM_SIM_DELAY_H

#include "base/fields.h"
#include "sim/observer.h"
#include "workloads/durations.h"

struct cluster_config;
struct delay_config;

/* A kind of station. Its file is named in pool_kinds.h. */
struct delay_kind {
    const char *name;           /* begins the names of its stations' rows */
    const struct field *fields; /* that such a pool may have */
    /* Takes from the pool, whose keys are checked, what `out` has for it; `root` is the whole scenario. */
    int (*read)(const struct json *root, const struct json *pool, struct delay_config *out, struct error *err);
    bool reads_prompts; /* looks at the hashes of a request's prompt, where a trace has some */
    /* What a station knows while a run goes on; NULL when memory is short. All that follow may be NULL: it knows
     * nothing, and answers nobody. */
    void *(*open)(const struct delay_config *config, uint64_t seed);
    void (*close)(void *station);
    /* A request has been served: whether that is its answer, with which it goes no further. */
    bool (*answers)(void *station, const struct request *r);
    /* The answer of a request that went further goes to its client. Returns -1 when memory is short. */
    int (*learn)(void *station, const struct request *r);
};

struct delay_config {
    const char *name;
    const struct delay_kind *kind;
    struct json at; /* what the scenario says of it, which must outlive it */
    size_t servers; /* 0: as many as there are requests */
    struct duration service;
    double answered; /* the share of requests that it answers; NAN: the run will tell */
};

struct delay_station {
    const struct delay_config *config;
    void *own;    /* of its kind */
    gsl_rng *rng; /* its own stream: the i-th request served takes as long under any policy */
    struct request_list waiting;
    struct ordered *serving; /* by the end of service, then by its start */
    size_t busy;             /* servers */
    uint64_t started;
};

struct delays {
    struct delay_station *stations; /* [count] in order of the flow */
    size_t count, before;           /* all; those before serving, which come first */
    bool answers, reads_prompts;    /* some station does */
    struct request_list served;     /* have their last token at this instant, in order of their numbers */
    sim_time next;                  /* when some service ends next; SIM_TIME_NEVER: nobody is served */
    const struct observer *observer;
    bool *out_of_memory;
};

/* Where a request goes: it has left the last station before serving; it is done with all that come after serving; or it
 * was answered by a station before serving. */
enum delay_exit { DELAY_TO_ROUTER, DELAY_TO_CLIENT, DELAY_ANSWERED };

/* Whether a request may finish elsewhere than at a replica: after stations, or at one. */
bool delays_may_finish(const struct cluster_config *config);

/* The configuration and the observer must outlive it; what is short of memory later sets *out_of_memory. Returns 0, or
 * -1 when memory is short; release it in both cases. */
int delays_init(struct delays *d, const struct cluster_config *config, const struct observer *observer,
                bool *out_of_memory);
void delays_release(struct delays *d);

/* A request comes to the first station before serving. */
void delays_enter(struct delays *d, struct request *r, sim_time now);

/* A request has its last token, and goes on to the stations after serving, if any. Those that a replica finishes
 * together go in order of their numbers; delays_take must be called at this instant. */
void delays_serve(struct delays *d, struct request *r);

/* A request that has left the stations at `now` or before; NULL: nobody more. */
struct request *delays_take(struct delays *d, sim_time now, enum delay_exit *to);

#endif
