/* SPDX-License-Identifier: MIT */
#include "reports/stats/histogram.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { SUB_BITS = 9, SUB = HISTOGRAM_PAGE, ROW = HISTOGRAM_ROW }; /* buckets of an octave, and of a row */

_Static_assert(SUB == 1 << SUB_BITS, "an octave is a page");
_Static_assert(SUB == 64 * ROW && ROW == 8, "a row is a bit");

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

/* The position of the lowest bit; v is not 0. */
static unsigned lowest_bit(uint64_t v)
{
    return (unsigned)__builtin_ctzll(v);
}

static bool page_is_missing(struct histogram *h, size_t page)
{
    if (h->pages[page])
        return false;
    struct histogram_page *made = malloc(sizeof *made);
    if (!made)
        return true;
    made->used = 0;
    h->pages[page] = made;
    return false;
}

static void clear_row(struct histogram_page *page, size_t row)
{
    page->used |= (uint64_t)1 << row;
    for (size_t i = 0; i < ROW; i++)
        page->counts[row * ROW + i] = 0;
}

/* The count of a bucket, whose page is there; 0 until its row is used. */
static inline uint64_t *count_of(struct histogram *h, size_t bucket)
{
    struct histogram_page *page = h->pages[bucket / SUB];
    if (!(page->used >> bucket / ROW % 64 & 1))
        clear_row(page, bucket / ROW % 64);
    return &page->counts[bucket % SUB];
}

static inline void note_range(struct histogram *h, int64_t low, int64_t high)
{
    bool first = h->total == 0;
    if (low < h->min || first)
        h->min = low;
    if (high > h->max || first)
        h->max = high;
}

int histogram_add(struct histogram *h, int64_t value, uint64_t count)
{
    size_t bucket = bucket_of(value);
    if (page_is_missing(h, bucket / SUB))
        return -1;
    note_range(h, value, value);
    *count_of(h, bucket) += count;
    h->total += count;
    return 0;
}

int histogram_add_run(struct histogram *h, uint64_t first, uint64_t growth, uint64_t n, uint64_t times)
{
    int64_t low = (int64_t)(first >> FINE_BITS), high = (int64_t)((first + (n - 1) * growth) >> FINE_BITS);
    size_t bucket = bucket_of(low), last_bucket = high == low ? bucket : bucket_of(high);
    if (page_is_missing(h, bucket / SUB))
        return -1;
    for (size_t i = bucket / SUB + 1; i <= last_bucket / SUB; i++)
        if (page_is_missing(h, i))
            return -1;
    note_range(h, low, high);
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

static inline void add_row(uint64_t *restrict into, const uint64_t *restrict from)
{
    for (size_t i = 0; i < ROW; i++)
        into[i] += from[i];
}

static void merge_page(struct histogram_page *into, const struct histogram_page *from)
{
    for (uint64_t left = from->used; left; left &= left - 1) {
        size_t row = lowest_bit(left), at = row * ROW;
        if (into->used >> row & 1)
            add_row(&into->counts[at], &from->counts[at]);
        else
            memcpy(&into->counts[at], &from->counts[at], ROW * sizeof *into->counts);
    }
    into->used |= from->used;
}

int histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->total == 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_PAGES; i++)
        if (from->pages[i] && page_is_missing(into, i))
            return -1;
    for (size_t i = 0; i < HISTOGRAM_PAGES; i++)
        if (from->pages[i])
            merge_page(into->pages[i], from->pages[i]);
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
        struct histogram_page *page = from->pages[i];
        if (!page)
            continue;
        if (!into->pages[i]) {
            into->pages[i] = page;
            continue;
        }
        merge_page(into->pages[i], page);
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

/* A walk over the rows that hold counts: the current row, and how many values stand before it. */
struct walk {
    const struct histogram *h;
    size_t page;
    uint64_t rows; /* of the page: this one and those after it */
    uint64_t seen;
};

static struct walk walk_from_start(const struct histogram *h)
{
    return (struct walk){.h = h, .rows = h->pages[0] ? h->pages[0]->used : 0};
}

/* The counts of the current row, the next one that is used; NULL after the last one. */
static const uint64_t *row_at(struct walk *w)
{
    while (w->rows == 0) {
        if (++w->page >= HISTOGRAM_PAGES)
            return NULL;
        w->rows = w->h->pages[w->page] ? w->h->pages[w->page]->used : 0;
    }
    return &w->h->pages[w->page]->counts[lowest_bit(w->rows) * ROW];
}

/* The bucket that holds the value of a rank, at least that of the call before; HISTOGRAM_BUCKETS: none does. */
static size_t walk_to(struct walk *w, uint64_t rank)
{
    for (const uint64_t *row; (row = row_at(w)); w->rows &= w->rows - 1) {
        uint64_t inside = row[0] + row[1] + row[2] + row[3] + row[4] + row[5] + row[6] + row[7];
        if (w->seen + inside < rank) {
            w->seen += inside;
            continue;
        }
        size_t bucket = w->page * SUB + lowest_bit(w->rows) * ROW;
        for (uint64_t seen = w->seen; (seen += *row) < rank; row++)
            bucket++;
        return bucket;
    }
    return HISTOGRAM_BUCKETS;
}

static int64_t value_of_rank(struct walk *w, uint64_t rank)
{
    const struct histogram *h = w->h;
    if (rank <= 1 || rank >= h->total)
        return rank <= 1 ? h->min : h->max;
    size_t bucket = walk_to(w, rank);
    if (bucket == HISTOGRAM_BUCKETS)
        return h->max;
    int64_t middle = histogram_bucket_value(bucket);
    return middle < h->min ? h->min : middle > h->max ? h->max : middle;
}

int64_t histogram_at_rank(const struct histogram *h, uint64_t rank)
{
    struct walk w = walk_from_start(h);
    return value_of_rank(&w, rank);
}

void histogram_quantiles(const struct histogram *h, const double *q, size_t count, int64_t *out)
{
    struct walk w = walk_from_start(h);
    for (size_t i = 0; i < count; i++)
        out[i] = value_of_rank(&w, quantile_rank(q[i], h->total));
}

int64_t histogram_quantile(const struct histogram *h, double q)
{
    return histogram_at_rank(h, quantile_rank(q, h->total));
}
