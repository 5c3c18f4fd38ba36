/* SPDX-License-Identifier: MIT */
#include "reports/histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { SUB_BITS = 9, SUB = 1 << SUB_BITS };

/* The position of the highest bit; v is not 0. The builtin is what gcc and clang have for an instruction that C17
 * has no name for. */
static unsigned highest_bit(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

static size_t bucket_of(int64_t value)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    unsigned shift = v < 2 * SUB ? 0 : highest_bit(v) - SUB_BITS;
    return (size_t)shift * SUB + (size_t)(v >> shift);
}

/* The smallest value of the bucket after `value`'s. */
static uint64_t bucket_end(uint64_t value)
{
    unsigned shift = value < 2 * SUB ? 0 : highest_bit(value) - SUB_BITS;
    return ((value >> shift) + 1) << shift;
}

int64_t histogram_bucket_value(size_t bucket)
{
    if (bucket < 2 * SUB)
        return (int64_t)bucket;
    size_t shift = bucket / SUB - 1;
    int64_t low = (int64_t)(bucket - shift * SUB) << shift;
    return low + ((int64_t)1 << (shift - 1));
}

void histogram_release(struct histogram *h)
{
    free(h->counts);
    *h = (struct histogram){0};
}

/* Makes the span hold `bucket`, with half an octave to spare. */
static int grow(struct histogram *h, size_t bucket)
{
    size_t low = bucket > SUB / 2 ? bucket - SUB / 2 : 0, high = bucket + SUB / 2;
    if (h->span && h->first < low)
        low = h->first;
    if (h->span && h->first + h->span > high)
        high = h->first + h->span;
    uint64_t *counts = calloc(high - low, sizeof *counts);
    if (!counts)
        return -1;
    if (h->span)
        memcpy(counts + (h->first - low), h->counts, h->span * sizeof *counts);
    free(h->counts);
    h->counts = counts;
    h->first = low;
    h->span = high - low;
    return 0;
}

static inline int cover(struct histogram *h, size_t bucket)
{
    return bucket - h->first < h->span ? 0 : grow(h, bucket); /* below `first` it wraps around to a large number */
}

static void note_range(struct histogram *h, int64_t low, int64_t high)
{
    if (h->total == 0 || low < h->min)
        h->min = low;
    if (h->total == 0 || high > h->max)
        h->max = high;
}

int histogram_add(struct histogram *h, int64_t value, uint64_t count)
{
    size_t bucket = bucket_of(value);
    if (cover(h, bucket))
        return -1;
    note_range(h, value, value);
    h->counts[bucket - h->first] += count;
    h->total += count;
    return 0;
}

int histogram_add_run(struct histogram *h, uint64_t first, uint64_t growth, uint64_t n, uint64_t times)
{
    uint64_t last = first + (n - 1) * growth;
    size_t bucket = bucket_of((int64_t)(first >> FINE_BITS)), last_bucket = bucket_of((int64_t)(last >> FINE_BITS));
    if (cover(h, bucket) || cover(h, last_bucket))
        return -1;
    note_range(h, (int64_t)(first >> FINE_BITS), (int64_t)(last >> FINE_BITS));
    h->total += n * times;
    while (bucket != last_bucket) {
        uint64_t end = bucket_end(first >> FINE_BITS) << FINE_BITS, inside = (end - first + growth - 1) / growth;
        h->counts[bucket - h->first] += inside * times;
        n -= inside;
        first += inside * growth;
        bucket = bucket_of((int64_t)(first >> FINE_BITS));
    }
    h->counts[bucket - h->first] += n * times;
    return 0;
}

int histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->total == 0)
        return 0;
    if (cover(into, from->first) || cover(into, from->first + from->span - 1))
        return -1;
    for (size_t i = 0; i < from->span; i++)
        into->counts[from->first + i - into->first] += from->counts[i];
    note_range(into, from->min, from->max);
    into->total += from->total;
    return 0;
}

uint64_t quantile_rank(double q, uint64_t n)
{
    /* The product is rounded: 0.99 · 700 must not become rank 694. */
    double rank = ceil(q * (double)n * (1 - 2 * DBL_EPSILON));
    return rank < 1 ? 1 : (uint64_t)rank;
}

int64_t histogram_at_rank(const struct histogram *h, uint64_t rank)
{
    uint64_t seen = 0;
    size_t i = 0;
    if (rank <= 1 || rank >= h->total)
        return rank <= 1 ? h->min : h->max;
    while (i < h->span && (seen += h->counts[i]) < rank)
        i++;
    int64_t middle = histogram_bucket_value(h->first + i);
    return middle < h->min ? h->min : middle > h->max ? h->max : middle;
}

int64_t histogram_quantile(const struct histogram *h, double q)
{
    return histogram_at_rank(h, quantile_rank(q, h->total));
}
