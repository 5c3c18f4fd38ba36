/* SPDX-License-Identifier: MIT */
#include "validation/paper_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "planner/capacity.h"
#include "planner/headroom.h"
#include "simulation/simulation.h"
#include "validation/paper_figure.h"

const char *const paper_verdict_names[PAPER_VERDICTS] = {"reproduced", "direction only", "not reproduced",
                                                         "out of scope"};

/* A scenario that has run, or been searched: figures ask for it more than once. */
struct ran {
    char *scenario; /* text, owned */
    struct simulation *simulation; /* NULL: it was searched */
    double rate;
};

struct job {
    const struct paper *paper;
    const struct paper_options *options;
    const struct paper_claim *claim;
    size_t cell;
    struct ran *ran;
    size_t count, capacity, runs;
};

static bool inside(const struct paper_claim *c, double figure)
{
    double low = isfinite(c->low) ? c->low - c->band * fabs(c->low) : c->low;
    double high = isfinite(c->high) ? c->high + c->band * fabs(c->high) : c->high;
    return figure >= low && figure <= high;
}

/* The claimed effect that is nearest to none. */
static bool right_way(const struct paper_claim *c, double figure)
{
    const double least = 0.1;
    double low = c->low - c->neutral, high = c->high - c->neutral, effect = fabs(low) < fabs(high) ? low : high;
    return isfinite(effect) && effect != 0 && (figure - c->neutral) / effect >= least;
}

enum paper_verdict paper_judge(const struct paper_claim *c, double figure)
{
    if (!isfinite(figure))
        return PAPER_NOT_REPRODUCED;
    if (inside(c, figure))
        return c->stand_in ? PAPER_DIRECTION : PAPER_REPRODUCED;
    return right_way(c, figure) ? PAPER_DIRECTION : PAPER_NOT_REPRODUCED;
}

/* The entry of a run's scenario, and whether it is new. */
static struct ran *entry(struct job *job, const char *run, bool searched, bool *fresh, struct error *err)
{
    char *text = paper_scenario(job->paper, run, job->claim, job->cell, err);
    if (!text)
        return NULL;
    for (size_t i = 0; i < job->count; i++)
        if ((job->ran[i].simulation == NULL) == searched && strcmp(job->ran[i].scenario, text) == 0) {
            cJSON_free(text);
            *fresh = false;
            return &job->ran[i];
        }
    struct ran *grown = array_grow(job->ran, &job->capacity, job->count + 1, sizeof *grown);
    if (!grown) {
        cJSON_free(text);
        error_no_memory(err);
        return NULL;
    }
    job->ran = grown;
    job->ran[job->count] = (struct ran){.scenario = text};
    *fresh = true;
    return &job->ran[job->count++];
}

static int simulate(struct job *job, struct ran *ran, struct error *err)
{
    struct json root;
    struct simulation_options o = {.control = {.stop = job->options->stop}, .step = job->options->step};
    if (json_parse(ran->scenario, job->paper->id, &root, err) || simulation_open(root, &ran->simulation, err))
        return -1;
    job->runs++;
    if (simulation_run(ran->simulation, &o, err))
        return -1;
    return ran->simulation->summary.totals.stopped ? error_set(err, ERROR_RUN, "interrupted") : 0;
}

/* Says which paper and run it was. */
static int blame(const struct job *job, const char *run, struct error *err)
{
    struct error own = *err;
    return error_set(err, own.code, "paper %s, run %s: %s", job->paper->id, run, own.text);
}

static int value_of(void *state, const char *run, const char *name, double *out, struct error *err)
{
    struct job *job = state;
    bool fresh;
    struct ran *ran = entry(job, run, false, &fresh, err);
    if (!ran)
        return -1;
    if (fresh && simulate(job, ran, err)) {
        simulation_close(ran->simulation);
        cJSON_free(ran->scenario);
        job->count--;
        return blame(job, run, err);
    }
    figure_run_value(ran->simulation, name, out);
    return 0;
}

/* By few replications: what the papers measured once. */
static int search(struct job *job, struct ran *ran, struct error *err)
{
    struct planner_watch watch = {.stop = job->options->stop};
    struct json root;
    struct plan plan;
    struct trial_pool pool;
    struct headroom h;
    if (json_parse(ran->scenario, job->paper->id, &root, err))
        return -1;
    cJSON *wrapped = headroom_plan((cJSON *)(uintptr_t)root.node);
    if (!wrapped)
        return error_no_memory(err);
    root.node = wrapped;
    if (plan_read(&plan, root, err))
        return -1;
    plan.effort.most = 4;
    plan.tolerance = 0.05;
    int status = thread_pool_create(job->options->threads, &watch, &pool, err);
    if (status == 0) {
        status = headroom_find(&plan, &pool, &h, err);
        job->runs += pool.trials;
        trial_pool_destroy(&pool);
    }
    plan_release(&plan);
    if (status)
        return -1;
    ran->rate = h.rate.kind == CAPACITY_FOUND ? h.rate.value * h.base_per_s
                : h.rate.kind == CAPACITY_NONE ? 0
                                               : INFINITY;
    return 0;
}

static int largest_rate_of(void *state, const char *run, double *out, struct error *err)
{
    struct job *job = state;
    bool fresh;
    struct ran *ran = entry(job, run, true, &fresh, err);
    if (!ran)
        return -1;
    if (fresh && search(job, ran, err)) {
        cJSON_free(ran->scenario);
        job->count--;
        return blame(job, run, err);
    }
    *out = ran->rate;
    return 0;
}

static double taken(const struct paper_claim *c, const double *cells)
{
    double figure = cells[0];
    for (size_t i = 1; i < c->cells; i++)
        figure = c->take == TAKE_MOST ? fmax(figure, cells[i])
                 : c->take == TAKE_LEAST ? fmin(figure, cells[i])
                                         : figure + cells[i];
    return c->take == TAKE_MEAN ? figure / (double)c->cells : figure;
}

static int run_claim(struct job *job, struct claim_result *out, struct error *err)
{
    const struct figure_source source = {value_of, largest_rate_of, job};
    const struct paper_claim *c = job->claim;
    *out = (struct claim_result){.cells = {NAN}, .figure = NAN};
    for (job->cell = 0; c->figure.node && job->cell < c->cells; job->cell++)
        if (figure_compute(&c->figure, &source, &out->cells[job->cell], err))
            return -1;
    out->figure = taken(c, out->cells);
    out->verdict = paper_judge(c, out->figure);
    return 0;
}

static void forget(struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        simulation_close(job->ran[i].simulation);
        cJSON_free(job->ran[i].scenario);
    }
    free(job->ran);
}

int paper_run(const struct paper *p, const struct paper_options *o, struct paper_result *out, struct error *err)
{
    struct job job = {.paper = p, .options = o};
    int status = 0;
    *out = (struct paper_result){.verdict = p->out_of_scope ? PAPER_OUT_OF_SCOPE : PAPER_REPRODUCED};
    for (size_t i = 0; status == 0 && i < p->claim_count; i++) {
        job.claim = &p->claims[i];
        status = run_claim(&job, &out->claims[i], err);
        if (out->verdict < out->claims[i].verdict)
            out->verdict = out->claims[i].verdict;
    }
    out->runs = job.runs;
    forget(&job);
    return status;
}
