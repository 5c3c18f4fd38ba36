/* SPDX-License-Identifier: MIT */
/* alone.h — a run's idealised runtime: the same requests on the same configuration, one after another, so that none
 * meets another (Narayanan et al. 2023, arXiv 2305.02440). What a request takes more in the run is contention. */
#ifndef TANDEM_SIMULATION_ALONE_H
#define TANDEM_SIMULATION_ALONE_H

#include "simulation/simulation.h"

/* Fails on replicas that fail, start or stop, whose times are those of the run. */
int simulation_alone_check(const struct simulation *s, struct error *err);

/* Runs the scenario of `s`, which has run, once more, and fills summary.alone; everything but the arrivals stays as it
 * was, prefixes that are found in the KV pool too. It stays empty when it was stopped. */
int simulation_alone(struct simulation *s, const volatile sig_atomic_t *stop, struct error *err);

/* The run's mean E2E over that by themselves, both of all requests that finished. */
double simulation_contention(const struct simulation *s);

#endif
