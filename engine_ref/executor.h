/* SPDX-License-Identifier: MIT */
/* executor.h — the engine in the simulator's place: the replica loop forms batches by the same policies, the engine
 * runs them, and the loop's clock goes on by what they took (on the wall clock, unless another one is asked for).
 * Between iterations it jumps to the next arrival, or waits for it. */
#ifndef TANDEM_ENGINE_REF_EXECUTOR_H
#define TANDEM_ENGINE_REF_EXECUTOR_H

#include <signal.h>

#include "engine_ref/instance.h"
#include "engine_ref/reference.h"
#include "engine_ref/replay.h"
#include "sim/executor.h"
#include "sim/observer.h"

struct engine_executor {
    struct engine_port port;
    struct instance *instance; /* that engine, where it is in this process; else NULL */
    double pace;        /* 1: an iteration waits for its time on the wall clock; 2: at twice the speed; 0: never */
    int64_t wall_start; /* when the loop's clock was 0 */
    bool cpu_time;      /* the loop's clock goes on by CPU time instead of the wall clock */
    struct reference *reference;   /* of that engine in this process: times are corrected by it; NULL: they are not */
    enum reference_kind last_kind; /* which one stood for the last iteration */
    struct iteration_log *log;     /* NULL: iterations are not kept */
    int64_t busy_ns, cpu_ns;       /* in steps: on the wall clock, and of CPU time */
    fine_time last_decode;         /* the last iteration of decodes alone */
    volatile sig_atomic_t stop;    /* raised on failure */
    struct error error;
    /* KV that goes from this engine to another one (disaggregation): where to, what it took. */
    struct engine_executor *moves_to;
    int64_t move_ns, moved_blocks;
};

/* For cluster_run; `x` must outlive it. A step that fails raises stop and leaves its error there. */
struct executor engine_executor(struct engine_executor *x);

/* Listens for the engine: who gives up its KV, has finished or is lost. Where x->moves_to is set, requests that are
 * taken over elsewhere move there with their KV. */
struct observer engine_observer(struct engine_executor *x);

#endif
