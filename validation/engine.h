/* SPDX-License-Identifier: MIT */
/* engine.h — the real engine beside its simulation, policy by policy.
 *
 * A workload is served by the engine between two profiles of it, and simulated from both. A machine that gets slower or
 * faster meanwhile changes both sides alike; what is left of that shows as an interval over repeats. */
#ifndef TANDEM_VALIDATION_ENGINE_H
#define TANDEM_VALIDATION_ENGINE_H

#include <signal.h>

#include "base/json.h"
#include "validation/findings.h"

/* A policy, as it changes a scenario: the member at `path` is the JSON text `value`. */
struct engine_policy {
    const char *name, *path, *value;
    bool usual; /* validated where nobody names policies */
};

enum { ENGINE_POLICIES = 7 };
extern const struct engine_policy engine_policies[ENGINE_POLICIES];

/* The policy that comes next in a repeat. */
struct engine_step {
    const char *policy;
    size_t repeat; /* from 0 */
    bool known;    /* found before an interruption */
    double left_s; /* that it and all that follow may take, on the wall clock; NAN: not known yet */
};

struct engine_validation_options {
    const struct json *scenario;                 /* stays the caller's */
    const struct engine_policy *const *policies; /* [policy_count], 1 to ENGINE_POLICIES of them */
    size_t policy_count;
    size_t repeats;      /* 1 to ENGINE_REPEATS */
    const char *backend; /* NULL: the first */
    const char *points;  /* findings are kept in this file until all are there */
    const volatile sig_atomic_t *stop;
    void (*next)(void *state, const struct engine_step *step);
    void *state;
};

struct engine_validation {
    size_t policy_count, repeats;
    const struct engine_policy *policies[ENGINE_POLICIES];
    struct finding *found; /* [policy_count][repeats], owned */
    /* [policy_count]: in seconds, of the last repeat, compared (and so sorted); owned. */
    struct latencies measured[ENGINE_POLICIES], simulated[ENGINE_POLICIES];
};

/* Findings of the policy at `i`: [repeats]. */
static inline struct finding *engine_findings(const struct engine_validation *v, size_t i)
{
    return &v->found[i * v->repeats];
}

/* Takes from the points file what an interrupted validation of the same scenario has found there, and finds the rest.
 * Returns 0, and the points file is gone; or -1, also when it was stopped, and the file has what was found so far.
 * Release *out with engine_validation_release in either case. */
int engine_validate(const struct engine_validation_options *o, struct engine_validation *out, struct error *err);

void engine_validation_release(struct engine_validation *v);

#endif
