/* SPDX-License-Identifier: MIT */
#include "planner/model_error.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

double model_error_factor(const struct model_error *e, double probability)
{
    return e->known ? exp(e->log.bias + e->log.spread * gsl_cdf_ugaussian_Pinv(probability)) : 1;
}

/* Share of a normal distribution within ± limit. */
static double share_within(double limit, double bias, double spread)
{
    return gsl_cdf_gaussian_P(limit - bias, spread) - gsl_cdf_gaussian_P(-limit - bias, spread);
}

struct log_error model_error_calibrated(const struct engine_accuracy *a)
{
    struct log_error e = {.bias = -log1p(fmax(-0.9, a->tpot.signed_median))};
    double n = fmax(2, (double)a->points), limit = log1p(fmax(0, a->tpot.p90)), low = 0.01, high = 3;
    while (high / low > 1 + 1e-9)
        *(share_within(limit, e.bias, sqrt(low * high)) > 0.9 ? &low : &high) = sqrt(low * high);
    e.spread = low * gsl_cdf_tdist_Pinv(0.95, n - 1) / gsl_cdf_ugaussian_Pinv(0.95) * sqrt(1 + 1 / n);
    return e;
}

static int find_error(const struct cost_model *cost, struct model_error *out, struct error *err)
{
    struct accuracy_key key;
    struct accuracy known;
    accuracy_key_of(&cost->device, &cost->engine, &cost->model, &key);
    snprintf(out->key, sizeof out->key, "%s %s %d %d %d", key.system, key.engine, key.fitted, key.experts, key.weights);
    if (cost->engine.errors.points > 0) {
        out->calibrated = true;
        out->log = model_error_calibrated(&cost->engine.errors);
        out->points = (unsigned)cost->engine.errors.points;
        snprintf(out->of, sizeof out->of, "the engine's own calibration");
        return 0;
    }
    if (accuracy_find(&key, &known, err))
        return -1;
    out->log = known.tpot;
    out->points = known.points;
    snprintf(out->of, sizeof out->of, "%s", known.of);
    return 0;
}

int model_error_add(struct model_error *e, const struct plan *p, const struct cost_model *cost, struct error *err)
{
    struct model_error own = {.known = true};
    if (p->model_confidence == 0 || cost->device.kind == DEVICE_LINEAR)
        return 0;
    if (find_error(cost, &own, err))
        return -1;
    own.factor = model_error_factor(&own, p->model_confidence);
    snprintf(own.device, sizeof own.device, "%s", cost->device_name);
    if (!e->known || own.factor > e->factor)
        *e = own;
    return 0;
}
