/* SPDX-License-Identifier: MIT */
/* engine_cell.h — one policy at one load, served by the engine and simulated from a profile: latencies on both sides,
 * every served batch priced by the profile, the served iterations replayed, and what drift alone is worth. */
#ifndef TANDEM_VALIDATION_ENGINE_CELL_H
#define TANDEM_VALIDATION_ENGINE_CELL_H

#include "engine_ref/server.h"
#include "simulation/simulation.h"
#include "validation/drift.h"
#include "validation/engine.h"

struct engine_cell {
    const struct json *scenario; /* stays the caller's, as all that is pointed to */
    const struct engine_policy *policy;
    const char *profile;
    double rate_per_s; /* CELL_OWN_ARRIVALS: the scenario's arrivals */
    size_t requests;   /* 0: as many as the scenario has */
    struct server_options server;
    const volatile sig_atomic_t *stop;
};

#define CELL_OWN_ARRIVALS 0.0
#define CELL_AT_ONCE 1e6 /* requests a second: all are there before the first iteration ends */

/* The cell's scenario on a device, by name or path; NULL: the scenario's own. */
int cell_open(const struct engine_cell *c, const char *device, struct simulation **out, struct error *err);

/* What the profile predicts, without an engine. `drift` may be NULL. *busy_s is the sum of all iterations. */
int cell_simulate(const struct engine_cell *c, const struct drift *drift, struct latencies *out,
                  struct run_summary *summary, double *busy_s, struct error *err);

/* Serves it, and fills all of the finding; latencies are added to *measured and *simulated and compared. */
int cell_find(const struct engine_cell *c, struct finding *f, struct latencies *measured, struct latencies *simulated,
              struct error *err);

#endif
