/* SPDX-License-Identifier: MIT */
/* points.h — simulated closed loops beside measured operating points.
 *
 * A CSV file with a header names, for each point, the model, system, engine, precision, input and output length,
 * concurrency and parallelism, and the measured mean TTFT and TPOT (AIConfigurator's silicon samples). Columns used:
 * id, silicon_data_source, backend, model_path, system, mode, isl, osl, gemm_quant_mode, batch_size, tp_size, pp_size,
 * attention_dp_size, moe_tp_size, moe_ep_size, silicon_ttft_ms, silicon_tpot_ms; others are ignored. */
#ifndef TANDEM_VALIDATION_POINTS_H
#define TANDEM_VALIDATION_POINTS_H

#include "simulation/simulation.h"

enum { POINT_TEXT = 96, POINT_SYSTEM = 24, POINT_SOURCE = 320 };

struct point {
    char id[POINT_TEXT], backend[24], model_path[POINT_TEXT], system[POINT_SYSTEM], mode[16], quantisation[24];
    char data_source[POINT_SOURCE];
    double isl, osl, concurrency, tp, pp, attention_dp, moe_tp, moe_ep; /* 0 where the column is empty */
    double ttft_ms, tpot_ms;                                            /* measured means */
    double simulated_ttft_ms, simulated_tpot_ms;                        /* of those that were simulated */
    bool impossible; /* its scenario was refused: the model does not fit, say */
};

struct points {
    struct point *items; /* owned */
    size_t count;
};

/* Reads the file; a wrong line is named. Release with points_release, also on failure. */
int points_read(const char *file, struct points *out, struct error *err);
void points_release(struct points *points);

/* Why a point cannot be simulated (a constant string), or NULL. A device takes the points of its own system only; one
 * with no system ("") takes all. */
const char *point_refused(const struct point *p, const char *system);

/* The closed loop of a point: as many clients as its concurrency, ten requests each, of the stated lengths. */
cJSON *point_scenario(const struct point *p, const char *device);

/* Runs a point's scenario, of which `root` is owned by it also on failure, and fills in the simulated means; keeps the
 * run in `store`, unless that is NULL. Fails with ERROR_INPUT where the scenario is refused. */
int point_simulate(struct point *p, struct json root, struct store *store, struct error *err);

/* Errors of a set of points: of each, simulated / measured − 1. */
struct point_errors {
    size_t count;
    double ttft_median, ttft_p90, tpot_median, tpot_p90; /* of the absolute errors */
    double tpot_mean, tpot_worst;
    double tpot_rank, ttft_rank; /* Spearman's correlation of measured and simulated */
};

/* Of the simulated points (simulated_tpot_ms > 0) whose backend and model are these; NULL: of all. */
int points_compare(const struct points *points, const char *backend, const char *model_path, struct point_errors *out,
                   struct error *err);

#endif
