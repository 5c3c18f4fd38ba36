/* SPDX-License-Identifier: MIT */
/* sessions.h — how sessions and agents fare: how long each takes, what of it is spent in tools, and how soon its first
 * and its later requests have their first tokens. Of the whole run. */
#ifndef TANDEM_REPORTS_STATS_SESSIONS_H
#define TANDEM_REPORTS_STATS_SESSIONS_H

#include "base/error.h"
#include "reports/stats/samples.h"
#include "sim/observer.h"
#include "workloads/source.h"

/* A latency of sessions, in the order of session_latency_names. */
enum session_latency { SESSION_LENGTH, SESSION_FIRST_TTFT, SESSION_LATER_TTFT, SESSION_LATENCIES };

extern const char *const session_latency_names[SESSION_LATENCIES];

struct session_stats {
    struct samples latencies[SESSION_LATENCIES]; /* nanoseconds; lengths are of those that are complete */
    uint64_t begun, complete, turns;             /* turns of all that have begun */
    double tools_s, length_s;                    /* of those that are complete */
    bool asked, out_of_memory;
};

struct session_summary {
    uint64_t begun, complete; /* begun 0: the workload has no sessions */
    double turns;             /* a session */
    double tool_share;        /* time in tools over time in sessions, of those that are complete; above 1 where several
                                 tools run at once; NAN: none is */
    struct summary latencies[SESSION_LATENCIES];
};

void session_stats_init(struct session_stats *s);
void session_stats_release(struct session_stats *s);

/* Listens to requests that have a place in a session. */
struct observer session_stats_observer(struct session_stats *s);

/* Takes in the records of a source whose run has ended. */
void session_stats_take(struct session_stats *s, const struct session_record *records, size_t count);

/* Returns 0, or -1 when memory is short, or has been. */
int session_stats_summarise(const struct session_stats *s, struct session_summary *out);

#endif
