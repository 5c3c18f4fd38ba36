/* SPDX-License-Identifier: MIT */
/* inference.h — what replications say: means with intervals, paired differences, and which of several is best. */
#ifndef TANDEM_REPORTS_STATS_INFERENCE_H
#define TANDEM_REPORTS_STATS_INFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "reports/stats/samples.h"

/* Mean of n independent values with its two-sided interval (Student t); no interval for fewer than two. */
struct estimate inference_mean(const double *values, size_t n, double confidence);

/* Mean of a − b, pair by pair: replications under common random numbers. */
struct estimate inference_paired(const double *a, const double *b, size_t n, double confidence);

/* Whether the mean of n independent values is above 0 (1) or below (−1), at a two-sided confidence; 0 where that is not
 * clear. From 8 values on by Johnson's t for skewed values (Johnson 1978, equation 2.5), below by Student's. Values
 * that are not finite count as far off on their side. */
int inference_sign(const double *values, size_t n, double confidence);

/* Half of the interval over the mean; INFINITY where either is not to be had. */
double inference_relative_half_width(struct estimate e);

/* Which of several has the greatest mean: the fully sequential procedure of Kim and Nelson 2001 ("KN", figure 1, with
 * c = 1). With the stated probability the last one left is the best, when the best is ahead of all others by the
 * indifference zone; else it is one of those within it. Values may be correlated across alternatives (common random
 * numbers) but must be independent across replications. */
struct selection;

/* `first` replications, at least 2, of each of `count` alternatives are looked at before any is left out. NULL when
 * memory is short. */
struct selection *selection_create(size_t count, size_t first, double indifference, double probability);
void selection_destroy(struct selection *s);

/* Adds one replication: values[i] of alternative i; those already left out are not read. */
void selection_add(struct selection *s, const double *values);

bool selection_holds(const struct selection *s, size_t alternative); /* not left out yet */
size_t selection_left(const struct selection *s);                    /* how many */
size_t selection_replications(const struct selection *s);

#endif
