/* SPDX-License-Identifier: MIT */
/* calibrate_parts.h — what a calibration compares: parts of what was measured, and simulations of them. */
#ifndef TANDEM_VALIDATION_CALIBRATE_PARTS_H
#define TANDEM_VALIDATION_CALIBRATE_PARTS_H

#include "validation/calibrate.h"
#include "validation/level_run.h"

typedef double part_statistics[MEASURED_METRICS][MEASURED_STATISTICS];

struct part_runs {
    const struct levels *levels;
    const struct calibration_wishes *wishes;
    struct level_runs runs;
    cJSON *base; /* owned */
    struct calibration *out;
};

/* Cuts what was measured into out->parts, and says which are fitted. */
int parts_make(const struct levels *levels, size_t fit, struct calibration *out, struct error *err);

/* Statistics of every part, or of the fitted ones alone, at values of the parameters: means over `seeds` runs, of which
 * the first has the level's seed and `later`. */
int parts_simulate(struct part_runs *p, const double values[CALIBRATED], uint64_t later, size_t seeds, bool all,
                   part_statistics *out, struct error *err);

/* Whether a part's metric is compared: TTFT and TPOT where they are known, E2E where TTFT is not. */
bool part_compares(const struct calibration_part *part, int metric);

#endif
