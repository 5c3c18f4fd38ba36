/* SPDX-License-Identifier: MIT */
/* sweep.h — measures an engine's operations over shapes and writes what a scenario takes as a device: a profile with
 * means, medians, tenth and ninetieth percentiles and counts. Token-wise operations get more points where straight
 * lines between those there are miss; each point is repeated until its median is known well enough, or its time is up.
 */
#ifndef TANDEM_ENGINE_REF_SWEEP_H
#define TANDEM_ENGINE_REF_SWEEP_H

#include <signal.h>
#include <stdio.h>

#include "base/json.h"
#include "engine_ref/instance.h"
#include "engine_ref/reference.h"

struct sweep_options {
    const char *name;
    uint32_t most_tokens;        /* of a step */
    uint32_t most_sequences;     /* that decode */
    uint32_t most_kv;            /* tokens of a sequence */
    double tolerance;            /* of a straight line between two points, before one more goes between them: 0.02 */
    double point_s;              /* most time for one point */
    double attention_s;          /* the same for one of attention; 0: point_s */
    uint32_t kv_growth;          /* from one number of tokens before a prompt's chunk to the next; 0: 2 */
    bool every_decode;           /* all numbers of tokens up to most_sequences are points */
    size_t least_samples;        /* of a point, below 5 with one step to warm up instead of two; 0: 5 */
    int refinements;             /* halvings of the way between two numbers of tokens; 0: 4 */
    bool cpu_time;               /* steps are timed by CPU time of the calling thread: on one thread alone */
    struct reference *reference; /* times are corrected by it; NULL: they are not */
    double half_width;           /* of the median's interval, relative, that is good enough: 0.01 */
    const char *points_file;     /* what has been measured is kept there, and not measured again; NULL: nowhere */
    FILE *progress;              /* NULL: quiet */
    const volatile sig_atomic_t *stop; /* may be NULL */
};

/* Limits of an instance that a sweep can use. */
struct engine_limits sweep_limits(const struct sweep_options *o, uint32_t block_tokens, size_t threads);

/* The profile, owned by the caller, who removes the points file once the profile is written; NULL on failure, or when
 * it was stopped (the points file then has what there is). */
cJSON *engine_sweep_run(struct instance *e, const struct sweep_options *o, struct error *err);

/* One step measured: its median time, and of each operation, over all its calls. */
struct step_times {
    double step_ns, step_p10, step_p90, step_mean;
    double op_mean[OP_COUNT], op_ns[OP_COUNT], op_p10[OP_COUNT], op_p90[OP_COUNT];
    uint64_t calls[OP_COUNT];
    size_t samples;
};

/* Of a step with `chunks` prompt chunks of `new_tokens` each after `kv_before` tokens, `decodes` that have `decode_kv`
 * tokens each, and, unless it is 0, one more chunk of `rest` tokens after none. */
struct step_shape {
    uint32_t chunks, new_tokens, kv_before, decodes, decode_kv, rest;
};

/* By `o`: cpu_time, half_width and reference. */
int sweep_measure(struct instance *e, const struct sweep_options *o, const struct step_shape *shape, double most_s,
                  struct step_times *out, struct error *err);

#endif
