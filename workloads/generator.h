/* SPDX-License-Identifier: MIT */
/* generator.h — arrival processes and length distributions.
 *
 * Each has its own random stream, so that changing one leaves the others' numbers as they were. */
#ifndef TANDEM_WORKLOADS_GENERATOR_H
#define TANDEM_WORKLOADS_GENERATOR_H

#include <gsl/gsl_rng.h>

#include "base/fields.h"
#include "workloads/source.h"

struct arrival_process {
    const char *name, *summary;
    const struct param_spec *params;
    /* Seconds from an arrival at `now_s` to the next one. */
    double (*gap_s)(const struct param_set *params, double now_s, gsl_rng *rng);
    /* Closed loop: so many clients (the first parameter), each with its next request some time (the second, in
     * seconds) after its last one has finished. gap_s is NULL then. */
    bool closed;
};

struct length_distribution {
    const char *name, *summary;
    const struct param_spec *params;
    /* A token count before rounding and clipping to at least 1; NULL for "empirical", which replays pairs. */
    double (*draw)(const struct param_set *params, gsl_rng *rng);
    bool (*ordered)(const struct param_set *params); /* whether "min" is not above "max"; NULL where it has not both */
};

/* NULL-ended. */
extern const struct arrival_process *const arrival_processes[];
extern const struct length_distribution *const length_distributions[];

/* The one at an index; false after the last. */
bool arrival_process_at(size_t index, struct named *out);
bool length_distribution_at(size_t index, struct named *out);

/* The forms of "lengths". */
extern const struct field length_forms[];

/* A generated workload of so many requests: "arrivals" and "lengths" of a scenario's workload object. */
int generator_create(const struct json *workload, uint64_t requests, uint64_t seed, struct request_source *out,
                     struct error *err);

#endif
