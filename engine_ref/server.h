/* SPDX-License-Identifier: MIT */
/* server.h — serves a scenario's workload for real: the same policies and the same replica loop as a simulated run,
 * with engines in the cost model's place. Replicas of one pool share an engine; prefill and decode pools have one each,
 * and KV is moved between them, or to a process of its own (peer.h). */
#ifndef TANDEM_ENGINE_REF_SERVER_H
#define TANDEM_ENGINE_REF_SERVER_H

#include "engine_ref/executor.h"
#include "engine_ref/peer.h"
#include "engine_ref/reference.h"
#include "sim/scenario.h"

struct server_options {
    const char *backend;           /* NULL: the first one */
    const char *weights_file;      /* safetensors; NULL: from the scenario's seed */
    const struct weights *weights; /* of the scenario's model, instead; NULL: the server's own */
    size_t threads;                /* 0: all that the machine has */
    size_t rows;                   /* of the largest step, padding included; 0: 16384 */
    double pace;                   /* as in struct engine_executor */
    float temperature;
    struct instance *const
        *engines;  /* [2], large enough (server_limits) and empty, instead of its own; NULL: its own */
    bool cpu_time; /* the loop's clock goes on by CPU time, where an engine computes on one thread of its own */
    struct reference *reference; /* times are corrected by it; NULL: they are not */
    struct iteration_log *logs;  /* [2], one an engine: what iterations took is added there; NULL: nowhere */
    enum peer_link peer;         /* the engine that decodes is in a process of its own (disaggregated placement) */
};

struct server {
    struct weights weights;
    struct instance engines[2]; /* [engine_count] in this process */
    struct peer *peer;          /* the second one, where it is not; else NULL */
    struct engine_executor executors[2];
    size_t engine_count, engines_open; /* of its own; and of others, too */
};

/* Opens engines for the scenario, and puts them in its pools' executors' place: iterations one by one, nothing
 * scheduled ahead. Fails where the scenario asks for what the engine has not got. Release with server_close. */
int server_open(struct server *server, struct scenario *s, const struct server_options *o, struct error *err);
void server_close(struct server *server);

/* What the engines of a scenario need: the one that prefills, and that of a pool which only decodes, of no blocks where
 * there is none. */
void server_limits(const struct scenario *s, const struct server_options *o, struct engine_limits out[2]);

/* Must listen to the run. */
struct observer server_observer(struct server *server);

/* Fails with what an engine failed with in the run, which has no meaning then. */
int server_error(const struct server *server, struct error *err);

#endif
