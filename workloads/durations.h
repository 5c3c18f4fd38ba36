/* SPDX-License-Identifier: MIT */
/* durations.h — how long something takes that no cost model knows: a front end, a retrieval, a tool. */
#ifndef TANDEM_WORKLOADS_DURATIONS_H
#define TANDEM_WORKLOADS_DURATIONS_H

#include <gsl/gsl_rng.h>

#include "base/fields.h"
#include "base/units.h"

struct duration_distribution {
    const char *name, *summary;
    const struct param_spec *params; /* in seconds */
    double (*draw)(const struct param_set *params, gsl_rng *rng);
    double (*mean)(const struct param_set *params);
    double (*scv)(const struct param_set *params); /* variance over the square of the mean, which is above 0 */
};

/* NULL-ended. */
extern const struct duration_distribution *const duration_distributions[];

/* The one at an index; false after the last. */
bool duration_distribution_at(size_t index, struct named *out);

/* The forms of a duration. */
extern const struct field duration_forms[];

struct duration {
    const struct duration_distribution *kind;
    struct param_set params;
};

/* A number of seconds, or the name of a distribution, or an object with that and its parameters. */
int duration_read(const struct json *at, struct duration *out, struct error *err);

/* Rounded to a nanosecond; at most 1e9 s. */
sim_time duration_draw(const struct duration *d, gsl_rng *rng);

double duration_mean_s(const struct duration *d);
/* 0 where the mean is 0. */
double duration_scv(const struct duration *d);

#endif
