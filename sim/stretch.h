/* SPDX-License-Identifier: MIT */
/* stretch.h — back-to-back iterations of evenly growing duration: when each ends, and which one is under way at a
 * given time, without walking through them.
 *
 * Iteration i (from 0) lasts first + i·growth. The exact sum is kept in 1/65 536 ns and every end is rounded down
 * to a nanosecond, so that a stretch cut anywhere gives the same ends as the whole. */
#ifndef TANDEM_SIM_STRETCH_H
#define TANDEM_SIM_STRETCH_H

#include <math.h>

#include "base/units.h"

/* A stretch longer than this is made in pieces; it keeps the sums below within 64 bits. */
#define STRETCH_MAX ((uint64_t)4096)
#define STRETCH_FINE_MAX ((fine_time)1 << 49) /* the first of several iterations lasts no longer (8.6 s) */

struct stretch {
    sim_time start;
    fine_time carry; /* below a nanosecond, left over from the iteration before */
    fine_time first, growth;
    uint64_t count;
};

/* Time from the start to the end of iteration `n` − 1, carry included. */
static inline fine_time stretch_fine(const struct stretch *s, uint64_t n)
{
    return s->carry + n * s->first + (n * (n - 1) / 2) * s->growth;
}

/* When iteration n − 1 ends, which is when iteration n starts. */
static inline sim_time stretch_end(const struct stretch *s, uint64_t n)
{
    return n == 0 ? s->start : s->start + (sim_time)(stretch_fine(s, n) >> FINE_BITS);
}

/* The smallest n from 1 to count whose end is not before `at`; count when there is none. By the quadratic formula,
 * then corrected for its rounding. */
static inline uint64_t stretch_ends_by(const struct stretch *s, sim_time at)
{
    if (s->count == 1 || at <= s->start)
        return 1;
    double distance = (double)(at - s->start) * (1 << FINE_BITS), growth = (double)s->growth;
    double slope = (double)s->first - growth / 2;
    double root = 2 * distance / (slope + sqrt(slope * slope + 2 * growth * distance));
    uint64_t n = root < (double)s->count ? (uint64_t)root + 1 : s->count;
    while (n > 1 && stretch_end(s, n - 1) >= at)
        n--;
    while (n < s->count && stretch_end(s, n) < at)
        n++;
    return n;
}

/* Takes the first n < count iterations off. */
static inline void stretch_drop(struct stretch *s, uint64_t n)
{
    fine_time fine = stretch_fine(s, n);
    s->start += (sim_time)(fine >> FINE_BITS);
    s->carry = fine & ((1 << FINE_BITS) - 1);
    s->first += n * s->growth;
    s->count -= n;
}

#endif
