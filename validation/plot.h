/* SPDX-License-Identifier: MIT */
/* plot.h — a comparison with measurements as an HTML page. */
#ifndef TANDEM_VALIDATION_PLOT_H
#define TANDEM_VALIDATION_PLOT_H

#include "validation/engine.h"
#include "validation/measured.h"
#include "validation/points.h"

/* Cumulative distributions of TTFT, TPOT and E2E, measured and simulated, and the table of statistics. The latencies
 * must have been compared (they are sorted then). Written atomically. */
int plot_server(const char *file, const char *title, const struct latencies *measured,
                const struct latencies *simulated, const struct comparison *comparison, struct error *err);

/* One run of several on a page. */
struct plotted {
    const char *name;
    const struct latencies *measured, *simulated; /* compared */
    const struct comparison *comparison;
};

int plot_servers(const char *file, const char *title, const struct plotted *runs, size_t count, struct error *err);

/* What the engine took and was simulated to take in the last repeat, policy by policy and load by load; served
 * iterations by kind next to their prices; the reference steps by the second. */
int plot_engine(const char *file, const struct engine_validation *v, struct error *err);

/* Simulated against measured TPOT and TTFT of the simulated points, a colour for each engine. */
int plot_points(const char *file, const char *title, const struct points *points, struct error *err);

#endif
