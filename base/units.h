/* SPDX-License-Identifier: MIT */
/* units.h — simulated time. A type of its own, so that it is not mistaken for seconds. */
#ifndef TANDEM_BASE_UNITS_H
#define TANDEM_BASE_UNITS_H

#include <stdint.h>

typedef int64_t sim_time; /* nanoseconds since the run's start */

#define SIM_TIME_NEVER INT64_MAX

static inline double sim_time_to_s(sim_time t)
{
    return (double)t * 1e-9;
}

/* Rounds to the nearest nanosecond; the caller has checked that |seconds| < 9.2e9. */
static inline sim_time sim_time_from_s(double seconds)
{
    return (sim_time)(seconds * 1e9 + (seconds < 0 ? -0.5 : 0.5));
}

#endif
