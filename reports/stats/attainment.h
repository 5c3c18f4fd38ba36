/* SPDX-License-Identifier: MIT */
/* attainment.h — whether a run meets its scenario's SLO: request by request, class by class, window by window.
 *
 * A request meets the SLO when it is within every per-request limit: of a metric's several percentiles the loosest, and
 * those of its class in place of everybody's on the same metric.
 *
 * A request that was not served (rejected, lost, given up, or unfinished when the run ended) is infinitely late: it
 * meets nothing, it counts as an infinite value for every percentile, and no mean with it is finite. Of gaps between
 * tokens it counts as many as it asked for, at least one. */
#ifndef TANDEM_REPORTS_STATS_ATTAINMENT_H
#define TANDEM_REPORTS_STATS_ATTAINMENT_H

#include "reports/stats/histogram.h"
#include "reports/stats/request_metrics.h"
#include "reports/stats/samples.h"
#include "reports/stats/sections.h"
#include "sim/slo.h"

/* Requests that arrived in one section of the run. */
struct slo_counts {
    uint64_t arrived, finished, met;
    uint64_t gaps_due; /* gaps between tokens that requests asked for which have not finished */
};

struct slo_scope {
    sim_time most[METRIC_COUNT]; /* for each request of it; SIM_TIME_NEVER: no limit */
    struct slo_counts counts[SECTIONS_MAX];
    struct samples *metrics; /* [METRIC_COUNT] of a class: nanoseconds */
};

/* Requests that arrived in one window. */
struct slo_window {
    uint64_t first; /* of them: its place in the order of arrival */
    uint64_t index; /* it begins at index · length */
    uint32_t arrived, finished, met;
    uint32_t counted[SLO_LIMITS_MAX],
        within[SLO_LIMITS_MAX]; /* for each limit on all requests: those with the metric */
    double sums[SLO_LIMITS_MAX];
};

struct attainment {
    const struct slo *slo;
    struct slo_scope scopes[SLO_SCOPES_MAX]; /* all requests, then the classes */
    enum metric limit_metrics[SLO_LIMITS_MAX];
    const char *reasons[SECTIONS_MAX]; /* why the first request of a section was not served; NULL: all were */
    struct slo_window *windows;        /* [window_count] in order; one that goes over sections is in pieces */
    size_t window_count, window_capacity;
    bool section_begins; /* with the next arrival */
    bool out_of_memory;
};

/* `slo` must outlive it. Release also after a failure. */
int attainment_init(struct attainment *a, const struct slo *slo, struct error *err);
void attainment_release(struct attainment *a);

/* Neighbouring sections become one. A new section begins with the next arrival. */
void attainment_merge_sections(struct attainment *a);
void attainment_begin_section(struct attainment *a);

/* What happens to a request of a section. All arrive, in order, those that are rejected, too. */
void attainment_arrived(struct attainment *a, size_t section, const struct request *r);
void attainment_finished(struct attainment *a, size_t section, const struct request *r,
                         const struct request_metrics *q);
void attainment_refused(struct attainment *a, size_t section, const char *reason); /* or lost; a constant string */

/* Takes in what part of a run has kept, of the same SLO and without windows, in which nobody was refused. */
void attainment_absorb(struct attainment *into, struct attainment *part);

/* How far a target is from being missed: log(limit / value), or for a share of requests log(allowed misses / misses);
 * below 0 it is missed. */
struct slo_result {
    double value; /* seconds, a share or a rate; INFINITY: of a request that was not served; NAN: there is none */
    double margin;
    bool judged; /* there was a value to judge by */
    bool met;
};

enum { SLO_RESULTS_MAX = SLO_LIMITS_MAX + SLO_SCOPES_MAX + 2 };

struct slo_verdict {
    bool asked;
    bool met;                                     /* every target was judged and is met */
    struct slo_result limits[SLO_LIMITS_MAX];     /* [slo.count] */
    struct slo_result attainment[SLO_SCOPES_MAX]; /* margins only where it is asked for */
    struct slo_result goodput, windows;           /* windows: value is the share of them that kept everything */
    size_t window_count, windows_missed;
    double worst_window_s; /* where it begins; NAN without windows */
    double margin;         /* the least of all that were judged; INFINITY where nothing is asked */
    char binding[80];      /* whose that is: "ttft_s p99", "attainment of class chat" */
    size_t missed;         /* targets */
    size_t unjudged;       /* targets without a value to judge by */
    char unjudged_first[80];
    uint64_t arrived, unserved; /* requests after the cut */
    const char *reason;         /* why the first of them was not served; NULL: all were, or the run ended before */
};

/* Judges what arrived after the cut. `samples` [METRIC_COUNT] are the whole run's, in nanoseconds; `rest_s` is how long
 * the run went on after the cut. */
int attainment_judge(const struct attainment *a, const struct samples *samples, const struct warmup_cut *cut,
                     double rest_s, struct slo_verdict *out, struct error *err);

/* The counts of a scope after the cut. */
struct slo_counts attainment_counts(const struct attainment *a, size_t scope, size_t sections_cut);

/* The next window with requests that arrived after the cut; *next is 0 at first. False when there is none. */
bool attainment_next_window(const struct attainment *a, const struct warmup_cut *cut, size_t *next,
                            struct slo_window *out);

#endif
