/* SPDX-License-Identifier: MIT */
#include "simulation/alone.h"

/* A workload's requests, each arriving as the one before it ends. */
struct in_turn {
    struct request_source inner;
    sim_time free_at;
    bool busy;
};

static int next_in_turn(void *state, struct arrival *out, struct error *err)
{
    struct in_turn *t = state;
    int got = t->busy ? SOURCE_WAITS : t->inner.next(t->inner.state, out, err);
    if (got != 1)
        return got;
    out->at = t->free_at;
    t->busy = true;
    return 1;
}

static void ended(void *state, const struct request *r, sim_time at)
{
    struct in_turn *t = state;
    t->busy = false;
    t->free_at = at;
    if (t->inner.finished)
        t->inner.finished(t->inner.state, r, at);
}

static int run_in_turn(struct simulation *s, const volatile sig_atomic_t *stop, struct error *err)
{
    struct in_turn turn = {0};
    struct request_source source = {.next = next_in_turn, .finished = ended, .state = &turn};
    const struct simulation_options o = {.source = &source, .control = {.stop = stop}};
    if (scenario_open_workload(&s->scenario, &turn.inner, err))
        return -1;
    int status = simulation_run(s, &o, err);
    request_source_destroy(&turn.inner);
    return status;
}

int simulation_alone_check(const struct simulation *s, struct error *err)
{
    if (s->scenario.cluster.fleet_count == 0)
        return 0;
    return error_set(err, ERROR_INPUT,
                     "requests by themselves: not with failures or autoscaling, which happen at times of the run");
}

int simulation_alone(struct simulation *s, const volatile sig_atomic_t *stop, struct error *err)
{
    struct simulation *again = NULL;
    if (simulation_alone_check(s, err))
        return -1;
    struct json root = s->scenario.root;
    root.node = cJSON_Duplicate(root.node, 1);
    if (!root.node)
        return error_no_memory(err);
    if (simulation_open(root, &again, err))
        return -1;
    int status = run_in_turn(again, stop, err);
    if (status == 0 && !again->summary.totals.stopped)
        s->summary.alone = again->summary.all[METRIC_E2E];
    simulation_close(again);
    return status;
}

double simulation_contention(const struct simulation *s)
{
    return s->summary.all[METRIC_E2E].at[STAT_MEAN].value / s->summary.alone.at[STAT_MEAN].value;
}
