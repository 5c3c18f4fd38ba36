/* SPDX-License-Identifier: MIT */
/* engine.h — the real engine next to its simulation, policy by policy, at shares of the capacity that is measured
 * first.
 *
 * A repeat measures a profile, then serves each policy with all requests at once, which is its capacity, and at each
 * load. A reference step runs between others all the time: profile and served iterations are corrected by it, so that a
 * machine that gets slower or faster changes neither. A CPU engine has one thread and counts its CPU time, so that
 * other programs on the machine do not count. */
#ifndef TANDEM_VALIDATION_ENGINE_H
#define TANDEM_VALIDATION_ENGINE_H

#include <signal.h>

#include "base/json.h"
#include "engine_ref/reference.h"
#include "validation/findings.h"

/* A policy, as it changes a scenario: the member at `path` is the JSON text `value`. */
struct engine_policy {
    const char *name, *path, *value;
    bool usual; /* validated where nobody names policies */
};

enum { ENGINE_POLICIES = 7, ENGINE_LOADS = 9, ENGINE_LEAST_REQUESTS = 16 };
extern const struct engine_policy engine_policies[ENGINE_POLICIES];

/* What comes next in a repeat. */
struct engine_step {
    const char *policy; /* NULL: the profile */
    double load;        /* as in struct engine_validation */
    size_t repeat;      /* from 0 */
    bool known;         /* found before an interruption */
    double left_s;      /* that it and all that follow may take, on the wall clock */
};

struct engine_validation_options {
    const struct json *scenario;                 /* stays the caller's */
    const struct engine_policy *const *policies; /* [policy_count], 1 to ENGINE_POLICIES of them */
    size_t policy_count;
    const double *loads; /* [load_count], at most ENGINE_LOADS − 1: shares of capacity, above 0 */
    size_t load_count;
    size_t repeats;  /* 1 to ENGINE_REPEATS */
    double repeat_s; /* on the wall clock: a repeat serves as many requests as fit, at least ENGINE_LEAST_REQUESTS */
    const char *backend; /* NULL: the first */
    size_t threads;      /* of a CPU backend; with more than one its time is the wall clock's */
    bool uncorrected;    /* no reference: times are as they were measured */
    const char *points;  /* findings are kept in this file until all are there */
    const volatile sig_atomic_t *stop;
    void (*next)(void *state, const struct engine_step *step);
    void *state;
};

struct engine_validation {
    size_t policy_count, load_count, repeats;
    const struct engine_policy *policies[ENGINE_POLICIES];
    /* 0, all requests at once, comes first; then shares of the capacity found so. A scenario that does not
     * state a rate and a number of requests has one load, NAN: as it says. */
    double loads[ENGINE_LOADS];
    struct finding *found; /* [policy_count][load_count][repeats], owned */
    /* [policy_count][load_count]: in seconds, of the last repeat, compared (and so sorted); owned. */
    struct latencies measured[ENGINE_POLICIES][ENGINE_LOADS], simulated[ENGINE_POLICIES][ENGINE_LOADS];
    bool cpu_time;              /* what counts is CPU time */
    struct reference reference; /* of the last repeat: its seconds and its standard; owned */
    double profile_s;           /* that the last repeat's profile took, on the wall clock */
};

/* Findings of the policy at `i` and the load at `k`: [repeats]. */
static inline struct finding *engine_findings(const struct engine_validation *v, size_t i, size_t k)
{
    return &v->found[(i * v->load_count + k) * v->repeats];
}

enum { ENGINE_LOAD_NAME = 32 };

/* "all at once", "85 %" or "as stated", in `text`, which is returned. */
const char *engine_load_name(double load, char text[ENGINE_LOAD_NAME]);

/* Takes from the points file what an interrupted validation of the same scenario has found there, and finds the rest.
 * Returns 0, and the points file is gone; or -1, also when it was stopped, and the file has what was found so far.
 * Release *out with engine_validation_release in either case. */
int engine_validate(const struct engine_validation_options *o, struct engine_validation *out, struct error *err);

void engine_validation_release(struct engine_validation *v);

#endif
