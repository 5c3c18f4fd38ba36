/* SPDX-License-Identifier: MIT */
/* histogram.h — a log-bucketed histogram of nanoseconds with at most 0.1 % relative error.
 *
 * 512 buckets an octave, read at their middle, so an answer is within 1/1024 of a recorded value;
 * values below 1024 are exact. Memory spans the octaves seen, whatever the count (the idea of
 * HdrHistogram, Tene 2012). */
#ifndef TANDEM_REPORTS_HISTOGRAM_H
#define TANDEM_REPORTS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

struct histogram {
    uint64_t *counts; /* of buckets first … first + span − 1 */
    size_t first, span;
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

/* The value of a rank from 1 (the smallest) to total, to 0.1 % and within [min, max]; both of these are exact. 0 when
 * empty. */
int64_t histogram_at_rank(const struct histogram *h, uint64_t rank);

/* The smallest rank of n values that a share q of them do not exceed: q·n rounded up, at least 1. */
uint64_t quantile_rank(double q, uint64_t n);

/* The value of the rank that a share q of all values do not exceed. */
int64_t histogram_quantile(const struct histogram *h, double q);

/* The middle of a bucket. */
int64_t histogram_bucket_value(size_t bucket);

#endif
