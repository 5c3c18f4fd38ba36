/* SPDX-License-Identifier: MIT */
/* population.h — who sends a workload's requests, where it does not say so itself: priorities, clients and common
 * prefixes, each drawn from a random stream of its own. */
#ifndef TANDEM_WORKLOADS_POPULATION_H
#define TANDEM_WORKLOADS_POPULATION_H

#include "base/fields.h"
#include "workloads/source.h"

struct population;

/* "priorities", "clients" and "prefixes". */
extern const struct field population_fields[];

/* Of a scenario's workload object: its "priorities", "clients" and "prefixes". *out is NULL where it has none. Destroy
 * with population_destroy. */
int population_create(const struct json *workload, uint64_t seed, struct population **out, struct error *err);
void population_destroy(struct population *p);

/* Says who sends an arrival; a common prefix is put before its prompt. */
void population_apply(struct population *p, struct arrival *a);

#endif
