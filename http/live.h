/* SPDX-License-Identifier: MIT */
/* live.h — a simulation that clients feed while it runs, and that goes on as the wall clock does: the cluster's own
 * policies, timed by its cost model, in real or scaled time.
 *
 * One thread runs it (live_run); any others submit requests and await their tokens. A request arrives at the instant of
 * simulated time at which it was submitted, the first one at 0, and after every event that has already been simulated.
 * So the run is the one that a simulation of the same arrivals makes, bit for bit. */
#ifndef TANDEM_HTTP_LIVE_H
#define TANDEM_HTTP_LIVE_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "simulation/simulation.h"

struct live;
struct live_request;

struct live_options {
    double speed;           /* seconds of simulated time in one of the wall clock */
    uint64_t most_requests; /* ends when so many have been submitted and served; 0: goes on until it is stopped */
    FILE *arrivals;         /* every arrival is written there, as a line of a trace; NULL: nowhere */
    const volatile sig_atomic_t *stop; /* not 0: nobody is taken any more, and who is there is simulated to the end at
                                          once; may be NULL */
};

/* NULL when memory is short. */
struct live *live_create(const struct live_options *o);

/* As simulation_run, with `o`'s store; the simulation's iterations are run one by one. Returns when it has ended. */
int live_run(struct live *live, struct simulation *s, struct store *store, struct error *err);

/* Every request has been released. May be NULL. */
void live_destroy(struct live *live);

struct live_wish {
    uint32_t prompt_tokens, output_tokens;
    const uint64_t *hashes; /* [hash_count] of the prompt's pieces of hash_tokens (struct request) */
    uint32_t hash_count, hash_tokens;
};

/* Takes a request in; NULL when memory is short, or, with *ended set, when nobody is taken any more. */
struct live_request *live_submit(struct live *live, const struct live_wish *wish, bool *ended);

enum live_end { LIVE_GOES_ON, LIVE_FINISHED, LIVE_REJECTED, LIVE_LOST, LIVE_BROKEN };

/* What has become of a request. Times are simulated, since its arrival; -1: not yet. */
struct live_state {
    uint64_t id; /* its number in the run */
    uint32_t tokens;
    enum live_end end;
    const char *reason; /* rejected, lost, broken: a constant */
    sim_time first_token, last_token, answered;
};

/* Waits until it has more than `seen` output tokens, or has ended. */
struct live_state live_await(struct live_request *r, uint32_t seen);

/* The client goes; the request itself is served to its end. */
void live_release(struct live_request *r);

/* What a server's metrics tell, of all requests so far. */
enum live_histogram {
    LIVE_TTFT,
    LIVE_GAP,
    LIVE_TPOT,
    LIVE_E2E,
    LIVE_QUEUE,
    LIVE_PREFILL,
    LIVE_DECODE,
    LIVE_INFERENCE,
    LIVE_PROMPT,
    LIVE_OUTPUT,
    LIVE_HISTOGRAMS
};

enum { LIVE_BUCKETS = 32 };

struct live_counts {
    struct {
        double counts[LIVE_BUCKETS], sum, total; /* not cumulative; buckets as live_bounds has them */
    } histograms[LIVE_HISTOGRAMS];
    uint64_t finished, rejected, lost, preemptions, prompt_tokens, output_tokens, cached_tokens;
    size_t running, waiting;
    double kv_use; /* share of the KV blocks */
};

/* Upper bounds of a histogram's buckets, ending with 0. */
const double *live_bounds(enum live_histogram h);

void live_count(struct live *live, struct live_counts *out);

#endif
