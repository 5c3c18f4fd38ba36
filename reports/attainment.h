/* SPDX-License-Identifier: MIT */
/* attainment.h — whether a run keeps what its scenario promises: request by request, class by class, window by window.
 *
 * A request meets the SLO when it keeps every per-request limit: of a metric's several percentiles the loosest, and
 * those of its class in place of everybody's on the same metric. Rejected requests meet nothing. */
#ifndef TANDEM_REPORTS_ATTAINMENT_H
#define TANDEM_REPORTS_ATTAINMENT_H

#include "reports/histogram.h"
#include "reports/request_metrics.h"
#include "reports/samples.h"
#include "sim/slo.h"

struct slo_scope {
    sim_time most[METRIC_COUNT];            /* for each request of it; SIM_TIME_NEVER: no limit */
    uint64_t finished, refused, met;        /* requests */
    struct histogram metrics[METRIC_COUNT]; /* of a class: nanoseconds */
    double sums[METRIC_COUNT];
};

/* Requests that arrived in one window. */
struct slo_window {
    uint32_t finished, refused, met;
    uint32_t counted[SLO_LIMITS_MAX], within[SLO_LIMITS_MAX]; /* for each limit on all requests: who has the metric */
    double sums[SLO_LIMITS_MAX];
};

struct attainment {
    const struct slo *slo;
    struct slo_scope scopes[SLO_SCOPES_MAX]; /* all requests, then the classes */
    enum metric limit_metrics[SLO_LIMITS_MAX];
    struct slo_window *windows; /* [window_count] */
    size_t window_count, window_capacity;
    bool out_of_memory;
};

/* `slo` must outlive it. */
void attainment_init(struct attainment *a, const struct slo *slo);
void attainment_release(struct attainment *a);

void attainment_finished(struct attainment *a, const struct request *r, const struct request_metrics *q);
void attainment_refused(struct attainment *a, const struct request *r);

/* How far a promise is from being broken: log(limit / value), or for a share of requests log(allowed misses / misses);
 * below 0 it is broken. */
struct slo_result {
    double value; /* seconds, a share or a rate; NAN: nothing measured */
    double margin;
    bool met;
};

enum { SLO_RESULTS_MAX = SLO_LIMITS_MAX + SLO_SCOPES_MAX + 2 };

struct slo_verdict {
    bool asked, met;
    struct slo_result limits[SLO_LIMITS_MAX];     /* [slo.count] */
    struct slo_result attainment[SLO_SCOPES_MAX]; /* margins only where it is asked for */
    struct slo_result goodput, windows;           /* windows: value is the share of them that kept everything */
    size_t window_count, windows_missed;
    double worst_window_s; /* where it begins; NAN without windows */
    double margin;         /* the least of all; INFINITY where nothing is asked */
    char binding[80];      /* whose that is: "ttft_s p99", "attainment of class chat" */
};

/* Judges a finished run. `metrics` [METRIC_COUNT] are the whole run's, in nanoseconds. */
int attainment_judge(const struct attainment *a, const struct summary *metrics, double duration_s,
                     struct slo_verdict *out, struct error *err);

#endif
