/* SPDX-License-Identifier: MIT */
/* activity.h — what a GPU's tracer recorded of a step, and what it amounts to: time on the GPU by operation, and how
 * long kernels waited between launch and start. Plain C, whoever records: CUPTI (cuda/trace.c) or a test.
 *
 * Launch-to-start time is what SKIP (Vellaisamy et al. 2025, arXiv 2504.11750) calls TKLQT, summed over kernels: on a
 * GPU that waits for the CPU it is the launch's own latency, and it grows where kernels queue behind each other. */
#ifndef TANDEM_ENGINE_REF_ACTIVITY_H
#define TANDEM_ENGINE_REF_ACTIVITY_H

#include <stddef.h>

#include "engine_ref/profiler.h"

enum activity_kind {
    ACTIVITY_LAUNCH, /* a call on the CPU that launches a kernel, a copy or a graph */
    ACTIVITY_KERNEL, /* on the GPU; copies and fills count as such */
    ACTIVITY_RANGE,  /* says which operation a call belongs to */
};

struct activity {
    enum activity_kind kind;
    uint32_t correlation;   /* the same for a launch, its kernels and its range */
    enum operation_name op; /* ACTIVITY_RANGE */
    int64_t start, end;     /* on one clock, in nanoseconds */
    uint64_t graph_node;    /* of a kernel in a graph; 0: by itself */
};

struct activity_log {
    struct activity *items;
    size_t count, capacity;
    uint64_t dropped; /* records that the tracer lost, or that were broken */
    bool out_of_memory;
};

void activity_log_clear(struct activity_log *log);
void activity_log_release(struct activity_log *log);

/* A record that ends before it starts, starts before 0 or is of no operation counts as dropped. */
void activity_add(struct activity_log *log, struct activity a);

enum bound { BOUND_BY_CPU, BOUND_BY_GPU };

struct activity_summary {
    int64_t op_ns[OP_COUNT]; /* Σ kernel durations */
    uint64_t op_kernels[OP_COUNT];
    int64_t op_queue_ns[OP_COUNT];              /* Σ from launch to start */
    int64_t other_ns;                           /* kernels of no range */
    uint64_t kernels, graph_kernels, unmatched; /* in all; in graphs; without a launch record */
    int64_t queue_ns, least_queue_ns;           /* TKLQT, and the least of a kernel that is not in a graph */
    int64_t span_ns, busy_ns; /* from the first start to the last end; with at least one kernel running */
    enum bound bound;         /* kernels wait more than twice as long as the least on average: for the GPU */
    uint64_t dropped;
};

/* Sorts the log. */
void activity_summarise(struct activity_log *log, struct activity_summary *out);

/* As the profiler keeps it: kernel times by operation, and how often each was called. One call may launch several
 * kernels, so calls are counted where their ranges are opened, not by their kernels. */
void activity_to_profiler(const struct activity_summary *s, const uint64_t ranges[OP_COUNT], struct profiler *p);

#endif
