/* SPDX-License-Identifier: MIT */
/* sweep.h — the cross product of scenario values, each point replicated; every trial is a run in the database. */
#ifndef TANDEM_PLANNER_SWEEP_H
#define TANDEM_PLANNER_SWEEP_H

#include "planner/point.h"

enum { SWEEP_AXES_MAX = 12, SWEEP_POINTS_MAX = 1000000 };

struct sweep_axis {
    char path[96];
    cJSON *values; /* an array, owned */
};

struct sweep {
    struct json root;     /* owned */
    struct json scenario; /* the base; owned when loaded */
    bool owns_scenario;
    char name[128];
    uint64_t seed;
    struct sweep_axis axes[SWEEP_AXES_MAX];
    size_t axis_count;
    size_t replications; /* at least; the most when there is a precision */
    double precision;    /* relative half-width of the metric's 95 % interval to stop at; 0: all replications */
    char metric[40];     /* that precision or best is about: "ttft_s.p99" */
    double best;         /* −1: least is best, 1: most; 0: nobody asks which is best */
    double confidence, indifference; /* of choosing it: the latter relative to the metric's mean */
};

struct sweep_point {
    const cJSON *value[SWEEP_AXES_MAX]; /* on each axis, the sweep's */
    char *label;                        /* "path=value, …", owned */
    char *scenario;                     /* owned */
    struct point point;
    bool left_out; /* not the best, as far as selection went */
};

/* Reads {"scenario", "vary": {path: [values] | {"from", "to", "steps", "log"}}, "replications", …}. root is its own
 * from then on, also on failure. */
int sweep_read(struct sweep *out, struct json root, struct error *err);
void sweep_release(struct sweep *s);

/* All points, [*count], the last axis fastest; release with sweep_points_release. */
int sweep_points_make(const struct sweep *s, struct sweep_point **out, size_t *count, struct error *err);
void sweep_points_release(struct sweep_point *points, size_t count);

/* Runs them, until each is as precise as asked or the best is known. */
int sweep_run(const struct sweep *s, struct sweep_point *points, size_t count, struct trial_pool *pool,
              struct error *err);

/* A value on an axis in a word or two. */
void sweep_value_text(const struct sweep_point *p, size_t axis, char *out, size_t size);

#endif
