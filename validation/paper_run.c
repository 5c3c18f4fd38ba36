/* SPDX-License-Identifier: MIT */
#include "validation/paper_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "planner/capacity.h"
#include "planner/headroom.h"
#include "simulation/alone.h"
#include "validation/paper_figure.h"

const char *const paper_verdict_names[PAPER_VERDICTS] = {"reproduced", "direction only", "not reproduced",
                                                         "out of scope"};

/* A scenario that has run, or been searched: figures ask for it more than once. */
struct ran {
    char *scenario; /* text, owned */
    enum asked { ASKED_VALUES, ASKED_RATE, ASKED_SLO } asked;
    struct simulation *simulation; /* ASKED_VALUES */
    double found;                  /* else */
};

struct job {
    const struct paper *paper;
    const struct paper_options *options;
    const struct paper_claim *claim;
    size_t cell;
    struct ran *ran;
    size_t count, capacity, runs;
};

/* The band is a share of the effect, so that a figure of nothing is never within it; of the claim where nobody can say
 * what nothing is. */
static double band_of(const struct paper_claim *c, double end)
{
    return isfinite(end) ? c->band * fabs(isnan(c->neutral) ? end : end - c->neutral) : 0;
}

static bool inside(const struct paper_claim *c, double figure)
{
    return figure >= c->low - band_of(c, c->low) && figure <= c->high + band_of(c, c->high);
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
    if (c->out_of_scope)
        return PAPER_OUT_OF_SCOPE;
    if (!isfinite(figure))
        return PAPER_NOT_REPRODUCED;
    if (inside(c, figure))
        return c->stand_in ? PAPER_DIRECTION : PAPER_REPRODUCED;
    return right_way(c, figure) ? PAPER_DIRECTION : PAPER_NOT_REPRODUCED;
}

