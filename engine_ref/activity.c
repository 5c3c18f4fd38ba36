/* SPDX-License-Identifier: MIT */
#include "engine_ref/activity.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/array.h"

void activity_log_clear(struct activity_log *log)
{
    log->count = 0;
    log->dropped = 0;
    log->out_of_memory = false;
}

void activity_log_release(struct activity_log *log)
{
    free(log->items);
    *log = (struct activity_log){0};
}

/* Times on the GPU that are not in order, or of an operation that there is not. */
static bool is_broken(const struct activity *a)
{
    return a->kind == ACTIVITY_RANGE ? (unsigned)a->op >= OP_COUNT : a->start < 0 || a->end < a->start;
}

void activity_add(struct activity_log *log, struct activity a)
{
    if (is_broken(&a)) {
        log->dropped++;
        return;
    }
    struct activity *grown = array_grow(log->items, &log->capacity, log->count + 1, sizeof *grown);
    if (!grown) {
        log->out_of_memory = true;
        return;
    }
    log->items = grown;
    log->items[log->count++] = a;
}

/* Of one correlation together: range, launch, kernels in order of start. */
static int by_correlation(const void *a, const void *b)
{
    static const int rank[] = {[ACTIVITY_RANGE] = 0, [ACTIVITY_LAUNCH] = 1, [ACTIVITY_KERNEL] = 2};
    const struct activity *x = a, *y = b;
    if (x->correlation != y->correlation)
        return x->correlation < y->correlation ? -1 : 1;
    if (x->kind != y->kind)
        return rank[x->kind] - rank[y->kind];
    return (x->start > y->start) - (x->start < y->start);
}

static int by_start(const void *a, const void *b)
{
    const struct activity *x = a, *y = b;
    bool kernel = x->kind == ACTIVITY_KERNEL, other = y->kind == ACTIVITY_KERNEL;
    if (kernel != other)
        return kernel ? -1 : 1; /* kernels first */
    return (x->start > y->start) - (x->start < y->start);
}

/* Stays at the end of its range where the sum is beyond it. */
static int64_t plus(int64_t a, int64_t b)
{
    return b > 0 && a > INT64_MAX - b ? INT64_MAX : b < 0 && a < INT64_MIN - b ? INT64_MIN : a + b;
}

static void add_kernel(const struct activity *k, const struct activity *launch, const struct activity *range,
                       struct activity_summary *out)
{
    int64_t ns = k->end - k->start;
    out->kernels++;
    out->graph_kernels += k->graph_node != 0;
    if (range) {
        out->op_ns[range->op] = plus(out->op_ns[range->op], ns);
        out->op_kernels[range->op]++;
    } else {
        out->other_ns = plus(out->other_ns, ns);
    }
    if (!launch) {
        out->unmatched++;
        return;
    }
    int64_t queued = k->start - launch->start;
    out->queue_ns = plus(out->queue_ns, queued);
    if (range)
        out->op_queue_ns[range->op] = plus(out->op_queue_ns[range->op], queued);
    if (k->graph_node == 0 && (out->least_queue_ns == 0 || queued < out->least_queue_ns))
        out->least_queue_ns = queued;
}

static void match(const struct activity_log *log, struct activity_summary *out)
{
    const struct activity *launch = NULL, *range = NULL;
    for (size_t i = 0; i < log->count; i++) {
        const struct activity *a = &log->items[i];
        if (launch && launch->correlation != a->correlation)
            launch = NULL;
        if (range && range->correlation != a->correlation)
            range = NULL;
        if (a->kind == ACTIVITY_RANGE)
            range = a;
        else if (a->kind == ACTIVITY_LAUNCH)
            launch = launch ? launch : a; /* a call may be made of others */
        else
            add_kernel(a, launch, range, out);
    }
}

/* Kernels may overlap; time with at least one of them counts once. */
static void measure_span(const struct activity_log *log, struct activity_summary *out)
{
    int64_t until = 0;
    for (size_t i = 0; i < log->count && log->items[i].kind == ACTIVITY_KERNEL; i++) {
        const struct activity *k = &log->items[i];
        int64_t from = i == 0 || k->start > until ? k->start : until;
        if (k->end > from)
            out->busy_ns += k->end - from;
        until = i == 0 || k->end > until ? k->end : until;
        out->span_ns = until - log->items[0].start;
    }
}

void activity_summarise(struct activity_log *log, struct activity_summary *out)
{
    *out = (struct activity_summary){.dropped = log->dropped};
    if (log->count == 0)
        return;
    qsort(log->items, log->count, sizeof *log->items, by_correlation);
    match(log, out);
    qsort(log->items, log->count, sizeof *log->items, by_start);
    measure_span(log, out);
    uint64_t matched = out->kernels - out->unmatched;
    bool waits = matched > 0 && (double)out->queue_ns > 2 * (double)out->least_queue_ns * (double)matched;
    out->bound = waits ? BOUND_BY_GPU : BOUND_BY_CPU;
}

void activity_to_profiler(const struct activity_summary *s, const uint64_t ranges[OP_COUNT], struct profiler *p)
{
    profiler_clear(p);
    for (int op = 0; op < OP_COUNT; op++) {
        p->ns[op] = s->op_ns[op];
        p->ranges[op] = ranges[op];
    }
}
