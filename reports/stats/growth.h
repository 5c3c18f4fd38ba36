/* SPDX-License-Identifier: MIT */
/* growth.h — whether a queue grew for as long as requests came: what makes a station overloaded.
 *
 * Looked at are two series. The waits of requests, in order of arrival, grow without end where more work comes than is
 * done and the first to come is served first; a wait counts once the request is served. What a batch left behind, as
 * the next arrival finds it, grows whatever the order; that everybody waits while one batch runs is no growth. Each
 * series is kept as the means of up to 32 blocks. Of a queue that is served in time these go up and down about a level;
 * of one at the very limit they wander like a random walk. So a series grows where the mean step from one block to the
 * next is above 0 by a one-sided t-test, over the whole series or over its second half, and where the growth matters:
 * at least 2 % of the time that passed, or of the requests that came (a load of 1.02). Requests of which all came
 * before three batches had been formed are a burst, or a batch job: they have no rate that could be too high. */
#ifndef TANDEM_REPORTS_STATS_GROWTH_H
#define TANDEM_REPORTS_STATS_GROWTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/units.h"

enum { GROWTH_BLOCKS = 32 };

/* A series in blocks of equally many places; when they are full, neighbours merge. */
struct growth_series {
    uint64_t width;
    struct growth_block {
        uint64_t count;
        wide_sum values, times;
    } blocks[GROWTH_BLOCKS];
};

struct queue_growth {
    struct growth_series waits;  /* nanoseconds, by time of arrival in nanoseconds; places are requests */
    struct growth_series queued; /* requests, by the number that came before; places are looks */
    uint64_t looks, arrivals;
    bool served; /* since the last look */
};

/* A request arrives at a queue in which `waiting` are. */
void queue_growth_arrive(struct queue_growth *g, uint64_t waiting);

/* A request, by its place in the run's order of arrival, is in a batch for the first time. */
void queue_growth_serve(struct queue_growth *g, uint64_t request, sim_time arrival, sim_time wait);

/* The chance, at most, that a queue is said to grow that is served just in time: 0.1 % for all queues of a run. */
#define GROWTH_CHANCE 0.001

/* Whether it grew; `queues` are judged in this run. */
bool queue_growth_found(const struct queue_growth *g, size_t queues);

#endif
