/* SPDX-License-Identifier: MIT */
/* plan.h — a plan file: what is to be served, what may be bought, how it may be run, and what counts as best. */
#ifndef TANDEM_PLANNER_PLAN_H
#define TANDEM_PLANNER_PLAN_H

#include "planner/point.h"

enum { PLAN_AXES_MAX = 12, PLAN_PRICES_MAX = 32 };

enum objective { OBJECTIVE_COST, OBJECTIVE_GPUS, OBJECTIVE_ENERGY };

extern const char *const objective_names[]; /* "cost", "gpus", "energy" */

/* A scenario path, and the values that are to be tried there. */
struct plan_axis {
    char path[96];
    struct json values; /* an array */
};

struct device_price {
    const char *device;
    double per_h; /* of one GPU */
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
    struct device_price prices[PLAN_PRICES_MAX];
    size_t price_count;
    enum objective objective;
    double gpus_per_node, most_gpus, most_cost_per_h, most_power_w; /* INFINITY: no limit */
    struct effort effort;
    double tolerance, indifference, sensitivity;
};

/* Reads and checks a plan; root is its own from then on, also on failure. A trace without resample_s is resampled by
 * the minute, since replications of the same requests would say nothing. */
int plan_read(struct plan *out, struct json root, struct error *err);
void plan_release(struct plan *p);

/* Price of a GPU an hour: the plan's, else the device's (in `held`); NAN where neither says. */
double plan_price(const struct plan *p, const struct held_gpus *held);

/* Cost an hour, watts and GPUs of what a trial held on average; and what of them is to be least. */
double plan_cost_per_h(const struct plan *p, const struct trial_result *r);
double plan_power_w(const struct trial_result *r);
double plan_objective(const struct plan *p, const struct trial_result *r);

/* One way to choose a value on every axis; how many replicas there are is left open. */
struct family {
    char label[256];
    cJSON *scenario;                                                 /* of one unit: the least that can be multiplied */
    double unit_objective, unit_gpus, unit_cost_per_h, unit_power_w; /* while nothing is scaled or breaks down */
    bool scaled;            /* replicas come and go: what is held is known when it has been simulated, */
    double least_objective; /* and is no less than this */
    double capacity_per_s;  /* of one unit, by formula */
    char refused[512];      /* why it cannot be run at all; "" where it can */
};

/* All families of a plan, [*count]; those that cannot be run say so. Release with families_release. */
int families_make(const struct plan *p, struct family **out, size_t *count, struct error *err);
void families_release(struct family *families, size_t count);

/* The scenario of so many units at the plan's rate, as text; the caller's to free. NULL when memory is short. */
char *family_scenario(const struct plan *p, const struct family *f, size_t units);

#endif
