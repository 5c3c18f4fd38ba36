/* SPDX-License-Identifier: MIT */
/* samples.h — one metric's values in the order they came, summarised in fixed memory.
 *
 * Values go into up to 32 consecutive sections of equal count, each with moments and a histogram;
 * when they are full, neighbours merge. Beside them runs a finer series of group means (groups of 5
 * at first, at most 1024) for the warm-up cut and the batch means. */
#ifndef TANDEM_REPORTS_SAMPLES_H
#define TANDEM_REPORTS_SAMPLES_H

#include <stdbool.h>

#include "reports/histogram.h"

enum { SECTIONS_MAX = 32, GROUPS_MAX = 1024 };

struct section {
    uint64_t count;
    double sum, sum_of_squares;
    int64_t min, max;
    struct histogram histogram;
};

struct samples {
    struct section sections[SECTIONS_MAX];
    size_t section_count;
    uint64_t section_size;
    double groups[GROUPS_MAX]; /* means of complete groups */
    size_t group_count;
    uint64_t group_size, group_filled;
    double group_sum;
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
    uint64_t cut;                   /* values left out as warm-up */
    struct estimate at[STAT_COUNT]; /* in the values' unit */
};

void samples_init(struct samples *s);
void samples_release(struct samples *s);

/* Returns 0, or -1 when memory is short. */
int samples_add(struct samples *s, int64_t value, uint64_t count);

/* Values to cut by MSER-5 (White, Cobb, Spratt 2000): the cut that minimises the squared standard error of
 * the mean of what is left, searched over the first half. */
uint64_t samples_mser5(const struct samples *s);

/* Half-width of the confidence interval of the mean, by batch means: the largest number of batches, from 32
 * down to 8, whose lag-1 autocorrelation is not significant; Student t. NAN for too few values. */
double samples_mean_half_width(const struct samples *s, uint64_t cut, double confidence);

/* Everything, with 95 % intervals: batch means for the mean, sectioning for quantiles. The cut is
 * rounded up to whole sections. Returns 0, or -1 when memory is short. */
int samples_summarise(const struct samples *s, uint64_t cut, struct summary *out);

#endif
