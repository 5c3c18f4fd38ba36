/* SPDX-License-Identifier: MIT */
/* samples.h — one metric's values along a run, summarised in fixed memory.
 *
 * Every value has a position: its request's place in the order of arrival, or the simulated time at which it was taken.
 * The run is cut into up to 1024 groups of equal width in position (the warm-up cut and the batch means work on their
 * means) and up to 32 sections, each with a histogram (for intervals of quantiles); when they are full, neighbours
 * merge and widths double. Sections have equal widths, too, or begin where samples_begin_section says. All sums are
 * whole numbers, so the result does not depend on the order in which values are added, nor on how they are lumped
 * together.
 */
#ifndef TANDEM_REPORTS_STATS_SAMPLES_H
#define TANDEM_REPORTS_STATS_SAMPLES_H

#include <stdbool.h>

#include "base/units.h"
#include "reports/stats/histogram.h"
#include "reports/stats/sections.h"

enum { GROUPS_MAX = 1024 };

struct section {
    wide_sum sum;                   /* in 1/65 536 of the values' unit */
    wide_sum squares, fine_squares; /* Σ of single values squared; of values in runs, in 2^-32 */
    struct histogram histogram;
};

struct group {
    uint64_t count;
    wide_sum sum; /* in 1/65 536 of the values' unit */
};

struct samples {
    struct group groups[GROUPS_MAX];
    struct section sections[SECTIONS_MAX];
    uint64_t group_width, section_width; /* in positions; the second is a multiple of the first, or 0: told */
    uint64_t begins[SECTIONS_MAX];       /* [begun] where sections are told: they hold the positions after these */
    size_t begun;
    uint64_t first, next; /* positions with the group and the section used last: first … next − 1 */
    struct group *group;  /* that group, and the section it is in */
    struct section *section;
    uint64_t end; /* one more than the last position */
};

/* Values that grow evenly from one to the next, each counted `times` times: first, first + growth, … in 1/65 536 of
 * the values' unit, rounded down for the histogram. */
struct sample_run {
    fine_time first, growth;
    uint64_t count, times; /* count below 2^20 */
};

enum statistic {
    STAT_MEAN,
    STAT_SD,
    STAT_MIN,
    STAT_P50,
    STAT_P90,
    STAT_P95,
    STAT_P99,
    STAT_P999,
    STAT_MAX,
    STAT_COUNT
};

extern const char *const statistic_names[STAT_COUNT];

struct estimate {
    double value, low, high; /* low and high are NAN where no interval can be had */
};

struct summary {
    uint64_t count;                 /* after the cut */
    wide_sum sum;                   /* of these, in 1/65 536 of the values' unit */
    uint64_t cut;                   /* values left out as warm-up */
    size_t sections_cut;            /* those that they are in: the first so many */
    struct estimate at[STAT_COUNT]; /* in the values' unit */
};

/* `width` of the first groups: 5 for counted values (as MSER-5 wants), some time for timed ones. */
void samples_init(struct samples *s, uint64_t width);

/* The same, with sections that begin where samples_begin_section says. */
void samples_init_sectioned(struct samples *s, uint64_t width);

/* Values at positions after this one belong to a new section; positions never go back. */
void samples_begin_section(struct samples *s, uint64_t position);

void samples_release(struct samples *s);

/* Adds a value, at least 0, `count` times. Returns 0, or -1 when memory is short. */
int samples_add(struct samples *s, uint64_t position, int64_t value, uint64_t count);

/* The same, once. */
int samples_add_one(struct samples *s, uint64_t position, int64_t value);

/* Adds a run whose values all belong to one group and section; `position` is the last one's. */
int samples_add_run(struct samples *s, uint64_t position, const struct sample_run *run);

/* Takes in all of `from`, which has been told of the same sections and is empty then: as if one had had all values. */
void samples_absorb(struct samples *into, struct samples *from);

/* The first position that belongs to a later group or section than `position`. Lack of memory shows at the next
 * addition. */
uint64_t samples_group_end(struct samples *s, uint64_t position);

/* Position to cut at, by MSER-5 (White, Cobb, Spratt 2000): the cut that minimises the squared standard error of
 * the mean of what is left, searched over the first half. */
uint64_t samples_mser5(const struct samples *s);

/* Half-width of the confidence interval of the mean, by batch means: the largest number of batches, from 32
 * down to 8, whose lag-1 autocorrelation is not significant; Student t. NAN for too few values. */
double samples_mean_half_width(const struct samples *s, uint64_t cut, double confidence);

/* Of the values after the cut, as below; NAN: there are none. */
double samples_mean(const struct samples *s, uint64_t cut);

/* Everything after the cut, and of the whole run (NULL: not asked for), with 95 % intervals: batch means for the mean,
 * sectioning for quantiles. The cut is a position and is rounded up to whole sections. Returns 0, or -1 when memory is
 * short. */
int samples_summarise(const struct samples *s, uint64_t cut, struct summary *after, struct summary *whole);

/* The histogram of all values after the cut; the caller's to release. Returns 0, or -1 when memory is short. */
int samples_histogram(const struct samples *s, uint64_t cut, struct histogram *out);

#endif
