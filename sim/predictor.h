/* SPDX-License-Identifier: MIT */
/* predictor.h — what is foretold of a request's output length when it arrives. Orders see this and never the truth; the
 * noise has a random stream of its own, so that every policy sees the same predictions. */
#ifndef TANDEM_SIM_PREDICTOR_H
#define TANDEM_SIM_PREDICTOR_H

#include <gsl/gsl_rng.h>

#include "base/param.h"
#include "workloads/request.h"

struct predictor {
    const char *name, *summary, *source;
    const struct param_spec *params;
    /* Tokens; adds to *server_s what it takes where the request is served. */
    double (*predict)(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s);
};

extern const struct predictor *const predictors[]; /* NULL-ended */
const struct predictor *predictor_find(const char *name);

/* The name of the one at an index, NULL after the last, for json_complain_of_name; `names` is not looked at. */
const char *predictor_name(const void *names, size_t index);

/* Whether predictions take time where requests are served. */
bool predictor_takes_time(const struct param_set *params);

/* Sets predicted_tokens and prediction: rounded, at least 1, at most the request's longest output. */
void predictor_apply(const struct predictor *p, const struct param_set *params, struct request *r, gsl_rng *rng);

#endif
