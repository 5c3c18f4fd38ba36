/* SPDX-License-Identifier: MIT */
/* predictor.h — what a predictor (policies/predicting.h) predicts, as requests have it. Orders see this and never the
 * truth. */
#ifndef TANDEM_SIM_PREDICTOR_H
#define TANDEM_SIM_PREDICTOR_H

#include "policies/predicting.h"

/* Whether predictions take time where requests are served. */
bool predictor_takes_time(const struct param_set *params);

/* Sets predicted_tokens and prediction: rounded, at least 1, at most the request's longest output. */
void predictor_apply(const struct predictor *p, const struct param_set *params, struct request *r, gsl_rng *rng);

#endif
