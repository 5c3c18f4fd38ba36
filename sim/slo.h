/* SPDX-License-Identifier: MIT */
/* slo.h — what a scenario asks: limits on percentiles, the share of requests that meet them, by class and window.
 */
#ifndef TANDEM_SIM_SLO_H
#define TANDEM_SIM_SLO_H

#include <stdbool.h>

#include "base/fields.h"
#include "base/units.h"
#include "workloads/request.h"

/* A limit on a percentile of a metric, in seconds: {"ttft_s": {"p99": 2.0}}. */
struct slo_limit {
    char metric[16];   /* ttft_s, tpot_s, itl_s, e2e_s or normalized_s */
    char statistic[8]; /* mean, p50, p90, p95, p99, p99.9, max */
    double quantile;   /* 0.99; 1 for max, -1 for the mean */
    double limit_s;
    size_t scope; /* 0: all requests; i: those of class i */
};

/* Requests that have something in common: every condition that it names. */
struct slo_class {
    char name[32];
    uint32_t workload; /* the workload's class of its name, from 1; 0: conditions alone say who belongs to it */
    uint32_t priority_from, priority_to, client_from, client_to, prompt_from, prompt_to, output_from, output_to;
};

enum { SLO_LIMITS_MAX = 16, SLO_CLASSES_MAX = 8, SLO_SCOPES_MAX = SLO_CLASSES_MAX + 1 };

struct slo {
    struct slo_limit limits[SLO_LIMITS_MAX];
    size_t count;
    double attainment[SLO_SCOPES_MAX]; /* share of requests that must meet every per-request limit; 0: not asked */
    struct slo_class classes[SLO_SCOPES_MAX]; /* [1 … class_count] */
    size_t class_count;
    double goodput_per_s; /* least rate of requests that meet every limit; 0: not asked */
    sim_time window;      /* stretches of arrivals that are judged one by one; 0: none */
    double window_share;  /* of them that must each meet the limits on all requests, those on itl_s left out */
};

extern const struct field slo_fields[];

/* Reads a scenario's "slo"; an absent one asks nothing. A class that has the name of one of the workload's is of its
 * requests. */
int slo_read(struct slo *out, const struct json *at, const struct json *workload, struct error *err);

static inline bool slo_class_holds(const struct slo_class *c, const struct request *r)
{
    return (c->workload == 0 || r->origin.workload == c->workload) && r->origin.priority >= c->priority_from &&
           r->origin.priority <= c->priority_to && r->origin.client >= c->client_from &&
           r->origin.client <= c->client_to && r->prompt_tokens >= c->prompt_from && r->prompt_tokens <= c->prompt_to &&
           r->output_tokens >= c->output_from && r->output_tokens <= c->output_to;
}

#endif
