/* SPDX-License-Identifier: MIT */
/* plan.h — a plan file: what is to be served, what may be bought, how it may be run, and what counts as best. */
#ifndef TANDEM_PLANNER_PLAN_H
#define TANDEM_PLANNER_PLAN_H

#include "planner/bill.h"
#include "planner/point.h"
#include "profiles/accuracy.h"

enum { PLAN_AXES_MAX = 12, PLAN_PRICES_MAX = 32 };

/* What is looked for: the least of the objective that serves the rate within the SLO; or, of all that the constraints
 * allow, the most requests/s within the SLO, the cheapest tokens at that rate, or the tightest SLO at the plan's rate.
 */
enum plan_aim { AIM_LEAST, AIM_THROUGHPUT, AIM_TOKEN_COST, AIM_SLO };

extern const char *const aim_names[]; /* "least", "throughput", "token_cost", "tightest_slo" */

enum objective { OBJECTIVE_COST, OBJECTIVE_GPUS, OBJECTIVE_ENERGY };

extern const char *const objective_names[]; /* "cost", "gpus", "energy" */

/* A scenario path, and the values that are to be tried there. */
struct plan_axis {
    char path[96];
    struct json values; /* an array */
};

struct plan {
    struct json root;     /* owned; texts below live in it */
    struct json scenario; /* the base, in root or loaded; owned when loaded */
    bool owns_scenario;
    char name[128];
    uint64_t seed;     /* of replication 0 */
    double rate_per_s; /* to be served; the scenario's own where the plan does not say */
    double base_rate;  /* of the scenario as it stands */
    struct plan_axis axes[PLAN_AXES_MAX];
    size_t axis_count;
    struct own_price prices[PLAN_PRICES_MAX];
    size_t price_count;
    enum plan_aim aim;
    enum objective objective; /* of AIM_LEAST; of the others what their constraints are counted in */
    struct buying buying;
    struct offers *offers;                           /* owned; of the devices of its families, once these are made */
    double most_gpus, most_cost_per_h, most_power_w; /* INFINITY: no limit; power: of the boards that are needed */
    struct effort effort;
    double most_requests; /* of a trial; 0: as many as the scenario says */
    double tolerance, indifference, sensitivity;
    double
        model_confidence; /* with which a size is to hold, of the cost model's error; 0: the cost model is believed */
};

/* Reads and checks a plan; root is its own from then on, also on failure. A trace without resample_s is resampled by
 * the minute, since replications of the same requests would say nothing. */
int plan_read(struct plan *out, struct json root, struct error *err);
void plan_release(struct plan *p);

/* What is bought for so much; its devices' names live as long as `held`. */
void plan_bill(const struct plan *p, const struct held_gpus *held, size_t pools, struct bill *out);

/* Price of a GPU an hour: the plan's, else the listed one of the device; NAN where neither says. */
double plan_price(const struct plan *p, const struct held_gpus *held);

/* Where a device's price is from: a currency ("" where the plan does not say), a list, and its date ("" likewise). */
struct price_said {
    char currency[16], source[128], date[16];
};

void plan_price_said(const struct plan *p, const char *device, struct price_said *out);

/* The currency of a bill; "" where it is not said, or is not the same for all devices. */
void plan_currency(const struct plan *p, const struct bill *bill, char *out, size_t size);

/* Cost an hour of what is bought for a trial, watts of the boards it held on average; and what of them is to be least.
 */
double plan_cost_per_h(const struct plan *p, const struct trial_result *r);
double plan_power_w(const struct trial_result *r);
double plan_objective(const struct plan *p, const struct trial_result *r);

/* What is known of how much longer kernels take than the cost model says: ln of that factor is normal. */
struct model_error {
    bool known;             /* false: the cost model is believed, the factor is 1 */
    struct log_error log;   /* of the pool whose kernels may take the most */
    double factor;          /* that verdicts are of: it is not exceeded with the plan's confidence */
    unsigned points;        /* measured, that this rests on */
    bool calibrated;        /* on points of the engine's own, else on those of servers like it: */
    char of[160], key[192]; /* what those have in common; families of one key have the same error */
    char device[64];        /* that it is of */
};

/* The factor that is not exceeded with a probability. */
double model_error_factor(const struct model_error *e, double probability);

/* One way to choose a value on every axis; how many replicas there are is left open. */
struct family {
    char label[256];
    cJSON *scenario;                                                 /* of one unit: the least that can be multiplied */
    double unit_objective, unit_gpus, unit_cost_per_h, unit_power_w; /* of its GPUs alone, as if all were held */
    bool scaled;                       /* replicas come and go: what is held is known when it has been simulated, */
    double least_objective;            /* and is no less than this */
    double capacity_per_s;             /* of one unit, by formula */
    char refused[512];                 /* why it cannot be run at all; "" where it can */
    struct held_gpus held[MOST_POOLS]; /* [pool_count] of one unit */
    struct model_error error;          /* of its kernel times */
    bool grows[MOST_POOLS];            /* with the units; else as the scenario says */
    size_t pool_count;
};

/* All families of a plan, [*count]; those that cannot be run say so. Release with families_release. */
int families_make(const struct plan *p, struct family **out, size_t *count, struct error *err);
void families_release(struct family *families, size_t count);

/* What is bought for so many units, all of them held; and what of it is to be least. */
void family_bill(const struct plan *p, const struct family *f, size_t units, struct bill *out);
double family_objective(const struct plan *p, const struct family *f, size_t units);

/* The most units, up to a million, of which something is so that is so of all fewer ones. */
size_t units_that(bool (*is_so)(const void *state, size_t units), const void *state);

/* The most units that the constraints allow. */
size_t family_most(const struct plan *p, const struct family *f);

/* The most units, of at most `limit`, that have the same bill as so many. */
size_t family_filled(const struct plan *p, const struct family *f, size_t units, size_t limit);

/* The devices that it is on, each once: "h100-sxm + l40s". */
void family_devices(const struct family *f, char *out, size_t size);

/* The scales that its verdicts are of: kernel times by the cost model's error. */
void family_scales(const struct family *f, double scales[SCALE_COUNT]);

/* The scenario of so many units at the plan's rate, as text; the caller's to free. NULL when memory is short. */
char *family_scenario(const struct plan *p, const struct family *f, size_t units);

#endif