/* The entry of a run's scenario, and whether it is new. */
static struct ran *entry(struct job *job, const char *run, enum asked asked, bool *fresh, struct error *err)
{
    char *text = paper_scenario(job->paper, run, job->claim, job->cell, err);
    if (!text)
        return NULL;
    for (size_t i = 0; i < job->count; i++)
        if (job->ran[i].asked == asked && strcmp(job->ran[i].scenario, text) == 0) {
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
    job->ran[job->count] = (struct ran){.scenario = text, .asked = asked};
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

/* The mean E2E of the same requests by themselves, in seconds. */
static int ideal_of(struct job *job, struct ran *ran, double *out, struct error *err)
{
    struct simulation *s = ran->simulation;
    if (s->summary.alone.count == 0) {
        job->runs++;
        if (simulation_alone(s, job->options->stop, err))
            return -1;
        if (job->options->stop && *job->options->stop)
            return error_set(err, ERROR_RUN, "interrupted");
    }
    *out = s->summary.alone.at[STAT_MEAN].value * 1e-9;
    return 0;
}

static int value_of(void *state, const char *run, const char *name, double *out, struct error *err)
{
    struct job *job = state;
    bool fresh;
    struct ran *ran = entry(job, run, ASKED_VALUES, &fresh, err);
    if (!ran)
        return -1;
    if (fresh && simulate(job, ran, err)) {
        simulation_close(ran->simulation);
        cJSON_free(ran->scenario);
        job->count--;
        return blame(job, run, err);
    }
    if (strcmp(name, FIGURE_IDEAL) == 0)
        return ideal_of(job, ran, out, err) ? blame(job, run, err) : 0;
    figure_run_value(ran->simulation, name, out);
    return 0;
}

/* By few replications: what the papers measured once. */
static int search_rate(struct job *job, struct ran *ran, struct error *err)
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
    ran->found = h.rate.kind == CAPACITY_FOUND  ? h.rate.value * h.base_per_s
                 : h.rate.kind == CAPACITY_NONE ? 0
                                                : INFINITY;
    return 0;
}

static bool is_limits(const cJSON *at)
{
    size_t length = at->string ? strlen(at->string) : 0;
    return cJSON_IsObject(at) && length > 2 && strcmp(at->string + length - 2, "_s") == 0;
}

static void scale_limits(cJSON *slo, double factor)
{
    for (cJSON *child = slo ? slo->child : NULL; child; child = child->next) {
        if (!is_limits(child)) {
            scale_limits(child, factor);
            continue;
        }
        for (cJSON *limit = child->child; limit; limit = limit->next)
            cJSON_SetNumberHelper(limit, limit->valuedouble * factor);
    }
}

static int meets(struct job *job, const char *scenario, double factor, bool *out, struct error *err)
{
    struct json root;
    struct simulation *s = NULL;
    struct simulation_options o = {.control = {.stop = job->options->stop}, .step = job->options->step};
    if (json_parse(scenario, job->paper->id, &root, err))
        return -1;
    scale_limits(cJSON_GetObjectItemCaseSensitive(root.node, "slo"), factor);
    if (simulation_open(root, &s, err))
        return -1;
    job->runs++;
    int status = simulation_run(s, &o, err);
    if (status == 0 && s->summary.totals.stopped)
        status = error_set(err, ERROR_RUN, "interrupted");
    *out = s->summary.slo.met;
    simulation_close(s);
    return status;
}

/* By bisection of the logarithm, to a hundredth. */
static int search_slo(struct job *job, struct ran *ran, struct error *err)
{
    double low = 1.0 / 64, high = 64;
    bool met = false;
    if (meets(job, ran->scenario, high, &met, err))
        return -1;
    ran->found = met ? high : INFINITY;
    while (met && high / low > 1.01) {
        double middle = sqrt(low * high);
        bool holds = false;
        if (meets(job, ran->scenario, middle, &holds, err))
            return -1;
        *(holds ? &high : &low) = middle;
        ran->found = high;
    }
    return 0;
}

static int searched(struct job *job, const char *run, enum asked asked,
                    int (*find)(struct job *job, struct ran *ran, struct error *err), double *out, struct error *err)
{
    bool fresh;
    struct ran *ran = entry(job, run, asked, &fresh, err);
    if (!ran)
        return -1;
    if (fresh && find(job, ran, err)) {
        cJSON_free(ran->scenario);
        job->count--;
        return blame(job, run, err);
    }
    *out = ran->found;
    return 0;
}

static int largest_rate_of(void *state, const char *run, double *out, struct error *err)
{
    return searched(state, run, ASKED_RATE, search_rate, out, err);
}

static int tightest_slo_of(void *state, const char *run, double *out, struct error *err)
{
    return searched(state, run, ASKED_SLO, search_slo, out, err);
}

static double taken(const struct paper_claim *c, const double *cells)
{
    double figure = cells[0];
    for (size_t i = 1; i < c->cells; i++)
        figure = c->take == TAKE_MOST    ? fmax(figure, cells[i])
                 : c->take == TAKE_LEAST ? fmin(figure, cells[i])
                                         : figure + cells[i];
    return c->take == TAKE_MEAN ? figure / (double)c->cells : figure;
}

static int run_claim(struct job *job, struct claim_result *out, struct error *err)
{
    const struct figure_source source = {value_of, largest_rate_of, tightest_slo_of, job};
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
    bool judged = false;
    *out = (struct paper_result){.verdict = PAPER_REPRODUCED};
    for (size_t i = 0; status == 0 && i < p->claim_count; i++) {
        job.claim = &p->claims[i];
        status = run_claim(&job, &out->claims[i], err);
        enum paper_verdict v = out->claims[i].verdict;
        if (v != PAPER_OUT_OF_SCOPE && out->verdict < v)
            out->verdict = v;
        judged |= v != PAPER_OUT_OF_SCOPE;
    }
    if (!judged)
        out->verdict = PAPER_OUT_OF_SCOPE;
    out->runs = job.runs;
    forget(&job);
    return status ? -1 : memory_check(err);
}
