/* SPDX-License-Identifier: MIT */
/* histogram.h — a log-bucketed histogram of nanoseconds with at most 0.1 % relative error.
 *
 * 512 buckets an octave, read at their middle, so an answer is within 1/1024 of a recorded value;
 * values below 1024 are exact. Memory is that of the octaves in which there are values, whatever the count (the idea of
 * HdrHistogram, Tene 2012). */
#ifndef TANDEM_REPORTS_STATS_HISTOGRAM_H
#define TANDEM_REPORTS_STATS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_PAGE = 512,
    HISTOGRAM_PAGES = 55,
    HISTOGRAM_BUCKETS = HISTOGRAM_PAGES * HISTOGRAM_PAGE,
    HISTOGRAM_ROW = 8 /* buckets */
};

/* Counts of one octave. Only rows in which there are values hold counts, so a page is never cleared as a whole. */
struct histogram_page {
    uint64_t used; /* bit i: row i, buckets HISTOGRAM_ROW · i and on, holds counts */
    uint64_t counts[HISTOGRAM_PAGE];
};

struct histogram {
    struct histogram_page *pages[HISTOGRAM_PAGES]; /* NULL: none of its buckets has any */
    uint64_t total;
    int64_t min, max; /* recorded values, exactly; 0 while there are none */
};

void histogram_release(struct histogram *h);

/* Records `count` values, at least 0. Returns 0, or -1 when memory is short. */
int histogram_add(struct histogram *h, int64_t value, uint64_t count);

/* Records the values (first + i·growth) >> 16 for i = 0 … n − 1, `times` times each, without visiting every one.
 * Returns 0, or -1 when memory is short. */
int histogram_add_run(struct histogram *h, uint64_t first, uint64_t growth, uint64_t n, uint64_t times);

/* Adds all of `from` to `into`. Returns 0, or -1 when memory is short. */
int histogram_merge(struct histogram *into, const struct histogram *from);

/* Moves all of `from` to `into`, and leaves it empty. */
void histogram_absorb(struct histogram *into, struct histogram *from);

/* The value of a rank from 1 (the smallest) to total, to 0.1 % and within [min, max]; both of these are exact. 0 when
 * empty. */
int64_t histogram_at_rank(const struct histogram *h, uint64_t rank);

/* The smallest rank of n values that a share q of them do not exceed: q·n rounded up, at least 1. */
uint64_t quantile_rank(double q, uint64_t n);

/* The value of the rank that a share q of all values do not exceed. */
int64_t histogram_quantile(const struct histogram *h, double q);

/* The same for `count` shares that do not fall, in one walk. */
void histogram_quantiles(const struct histogram *h, const double *q, size_t count, int64_t *out);

/* The bucket of a value, and the middle of a bucket. */
size_t histogram_bucket(int64_t value);
int64_t histogram_bucket_value(size_t bucket);

/* How many values are in a bucket below HISTOGRAM_BUCKETS. */
static inline uint64_t histogram_count(const struct histogram *h, size_t bucket)
{
    const struct histogram_page *page = h->pages[bucket / HISTOGRAM_PAGE];
    size_t at = bucket % HISTOGRAM_PAGE;
    return page && page->used >> at / HISTOGRAM_ROW & 1 ? page->counts[at] : 0;
}

#endif
