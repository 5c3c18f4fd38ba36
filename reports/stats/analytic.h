/* SPDX-License-Identifier: MIT */
/* analytic.h — what formulas say of a scenario at once: about what rate it can serve, and its latencies at the rate it
 * has.
 *
 * Only requests that are not refused for their lengths count. Decodes: the batch B of a replica that gets r of them a
 * second, each with o output tokens on average, is the fixed point of Little's law, B = r·o·τ, where τ is the time
 * between two tokens: with a token budget b, of an iteration's T by the cost model, (1 − f)·T(B, 0) + f·T(B, b − B)
 * with the share f = r·p·τ / (b − B) of iterations that prompt tokens fill; else T(B, 0) / (1 − r·T(0, p)), since
 * decodes stand still while prompts run. Waits for the first token: G/G/1 by Allen and Cunneen (theory.h), with a
 * prompt's service as the cost model has it next to that batch; batches that are served whole: M/G^(a,b)/1 (Neuts). The
 * capacity is the largest rate at which the fixed point exists.
 *
 * The capacity is an estimate, not a bound: prefixes that are found in the KV pool, several prompts in one iteration
 * without a token budget, prompts that are spread over iterations which they do not fill, requests that are shed, and
 * a run that ends before its queue has grown all let a simulation serve more. Nothing may be ruled out for it.
 * Delay stations: G/G/c by Allen and Cunneen, each with the workload's own arrivals; they bound the capacity where they
 * have c servers. Where a share of the requests is answered by one of them, the others go on, thinned by chance; where
 * the run alone can tell which share, there is no formula.
 * Replicas are taken to share arrivals evenly, and to be the servers of one queue where the router sends requests to
 * the replica that has least to do; requests not to be preempted. */
#ifndef TANDEM_REPORTS_STATS_ANALYTIC_H
#define TANDEM_REPORTS_STATS_ANALYTIC_H

#include "sim/scenario.h"

struct analytic_estimate {
    double rate_per_s;             /* of the whole scenario, all requests */
    double served_share;           /* of the requests: those that are not refused for their lengths */
    double capacity_per_s;         /* about this rate can be served, refused requests included; INFINITY: all are */
    double serving_per_s;          /* the same of replicas alone, whatever their delay stations let through */
    double utilization;            /* rate over capacity */
    double batch;                  /* decodes in an iteration of a replica that decodes */
    double tpot_s;                 /* mean */
    double service_s, service_scv; /* of a prompt */
    double wait_s;                 /* mean, in the queue */
    double ttft_s, ttft_p99_s;     /* the latter NAN behind delay stations before serving */
    double e2e_s;
    const char *formula; /* for the wait */
};

/* Lengths and gaps are those of the workload's first few thousand requests. */
int analytic_of(const struct scenario *s, struct analytic_estimate *out, struct error *err);

/* The capacity alone, and that of replicas alone; NAN where there is none: a closed loop, a batch job, a workload that
 * is wrong or of which nothing is served. Fails where memory is short or the workload's file cannot be read. */
int analytic_capacity_per_s(const struct scenario *s, double *out, double *serving_per_s, struct error *err);

#endif
