/* SPDX-License-Identifier: MIT */
/* point.h — one configuration under one load, looked at again and again until it is known whether it keeps its SLO.
 *
 * Replication r of every point has the same seed, so that points meet the same requests (common random numbers). A
 * point gets twice as many replications while the interval of its mean margin still holds zero; each look spends its
 * part of the error that is allowed in all (Bonferroni). */
#ifndef TANDEM_PLANNER_POINT_H
#define TANDEM_PLANNER_POINT_H

#include "planner/pool.h"
#include "reports/stats/inference.h"

enum verdict { UNDECIDED, HOLDS, BREAKS };

struct point {
    const char *scenario; /* JSON text, the caller's */
    double scales[SCALE_COUNT];
    uint64_t seed;                /* of replication 0 */
    const char *label;            /* its trials' rows are kept under it, with their seeds; NULL: they are not kept */
    struct trial_result *results; /* [count] */
    size_t count, capacity;
    enum verdict verdict;
    bool confirmed; /* it has had all replications, and the verdict is of all of them */
    bool failed;    /* its input is wrong; results[0].message says how */
};

/* How sure is sure enough, and how much may be spent on it. */
struct effort {
    double confidence; /* of one verdict: 0.95 */
    size_t most;       /* replications of a point, a power of two from 4 on */
    /* A point that the rest of its replications would decide with a smaller probability is given up; 0: none is. */
    double least_chance;
};

void point_init(struct point *p, const char *scenario, const double *scales, uint64_t seed);
void point_release(struct point *p);

/* Brings every point to at least `count` replications. */
int points_replicate(struct point *const *points, size_t n, size_t count, struct trial_pool *pool, struct error *err);

/* Replicates the points until each is decided, has had all that `effort` allows, or is given up. */
int points_decide(struct point *const *points, size_t n, const struct effort *effort, struct trial_pool *pool,
                  struct error *err);

/* Decides the point, and if it holds, goes on to all replications that `effort` allows: it holds only if the interval
 * of all their margins is above 0. That verdict stands. */
int point_confirm(struct point *p, const struct effort *effort, struct trial_pool *pool, struct error *err);

/* Over the replications so far: the mean of the margins, each kept within ±1, so that the few runs in which everything
 * broke down do not make the mean (verdicts are of these); the median and the least of the margins as they are,
 * −INFINITY included (words are of these); the mean of a statistic (trial_value), infinite where it is so in one
 * replication. */
struct estimate point_margin(const struct point *p, double confidence);
double point_typical_margin(const struct point *p);
const struct trial_result *point_worst(const struct point *p); /* valid while the point is not replicated */
struct estimate point_mean(const struct point *p, const char *name, double confidence);

/* Tokens a second, prompts' and outputs', of `rate_per_s` requests (times the point's own scale) that go on coming: a
 * run also lasts until its last request has ended, when fewer come. Where the queue grows, or the rate is not finite,
 * those of the runs. */
double point_tokens_per_s(const struct point *p, double rate_per_s);

/* What breaks first in most of the replications; lives as long as the point is not replicated. */
const char *point_binding(const struct point *p);

/* What breaks first, and how far it is from that, in words: "ttft_s p99 12 % within", "ttft_s p99 4.1 times its limit",
 * "attainment misses 100 times what it may", "overloaded". */
void margin_text(const char *binding, double margin, char *out, size_t size);

/* What the replications say in short. */
struct outcome {
    double margin; /* the median */
    char binding[96];
    double unserved, attainment; /* shares of the requests, means */
    double ttft_p99_s, tpot_p99_s, e2e_p99_s;
    char reason[96]; /* why one was not served; "": all were */
};

struct outcome point_outcome(const struct point *p);

bool point_overloaded(const struct point *p); /* in at least half of them */

#endif
