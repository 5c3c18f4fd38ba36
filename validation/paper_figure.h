/* SPDX-License-Identifier: MIT */
/* paper_figure.h — the words that a paper's figure is written in: what is read of a run, and how such numbers are put
 * together. The same table checks a figure, computes it and says which figure stands for "nothing changes". */
#ifndef TANDEM_VALIDATION_PAPER_FIGURE_H
#define TANDEM_VALIDATION_PAPER_FIGURE_H

#include "base/json.h"
#include "simulation/simulation.h"

/* The name of a value that takes another run: the mean E2E of the same requests by themselves (simulation/alone.h). */
#define FIGURE_IDEAL "ideal_e2e_s"

/* What a figure is computed from; every call may fail with -1. */
struct figure_source {
    /* A value of a run, by its name. */
    int (*value)(void *state, const char *run, const char *name, double *out, struct error *err);
    /* The largest rate at which a run meets its SLO, in requests a second; 0: it never does. */
    int (*largest_rate)(void *state, const char *run, double *out, struct error *err);
    /* The least factor on all its SLO's limits at which a run still meets it. */
    int (*tightest_slo)(void *state, const char *run, double *out, struct error *err);
    void *state;
};

/* Checks a figure, with `runs` the object whose keys are runs; *neutral is what it is of a system that changes nothing:
 * 1 of a ratio, 0 of a difference, NAN where nobody can tell. */
int figure_check(const struct json *figure, const struct json *runs, double *neutral, struct error *err);

int figure_compute(const struct json *figure, const struct figure_source *source, double *out, struct error *err);

/* A value of a run that has ended: a latency's statistic in seconds ("ttft_s.p99"), a run's number (run_values.h),
 * "gpus", "kv_tokens", "wait_s", or "mg1_wait_s", which is what Pollaczek and Khinchine's formula makes of it. False
 * where there is none of that name. */
bool figure_run_value(const struct simulation *s, const char *name, double *out);

/* Whether there may be a value of that name. */
bool figure_has_value(const char *name);

#endif
