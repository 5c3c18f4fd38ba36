/* SPDX-License-Identifier: MIT */
/* parts.h — a run on several threads, where replicas never wait for one another: each thread has some of them, in a
 * cluster of its own with metrics of its own. What comes out is what one thread gives, bit for bit. */
#ifndef TANDEM_SIMULATION_PARTS_H
#define TANDEM_SIMULATION_PARTS_H

#include "simulation/simulation.h"

/* How many parts the run can have, at most its threads; 1: it is one. Replicas are independent where the router looks
 * at none of them, nothing is shared between them, and nobody listens to single events. */
size_t parts_of(const struct simulation *s, const struct simulation_options *o);

/* Runs it in `count` parts, into the simulation's metrics. False: something happened that one thread has to see, or
 * tell of; the metrics are of no use then, and the run is to begin anew. */
bool parts_run(struct simulation *s, const struct simulation_options *o, size_t count, struct cluster_totals *totals);

#endif
