/* SPDX-License-Identifier: MIT */
/* analytic.h — what formulas say of a scenario at once: the rate it can bear, and its latencies at the rate it has.
 *
 * Decodes: the batch B of a replica that gets r requests a second, each with o output tokens on average, is the fixed
 * point of Little's law, B = r·o·τ, where τ is the time between two tokens: with a token budget b, of an iteration's T
 * by the cost model, (1 − f)·T(B, 0) + f·T(B, b − B) with the share f = r·p·τ / (b − B) of iterations that prompt
 * tokens fill; else T(B, 0) / (1 − r·T(0, p)), since decodes stand still while prompts run. Waits for the first token:
 * G/G/1 by Allen and Cunneen (theory.h), with a prompt's service as the cost model has it beside that batch; batches
 * that are served whole: M/G^(a,b)/1 (Neuts). The bound is the largest rate at which the fixed point exists: an
 * iteration can then hold no more. Replicas are taken to share arrivals evenly, and to be the servers of one
 * queue where the router sends requests to whoever has least to do; requests not to be preempted. */
#ifndef TANDEM_PLANNER_ANALYTIC_H
#define TANDEM_PLANNER_ANALYTIC_H

#include "sim/scenario.h"

struct analytic_estimate {
    double rate_per_s;             /* of the whole scenario */
    double bound_per_s;            /* no more than this can be served */
    double utilization;            /* rate over bound */
    double batch;                  /* decodes in an iteration of a replica that decodes */
    double tpot_s;                 /* mean */
    double service_s, service_scv; /* of a prompt */
    double wait_s;                 /* mean, in the queue */
    double ttft_s, ttft_p99_s;
    double e2e_s;
    const char *formula; /* for the wait */
};

/* Lengths and gaps are those of the workload's first few thousand requests. */
int analytic_of(const struct scenario *s, struct analytic_estimate *out, struct error *err);

/* The bound alone; NAN where there is none: a closed loop, a batch job, a workload that cannot be read. */
double analytic_bound_per_s(const struct scenario *s);

#endif
