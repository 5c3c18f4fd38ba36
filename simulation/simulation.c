/* SPDX-License-Identifier: MIT */
#include "simulation/simulation.h"

#include <stdlib.h>
#include <time.h>

#include "reports/stats/analytic.h"
#include "simulation/parts.h"

static double wall_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int simulation_open(struct json root, struct simulation **out, struct error *err)
{
    return simulation_open_with(root, NULL, out, err);
}

int simulation_open_with(struct json root, struct shared_costs *costs, struct simulation **out, struct error *err)
{
    struct simulation *s = calloc(1, sizeof *s);
    if (!s) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return error_no_memory(err);
    }
    if (scenario_compile_with(&s->scenario, root, costs, err)) {
        free(s);
        return -1;
    }
    if (memory_check(err)) { /* what was taken for absent may have been lost */
        simulation_close(s);
        return -1;
    }
    *out = s;
    return 0;
}

/* Where rows go that the scenario asks for; those of a run before, which nobody kept, go. */
static int direct_rows(struct simulation *s, const struct simulation_options *o, struct error *err)
{
    s->metrics.sink = o->rows;
    if (o->store)
        store_drop_rows(o->store);
    if (!o->store || !scenario_keeps_rows(&s->scenario))
        return 0;
    if (store_keep_rows(o->store, err))
        return -1;
    s->metrics.sink = store_sink(o->store);
    return 0;
}

static int run_whole(struct simulation *s, const struct simulation_options *o, struct cluster_totals *totals,
                     struct error *err)
{
    struct request_source own = {0}, *source = o->source ? o->source : &own;
    struct observer observer = run_metrics_observer(&s->metrics);
    struct session_stats *sessions = &s->metrics.sessions;
    struct observer turns = session_stats_observer(sessions);
    if (source == &own && scenario_open_workload(&s->scenario, &own, err))
        return -1;
    turns.next = o->observers;
    observer.next = source->sessions ? &turns : o->observers;
    if (source->sessions)
        session_stats_init(sessions);
    int status = cluster_run(&s->scenario.cluster, source, &observer, &o->control, totals, err);
    size_t count = 0;
    if (source->sessions) {
        const struct session_record *records = source->sessions(source->state, &count);
        session_stats_take(sessions, records, count);
    }
    request_source_destroy(&own);
    return status;
}

/* Metrics of nothing yet. */
static int begin_metrics(struct simulation *s, const struct simulation_options *o, struct error *err)
{
    if (run_metrics_init(&s->metrics, &s->scenario, err) || direct_rows(s, o, err))
        return -1;
    return o->sustainable
               ? analytic_capacity_per_s(&s->scenario, &s->metrics.sustainable_per_s, &s->metrics.serving_per_s, err)
               : 0;
}

/* What goes wrong in parts is tried again, and told of, by one thread. */
static int run(struct simulation *s, const struct simulation_options *o, struct cluster_totals *totals,
               struct error *err)
{
    s->scenario.cluster.step |= o->step;
    size_t parts = parts_of(s, o);
    if (begin_metrics(s, o, err))
        return -1;
    if (parts > 1) {
        if (parts_run(s, o, parts, totals))
            return 0;
        run_metrics_release(&s->metrics);
        if (begin_metrics(s, o, err))
            return -1;
    }
    return run_whole(s, o, totals, err);
}

int simulation_run(struct simulation *s, const struct simulation_options *o, struct error *err)
{
    static const struct simulation_options usual = {0};
    struct cluster_totals totals = {0};
    double started = wall_clock_s();
    o = o ? o : &usual;
    if (run(s, o, &totals, err) || run_metrics_summarise(&s->metrics, &s->scenario, &totals, &s->summary, err) ||
        memory_check(err))
        return -1;
    s->wall_s = wall_clock_s() - started;
    return 0;
}

int64_t simulation_keep(const struct simulation *s, struct store *store, struct error *err)
{
    return store_save_run(store, &s->scenario, &s->metrics, &s->summary, s->wall_s, err);
}

void simulation_close(struct simulation *s)
{
    if (!s)
        return;
    run_metrics_release(&s->metrics);
    scenario_release(&s->scenario);
    free(s);
}
