/* SPDX-License-Identifier: MIT */
#include "reports/stats/histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { SUB_BITS = 9, SUB = HISTOGRAM_PAGE }; /* buckets of an octave */

_Static_assert(SUB == 1 << SUB_BITS, "an octave is a page");

/* The position of the highest bit; v is not 0. The builtin is what gcc and clang have for an instruction that C17
 * has no name for. */
static unsigned highest_bit(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

static inline size_t bucket_of(int64_t value)
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

size_t histogram_bucket(int64_t value)
{
    return bucket_of(value);
}

void histogram_release(struct histogram *h)
{
    for (size_t i = 0; i < HISTOGRAM_PAGES; i++)
        free(h->pages[i]);
    *h = (struct histogram){0};
}

/* The count of a bucket, whose page is made where it is missing; NULL when memory is short. */
static inline uint64_t *count_of(struct histogram *h, size_t bucket)
{
    uint64_t **page = &h->pages[bucket / SUB];
    if (!*page && !(*page = calloc(SUB, sizeof **page)))
        return NULL;
    return *page + bucket % SUB;
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
    uint64_t *at = count_of(h, bucket_of(value));
    if (!at)
        return -1;
    note_range(h, value, value);
    *at += count;
    h->total += count;
    return 0;
}

int histogram_add_run(struct histogram *h, uint64_t first, uint64_t growth, uint64_t n, uint64_t times)
{
    uint64_t last = first + (n - 1) * growth;
    size_t bucket = bucket_of((int64_t)(first >> FINE_BITS)), last_bucket = bucket_of((int64_t)(last >> FINE_BITS));
    for (size_t i = bucket / SUB; i <= last_bucket / SUB; i++)
        if (!count_of(h, i * SUB))
            return -1;
    note_range(h, (int64_t)(first >> FINE_BITS), (int64_t)(last >> FINE_BITS));
    h->total += n * times;
    while (bucket != last_bucket) {
        uint64_t end = bucket_end(first >> FINE_BITS) << FINE_BITS, inside = (end - first + growth - 1) / growth;
        *count_of(h, bucket) += inside * times;
        n -= inside;
        first += inside * growth;
        bucket = bucket_of((int64_t)(first >> FINE_BITS));
    }
    *count_of(h, bucket) += n * times;
    return 0;
}

int histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->total == 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_PAGES; i++)
        if (from->pages[i] && !count_of(into, i * SUB))
            return -1;
    for (size_t i = 0; i < HISTOGRAM_PAGES; i++)
        for (size_t k = 0; from->pages[i] && k < SUB; k++)
            into->pages[i][k] += from->pages[i][k];
    note_range(into, from->min, from->max);
    into->total += from->total;
    return 0;
}

void histogram_absorb(struct histogram *into, struct histogram *from)
{
    if (from->total > 0)
        note_range(into, from->min, from->max);
    into->total += from->total;
    for (size_t i = 0; i < HISTOGRAM_PAGES; i++) {
        uint64_t *page = from->pages[i];
        if (!into->pages[i]) {
            into->pages[i] = page;
            continue;
        }
        for (size_t k = 0; page && k < SUB; k++)
            into->pages[i][k] += page[k];
        free(page);
    }
    *from = (struct histogram){0};
}

uint64_t quantile_rank(double q, uint64_t n)
{
    /* The product is rounded: 0.99 · 700 must not become rank 694. */
    double rank = ceil(q * (double)n * (1 - 2 * DBL_EPSILON));
    return rank < 1 ? 1 : (uint64_t)rank;
}

static uint64_t sum_counts(const uint64_t *counts, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += counts[i];
    return sum;
}

/* The bucket in which a rank lies, HISTOGRAM_BUCKETS where all counts are less: whole octaves are passed, then pieces
 * of one. */
static size_t bucket_of_rank(const struct histogram *h, uint64_t rank)
{
    enum { PIECE = 32 };
    for (size_t p = 0; p < HISTOGRAM_PAGES; p++) {
        const uint64_t *page = h->pages[p];
        uint64_t here = page ? sum_counts(page, SUB) : 0;
        if (here < rank) {
            rank -= here;
            continue;
        }
        size_t i = 0;
        for (uint64_t piece; (piece = sum_counts(page + i, PIECE)) < rank; i += PIECE)
            rank -= piece;
        for (; page[i] < rank; i++)
            rank -= page[i];
        return p * SUB + i;
    }
    return HISTOGRAM_BUCKETS;
}

int64_t histogram_at_rank(const struct histogram *h, uint64_t rank)
{
    if (rank <= 1 || rank >= h->total)
        return rank <= 1 ? h->min : h->max;
    size_t i = bucket_of_rank(h, rank);
    if (i == HISTOGRAM_BUCKETS)
        return h->max;
    int64_t middle = histogram_bucket_value(i);
    return middle < h->min ? h->min : middle > h->max ? h->max : middle;
}

int64_t histogram_quantile(const struct histogram *h, double q)
{
    return histogram_at_rank(h, quantile_rank(q, h->total));
}
