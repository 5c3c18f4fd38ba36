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
};

void histogram_release(struct histogram *h);

/* Records `count` values, at least 0. Returns 0, or -1 when memory is short. */
int histogram_add(struct histogram *h, int64_t value, uint64_t count);

/* Records the values (first + i·growth) >> 16 for i = 0 … n − 1, `times` times each, without visiting every one.
 * Returns 0, or -1 when memory is short. */
int histogram_add_run(struct histogram *h, uint64_t first, uint64_t growth, uint64_t n, uint64_t times);

/* Adds all of `from` to `into`. Returns 0, or -1 when memory is short. */
int histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest recorded value (to 0.1 %) that at least a share q of all values do not exceed; 0 when empty. */
int64_t histogram_quantile(const struct histogram *h, double q);

/* The middle of a bucket. */
int64_t histogram_bucket_value(size_t bucket);

#endif
