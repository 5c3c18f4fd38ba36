/* SPDX-License-Identifier: MIT */
/* arrival_feed.h — one stream of requests for several readers on threads of their own. Whoever comes first to where it
 * ends draws more of it, in blocks, predicts its output, chooses its station, and tells the metrics of the whole.
 *
 * It also finds the most requests that were in flight at once: a reader notes when its requests finish, and an arrival
 * finds in flight whoever came before it and had not finished before its time. */
#ifndef TANDEM_SIMULATION_ARRIVAL_FEED_H
#define TANDEM_SIMULATION_ARRIVAL_FEED_H

#include <pthread.h>
#include <stdatomic.h>

#include "reports/stats/metrics.h"
#include "sim/cluster.h"

enum { FEED_BLOCK = 1024, FEED_BLOCKS = 32 }; /* requests of a block; blocks that readers may be apart */

struct feed_block {
    uint64_t first; /* request of the workload */
    size_t count;
    sim_time at[FEED_BLOCK];
    size_t stations[FEED_BLOCK];
    bool begins[FEED_BLOCK];          /* a section of the run */
    atomic_uint finished[FEED_BLOCK]; /* requests, since the arrival before */
    struct arrival arrivals[FEED_BLOCK];
    size_t hashes_at[FEED_BLOCK];
    uint64_t *hashes; /* [hash_count] of all of them */
    size_t hash_count, hash_capacity;
    unsigned holders; /* readers that have not gone past it */
    struct feed_block *next;
};

struct arrival_feed {
    struct request_source source; /* the feed's own */
    const struct cluster_config *config;
    size_t stations, readers;
    uint64_t cursor;         /* the routing policy's */
    gsl_rng *prediction_rng; /* NULL: nothing is predicted */
    struct run_metrics *whole;
    const struct run_control *control;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct feed_block *oldest, *newest, *unused;
    size_t blocks; /* from the oldest to the newest */
    uint64_t next_request, in_flight, peak_in_flight, seen;
    bool ended, failed, stopped; /* by its control */
};

struct feed_reader {
    struct arrival_feed *feed;
    struct feed_block *held;  /* the oldest one that it has not given back; NULL: it has not begun */
    struct feed_block *block; /* that it reads, and what is next of it */
    size_t next;
    struct feed_block *last; /* with the arrival that it returned last */
    struct feed_block *finishes;
    size_t finishes_at; /* the first arrival after the last finish */
};

/* `source` is the feed's own from now on. Returns 0, or -1. */
int arrival_feed_open(struct arrival_feed *f, const struct request_source *source, const struct cluster_config *config,
                      size_t readers, struct run_metrics *whole, const struct run_control *control);
void arrival_feed_close(struct arrival_feed *f);

/* The next request, wherever it goes: its place in *block. False at the end, or when somebody has failed. */
bool feed_reader_next(struct feed_reader *r, const struct feed_block **block, size_t *place);

/* What it returned last is one of its own. */
void feed_reader_takes(struct feed_reader *r);

/* A request of its own has finished; times do not go back. */
void feed_reader_finished(struct feed_reader *r, sim_time at);

/* It reads no more. */
void feed_reader_end(struct feed_reader *r);

/* Nobody gets any more of it. */
void arrival_feed_fail(struct arrival_feed *f);

#endif
