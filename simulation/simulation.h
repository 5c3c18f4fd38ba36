/* SPDX-License-Identifier: MIT */
/* simulation.h — the one way to run a scenario: open it, run it while others listen, keep it, close it. What is run may
 * be changed in between: an engine takes the executors' place, a test sets a policy of its own.
 *
 *     struct simulation *s;
 *     if (simulation_open(root, &s, err) == 0) {
 *         if (simulation_run(s, NULL, err) == 0)
 *             … s->summary …
 *         simulation_close(s);
 *     }
 */
#ifndef TANDEM_SIMULATION_SIMULATION_H
#define TANDEM_SIMULATION_SIMULATION_H

#include "reports/stats/metrics.h"
#include "reports/store/store.h"

struct simulation {
    struct scenario scenario;
    struct run_metrics metrics; /* while it runs and afterwards */
    struct run_summary summary; /* afterwards */
    double wall_s;              /* that the run took */
};

struct simulation_options {
    const struct observer *observers; /* told next to the metrics; NULL: nobody */
    struct request_source *source;    /* requests come from here, not from the scenario's workload; NULL: from that */
    struct run_control control;       /* stops it, and is told how far it is */
    struct store *store;              /* rows that the scenario asks for are kept for it; NULL: nowhere */
    struct row_sink rows;             /* they go here where there is no store; without functions: nowhere */
    bool step;                        /* every iteration singly: the same rows */
    unsigned threads;                 /* at most so many run it; 0: one. The same comes out of any number */
    bool sustainable;                 /* the rate that formulas say can be sustained is in the summary */
};

/* Compiles the scenario, of which `root` is owned by it also on failure. Returns 0, or -1 and nothing is open. */
int simulation_open(struct json root, struct simulation **out, struct error *err);

/* The same with compiled costs that it shares with other runs, which outlive it (profiles/shared_costs.h). */
int simulation_open_with(struct json root, struct shared_costs *costs, struct simulation **out, struct error *err);

/* Replays the workload from its start, once. `o` may be NULL. A run that was stopped (summary.totals.stopped) is
 * summarised, too. */
int simulation_run(struct simulation *s, const struct simulation_options *o, struct error *err);

/* Saves what ran, with its rows, in the store that simulation_run had, or another. Returns the run's id, or -1. */
int64_t simulation_keep(const struct simulation *s, struct store *store, struct error *err);

/* `s` may be NULL. */
void simulation_close(struct simulation *s);

#endif
