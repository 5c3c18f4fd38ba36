/* SPDX-License-Identifier: MIT */
/* calibrate.h — a few physical parameters of a server, fitted to a part of what was measured of it, judged by the rest.
 *
 * The model is the simulator itself. What is fitted is the logarithm of simulated over measured latencies: of TTFT and
 * TPOT (of E2E where no first tokens were measured), each as mean, p50, p90, p95 and p99 as far as they are known. The
 * statistics of one metric at one load count as one observation together. An observation's variance is that of chance,
 * found by simulating with other seeds, and that of the model's own error, found from the residuals; far residuals
 * count for less (Huber). Parameters begin at what the scenario says, and are held there as by one observation of their
 * own (CALIBRATION_* in calibrate.c), so that few levels move them little where they say little. Levenberg and
 * Marquardt's method (GSL's multifit) with common random numbers; intervals are those of its linear approximation, by
 * Student's t.
 *
 * A measured run of one level whose requests are known is cut into stretches of its requests by arrival, which take the
 * place of levels. */
#ifndef TANDEM_VALIDATION_CALIBRATE_H
#define TANDEM_VALIDATION_CALIBRATE_H

#include "profiles/engine.h"
#include "validation/levels.h"

enum calibrated_parameter { KERNEL_FACTOR, EXPOSED_NS, EXPOSED_NS_PER_SEQUENCE, FRONT_END_S, CALIBRATED };

/* As an engine file names them; the last is the service_s of a delay pool. */
extern const char *const calibrated_names[CALIBRATED];

/* The delay pool of the front end's latency, where requests come first. */
#define CALIBRATED_POOL "latency"

struct calibration_wishes {
    bool fitted[CALIBRATED];
    size_t fit;       /* levels to fit, spread over the loads; 0: half of them, at least one */
    size_t seeds;     /* runs of a level, with seeds one after another; their statistics are averaged */
    double share;     /* 0.95: of intervals */
    unsigned threads; /* that simulate */
};

struct calibrated {
    bool fitted;
    double before, value, low, high;
};

struct calibration_part {
    size_t level, first, count; /* requests of the level; count 0: all */
    char name[LEVEL_NAME + 32];
    bool fitted;
    double measured[MEASURED_METRICS][MEASURED_STATISTICS]; /* in seconds; NAN: not known */
    double before[MEASURED_METRICS][MEASURED_STATISTICS], after[MEASURED_METRICS][MEASURED_STATISTICS];
};

struct calibration {
    struct calibrated parameters[CALIBRATED];
    struct calibration_part *parts; /* [count]; owned */
    size_t count, fitted;
    struct engine_accuracy before, after;         /* on the parts that were not fitted */
    struct engine_accuracy fit_before, fit_after; /* on those that were */
    size_t runs;                                  /* simulations that it took */
    cJSON *scenario;                              /* the base with what was found; owned */
};

/* `scenario` is what serves the levels, and stays the caller's; its workload does not matter. Release with
 * calibration_release, also on failure. */
int calibrate(const struct levels *levels, const cJSON *scenario, const struct calibration_wishes *wishes,
              struct calibration *out, struct error *err);
void calibration_release(struct calibration *c);

/* A scenario in which the parameters can be set (calibrate_scenario.c): its engine is an object, and requests of closed
 * loops come to it as those of operating points do. *before holds what it says of them. The caller owns *out. */
int calibration_base(const struct levels *levels, const cJSON *scenario, const bool fitted[CALIBRATED], cJSON **out,
                     double before[CALIBRATED], struct error *err);
/* Sets the fitted ones in such a scenario. */
int calibration_set(cJSON *base, const bool fitted[CALIBRATED], const double values[CALIBRATED], struct error *err);

/* The engine file of a calibration: the scenario's engine, whole, with what was found, its intervals and errors, and
 * `source`. The caller owns *out. */
int calibration_engine(const struct calibration *c, const char *source, cJSON **out, struct error *err);

/* Signed median, median and 90th percentile of simulated / measured − 1 of means (or medians, where those are all there
 * is) over parts that are fitted, or that are not; `after` says which simulation. */
int calibration_errors(const struct calibration *c, bool fitted, bool after, struct engine_accuracy *out,
                       struct error *err);

#endif
