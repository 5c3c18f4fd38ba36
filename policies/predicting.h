/* SPDX-License-Identifier: MIT */
/* predicting.h — predicts a request's output length when it arrives. The noise has a random stream of its own, so that
 * every policy sees the same predictions. */
#ifndef TANDEM_POLICIES_PREDICTING_H
#define TANDEM_POLICIES_PREDICTING_H

#include <gsl/gsl_rng.h>

#include "base/param.h"
#include "workloads/request.h"

struct predictor {
    const char *name, *summary, *source;
    const struct param_spec *params;
    /* Tokens; adds to *server_s what it takes where the request is served. */
    double (*predict)(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s);
};

extern const struct predictor *const predictors[]; /* NULL-ended; those that are built in */
const struct predictor *predictor_find(const char *name);

#endif
