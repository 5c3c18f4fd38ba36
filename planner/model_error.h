/* SPDX-License-Identifier: MIT */
/* model_error.h — what is known of the cost model's error for a family: from the engine's own calibration where it has
 * one, else from measured servers like it (profiles/accuracy.h). A stated line of times (DEVICE_LINEAR) has none. */
#ifndef TANDEM_PLANNER_MODEL_ERROR_H
#define TANDEM_PLANNER_MODEL_ERROR_H

#include "planner/plan.h"

/* Takes a pool's cost model into account: of several, the one whose kernels may take the most counts. */
int model_error_add(struct model_error *e, const struct plan *p, const struct cost_model *cost, struct error *err);

/* Of a calibrated engine: ln(measured / simulated) of TPOT over the loads that it was not fitted to. Nine in ten
 * absolute errors are below p90: the spread is that of the normal distribution around the median of which this is so,
 * at least 1 %, wider where the points were few, as Student's interval for one more is. */
struct log_error model_error_calibrated(const struct engine_accuracy *a);

#endif
