/* SPDX-License-Identifier: MIT */
/* units.h — simulated time, in two types of its own so that it is not mistaken for seconds. */
#ifndef TANDEM_BASE_UNITS_H
#define TANDEM_BASE_UNITS_H

#include <stdint.h>

typedef int64_t sim_time; /* nanoseconds since the run's start */

#define SIM_TIME_NEVER INT64_MAX

/* How long an iteration takes, in 1/65 536 ns. Whole numbers, so that the sum of many does not depend on how
 * they are grouped; what is left below a nanosecond is carried to the next iteration. */
typedef uint64_t fine_time;

enum { FINE_BITS = 16 };

#define FINE_LONGEST ((fine_time)1 << 62) /* 19 hours: no iteration lasts longer */

/* Sums of products that 64 bits cannot hold (times of times, blocks times nanoseconds over a whole run). */
__extension__ typedef unsigned __int128 wide_sum;

static inline double sim_time_to_s(sim_time t)
{
    return (double)t * 1e-9;
}

/* Rounds to the nearest nanosecond; the caller has checked that |seconds| < 9.2e9. */
static inline sim_time sim_time_from_s(double seconds)
{
    return (sim_time)(seconds * 1e9 + (seconds < 0 ? -0.5 : 0.5));
}

/* Rounds nanoseconds, at least 0, and clips them to FINE_LONGEST. */
static inline fine_time fine_from_ns(double ns)
{
    double fine = ns * (1 << FINE_BITS) + 0.5;
    return fine < (double)FINE_LONGEST ? (fine_time)fine : FINE_LONGEST;
}

static inline double fine_to_ns(wide_sum fine)
{
    return (double)fine / (1 << FINE_BITS);
}

#endif
