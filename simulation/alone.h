/* SPDX-License-Identifier: MIT */
/* alone.h — a run's idealised runtime: the same requests on the same configuration, one after another, so that none
 * meets another (Narayanan et al. 2023, arXiv 2305.02440). What a request takes more in the run is contention. */
#ifndef TANDEM_SIMULATION_ALONE_H
#define TANDEM_SIMULATION_ALONE_H

#include "simulation/simulation.h"

struct alone {
    struct summary e2e; /* nanoseconds, of every request that finished by itself */
    double contention;  /* the run's mean E2E over that, both of all requests that finished */
};

/* Runs the scenario of `s`, which has run, once more; everything but the arrivals stays as it was, prefixes that are
 * found in the KV pool too. Fails on replicas that fail, start or stop, whose times are those of the run. */
int simulation_alone(const struct simulation *s, const volatile sig_atomic_t *stop, struct alone *out,
                     struct error *err);

/* Keeps it with a run, as rows of the metric ideal_e2e_s. */
int alone_keep(const struct alone *a, struct store *store, int64_t run_id, struct error *err);

#endif
