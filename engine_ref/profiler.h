/* SPDX-License-Identifier: MIT */
/* profiler.h — how long each operation of a step took: on a CPU by its clock, on a GPU by CUPTI. A backend opens and
 * closes a range around every operation; who measures fills one record a range. */
#ifndef TANDEM_ENGINE_REF_PROFILER_H
#define TANDEM_ENGINE_REF_PROFILER_H

#include <stdbool.h>

#include "base/units.h"

/* Operations as profile tables name them. */
enum operation_name {
    OP_EMBEDDING,
    OP_NORM,
    OP_QKV_PROJ,
    OP_QK_NORM,
    OP_ROTARY_EMB,
    OP_PREFILL_ATTENTION,
    OP_DECODE_ATTENTION,
    OP_O_PROJ,
    OP_GATE_UP_PROJ,
    OP_ACT_FN,
    OP_DOWN_PROJ,
    OP_FINAL_NORM,
    OP_LM_HEAD,
    OP_SAMPLER,
    OP_COUNT
};

extern const char *const operation_names[OP_COUNT];

/* Time and ranges of each operation since the profiler was cleared. */
struct profiler {
    int64_t ns[OP_COUNT];
    uint64_t ranges[OP_COUNT];
    int64_t opened_at;
    bool on;
    /* Of the last step on a GPU (activity.h): kernels, time from launch to start summed over them, time that the GPU
     * was busy and from its first kernel to its last, and what the step waits for; records lost since the start. */
    uint64_t kernels, dropped;
    int64_t queue_ns, busy_ns, span_ns;
    bool gpu_bound;
};

int64_t clock_ns(void);     /* the wall clock */
int64_t clock_cpu_ns(void); /* CPU time of the calling thread */

static inline void profiler_open(struct profiler *p)
{
    if (p->on)
        p->opened_at = clock_ns();
}

static inline void profiler_close(struct profiler *p, enum operation_name op)
{
    if (!p->on)
        return;
    p->ns[op] += clock_ns() - p->opened_at;
    p->ranges[op]++;
}

void profiler_clear(struct profiler *p);

#endif
