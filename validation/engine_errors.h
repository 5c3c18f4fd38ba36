/* SPDX-License-Identifier: MIT */
/* engine_errors.h — what a validation of the engine comes to: errors of the simulation over its repeats, each a mean
 * with its 95 % interval (Student's t), which one repeat has not (NAN). Errors are shares, not percent. */
#ifndef TANDEM_VALIDATION_ENGINE_ERRORS_H
#define TANDEM_VALIDATION_ENGINE_ERRORS_H

#include "validation/findings.h"

/* Errors of one policy: simulated / measured − 1. */
struct engine_errors {
    struct estimate throughput; /* of requests a second */
    struct estimate latencies[MEASURED_METRICS][MEASURED_STATISTICS];
    double mean_absolute; /* of the 15 statistics, averaged over the repeats */
};

/* `found` [repeats], at most ENGINE_REPEATS. */
struct engine_errors engine_errors_of(const struct finding *found, size_t repeats);

/* Iterations of one kind that were served, priced by the profile of their repeat. */
struct priced_errors {
    double count;
    double taken_s, said_s; /* by one iteration on average, measured and by the profile */
    double error;           /* of the sum: said / taken − 1 */
    double mean, spread;    /* and standard deviation of single iterations' errors */
};

/* Adds those of all repeats, `found` [repeats]. */
void engine_priced_add(struct priced *all, const struct finding *found, size_t repeats, enum priced_kind kind);

/* Where there was no iteration, only count is set, to 0. */
struct priced_errors engine_priced_sum(const struct priced *all);

/* By how much one policy is better than another, which is what a planner acts on. */
struct engine_ratio {
    double measured_e2e, simulated_e2e;    /* mean E2E over the other's, averaged over the repeats */
    struct estimate e2e_error, rate_error; /* of that ratio, and of the ratio of requests a second */
};

/* `found` and `base` [repeats], at most ENGINE_REPEATS: of a policy, and of the one that it is held against. */
struct engine_ratio engine_ratio_of(const struct finding *found, const struct finding *base, size_t repeats);

#endif
