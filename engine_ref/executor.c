/* SPDX-License-Identifier: MIT */
#include "engine_ref/executor.h"

#include <time.h>

/* Or until a signal's handler has run, which may have told the run to stop. */
static void wait_until(int64_t wall)
{
    struct timespec t = {.tv_sec = wall / 1000000000, .tv_nsec = wall % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Nothing of this is of use from here on. */
static void stop(struct engine_executor *x)
{
    x->stop = 1;
    if (x->moves_to)
        x->moves_to->stop = 1;
}

/* The reference of few rows runs where decodes follow decodes: after prompts it would bring back the caches that the
 * next decode has to do without, and take longer itself. */
static bool reference_may_run(const struct engine_executor *x, enum reference_kind kind)
{
    return kind == REFERENCE_MANY_ROWS || x->last_kind == kind;
}

/* What the loop is told that a step took: by one clock, and corrected where there is a reference. */
static int told_ns(struct engine_executor *x, const struct batch *batch, const struct step_time *took, int64_t *ns)
{
    *ns = x->cpu_time ? took->cpu_ns : took->wall_ns;
    if (!x->reference)
        return 0;
    enum reference_kind kind = reference_of(batch_padded_tokens(batch));
    reference_owe(x->reference, kind, *ns);
    if (reference_may_run(x, kind) && reference_catch_up(x->reference, kind, x->instance, &x->error))
        return -1;
    x->last_kind = kind;
    *ns = (int64_t)((double)*ns / reference_slowness(x->reference, kind) + 0.5);
    return 0;
}

static void run(void *state, const struct batch *batch, struct iteration_cost *out)
{
    struct engine_executor *x = state;
    *out = (struct iteration_cost){.total = (fine_time)1 << FINE_BITS, .steady = 1};
    if (x->stop)
        return;
    if (x->pace > 0) {
        if (x->wall_start == 0)
            x->wall_start = clock_ns() - (int64_t)((double)batch->start / x->pace);
        wait_until(x->wall_start + (int64_t)((double)batch->start / x->pace));
    }
    struct step_time took = {0};
    int64_t ns = 0;
    if (x->port.run(x->port.self, batch, &took, &x->error) || told_ns(x, batch, &took, &ns)) {
        stop(x);
        return;
    }
    x->busy_ns += took.wall_ns;
    x->cpu_ns += took.cpu_ns;
    out->total = out->by[COST_MEASURED] = (fine_time)ns << FINE_BITS;
    if (batch->count == 0)
        x->last_decode = out->total;
    out->decode_alone = x->last_decode < out->total ? x->last_decode : out->total;
    if (x->log && iteration_log_add(x->log, batch, out, took.wall_ns)) {
        error_no_memory(&x->error);
        stop(x);
    }
}

struct executor engine_executor(struct engine_executor *x)
{
    return (struct executor){.run = run, .state = x, .sees_decoders = true};
}

static struct engine_port *home_of(struct engine_executor *x, uint64_t id)
{
    return x->moves_to && !instance_sequence(x->instance, id) ? &x->moves_to->port : &x->port;
}

/* Its KV is given up. */
static void drop(struct engine_executor *x, const struct request *r)
{
    struct engine_port *home = home_of(x, r->id);
    if (!x->stop && home->drop_blocks(home->self, r->id, &x->error))
        stop(x);
}

/* So is the request. */
static void forget(struct engine_executor *x, const struct request *r)
{
    struct engine_port *home = home_of(x, r->id);
    if (!x->stop && home->forget(home->self, r->id, &x->error))
        stop(x);
}

static void preempted(void *state, struct station_id station, const struct request *r)
{
    (void)station;
    drop(state, r);
}

static void evicted(void *state, struct station_id station, const struct request *r, sim_time at)
{
    (void)station, (void)at;
    drop(state, r);
}

static void finished(void *state, struct station_id station, const struct request *r)
{
    (void)station;
    forget(state, r);
}

static void lost(void *state, const struct request *r, sim_time at, const char *reason)
{
    (void)at, (void)reason;
    forget(state, r);
}

static void taken_over(void *state, struct station_id station, const struct request *r)
{
    struct engine_executor *x = state;
    (void)station;
    if (!x->moves_to || x->stop)
        return;
    int64_t start = clock_ns();
    const struct sequence *s = instance_sequence(x->instance, r->id);
    x->moved_blocks += s ? (int64_t)s->block_count : 0;
    struct engine_port *to = &x->moves_to->port;
    if (to->receive(to->self, x->instance, r->id, &x->error))
        stop(x);
    x->move_ns += clock_ns() - start;
}

struct observer engine_observer(struct engine_executor *x)
{
    return (struct observer){.state = x,
                             .preempted = preempted,
                             .evicted = evicted,
                             .finished = finished,
                             .lost = lost,
                             .taken_over = taken_over};
}
