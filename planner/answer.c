/* SPDX-License-Identifier: MIT */
#include "planner/answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "profiles/engine.h"

/* Replications of a size that is looked at because an input may be off. */
enum { UNITS_MOST = 8 };

/* What is asked around the answer moves no recommendation: points that replications would hardly decide are given up,
 * which makes intervals wider and needs larger, never a verdict less sure. */
static struct effort effort_around(const struct plan *p)
{
    struct effort effort = p->effort;
    effort.least_chance = 0.1;
    return effort;
}

static void tell(const struct plan_search *s, const char *what, double done, double of)
{
    if (s->pool->watch->progress)
        s->pool->watch->progress(s->pool->watch->state, what, done, of);
}

static struct sized *chosen_size(struct plan_search *s)
{
    return contender_size(s->plan, s->chosen, s->chosen->high);
}

/* The first statistics that the SLO limits for all requests, as {"ttft_s": {"p95": 1}}. */
static void find_limited(struct plan_answer *a, const struct plan *p)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(p->scenario.node, "slo"), *metric, *limit;
    cJSON_ArrayForEach(metric, slo)
    {
        cJSON_ArrayForEach(limit, metric)
        {
            struct trial_result none = {0};
            double ignored;
            char name[100];
            if (a->limited_count == CURVE_VALUES || !metric->string || !limit->string || !cJSON_IsNumber(limit))
                continue;
            snprintf(name, sizeof name, "%s.%s", metric->string, limit->string);
            if (strlen(name) >= sizeof a->limited[0] || !trial_value(&none, name, &ignored))
                continue;
            a->limits[a->limited_count] = limit->valuedouble;
            memcpy(a->limited[a->limited_count++], name, strlen(name) + 1);
        }
    }
}

/* The rate's curve begins well below the rate that is to be served. */
static int look_below(struct plan_answer *a, const struct plan_search *s, const struct sized *size, struct error *err)
{
    static const double shares[] = {0.25, 0.5, 0.75};
    struct capacity *c = &a->headroom[SCALE_RATE];
    struct point points[3], *list[3];
    for (int i = 0; i < 3; i++) {
        double scales[SCALE_COUNT];
        family_scales(s->chosen->family, scales);
        scales[SCALE_RATE] = shares[i];
        point_init(&points[i], size->scenario, scales, s->plan->seed);
        list[i] = &points[i];
    }
    int status = points_replicate(list, 3, 4, s->pool, err);
    for (int i = 3; status == 0 && i-- > 0;) {
        if (points[i].failed || c->curve_count == CURVE_MAX || (c->curve_count > 0 && c->curve[0].load <= shares[i]))
            continue;
        memmove(c->curve + 1, c->curve, c->curve_count++ * sizeof *c->curve);
        c->curve[0] = (struct load_seen){.load = shares[i]};
        for (size_t k = 0; k < a->limited_count; k++)
            c->curve[0].values[k] = point_mean(&points[i], a->limited[k], 0.95).value;
    }
    for (int i = 0; i < 3; i++)
        point_release(&points[i]);
    return status;
}

static int ask_headroom(struct plan_answer *a, struct plan_search *s, struct error *err)
{
    struct sized *size = chosen_size(s);
    double scales[SCALE_COUNT];
    if (!size)
        return error_no_memory(err);
    family_scales(s->chosen->family, scales);
    find_limited(a, s->plan);
    const char *names[CURVE_VALUES];
    for (size_t i = 0; i < a->limited_count; i++)
        names[i] = a->limited[i];
    for (int i = 0; i < SCALE_ASKED; i++) {
        struct capacity_question q = {.scenario = size->scenario,
                                      .scale = (enum scale)i,
                                      .base = scales,
                                      .curve = names,
                                      .curve_count = i == SCALE_RATE ? a->limited_count : 0,
                                      .start = scales[i],
                                      .tolerance = s->plan->tolerance,
                                      .seed = s->plan->seed,
                                      .effort = effort_around(s->plan)};
        tell(s, "headroom", i, SCALE_ASKED);
        if (capacity_find(&q, s->pool, &a->headroom[i], err))
            return -1;
    }
    return a->limited_count > 0 ? look_below(a, s, size, err) : 0;
}

static int ask_one_lost(struct plan_answer *a, struct plan_search *s, struct error *err)
{
    if (s->chosen->high < 2)
        return 0;
    struct sized *size = contender_size(s->plan, s->chosen, s->chosen->high - 1);
    if (!size)
        return error_no_memory(err);
    struct point *p = &size->point;
    if (points_decide(&p, 1, &s->plan->effort, s->pool, err))
        return -1;
    a->one_lost = (struct one_lost){.asked = true,
                                    .verdict = p->verdict,
                                    .margin = point_margin(p, 0.95),
                                    .typical = point_typical_margin(p)};
    snprintf(a->one_lost.binding, sizeof a->one_lost.binding, "%s", point_binding(p));
    return 0;
}

/* As far as eight replications say. */
static int holds_with(struct plan_search *s, const struct contender *c, const struct units_question *q, size_t units,
                      bool *holds, struct error *err)
{
    struct effort effort = effort_around(s->plan);
    struct point p, *list = &p;
    char *scenario = family_scenario(s->plan, c->family, units);
    if (!scenario)
        return error_no_memory(err);
    effort.most = effort.most < UNITS_MOST ? effort.most : UNITS_MOST;
    point_init(&p, scenario, q->scales, s->plan->seed);
    int status = points_decide(&list, 1, &effort, s->pool, err);
    *holds = p.verdict == HOLDS;
    point_release(&p);
    free(scenario);
    return status;
}

int units_needed(struct plan_search *s, const struct contender *c, const struct units_question *q, size_t *out,
                 struct error *err)
{
    size_t low = q->low, high = q->high, step = 1, most = high ? high - 1 : c->most;
    size_t units = q->start > most ? most : q->start <= low ? low + 1 : q->start;
    *out = 0;
    while (high ? high - low > 1 : low < c->most) {
        bool holds = false;
        if (holds_with(s, c, q, units, &holds, err))
            return -1;
        *(holds ? &high : &low) = units;
        if (high == 0)
            units = low + step < c->most ? low + step : c->most;
        else if (low == q->low)
            units = high > low + step ? high - step : low + 1;
        else
            units = (low + high) / 2;
        step *= 2;
    }
    *out = high;
    return 0;
}

/* A larger rate needs no fewer units; of lengths nothing is taken for granted. */
static int needed_when_scaled(struct plan_search *s, const struct contender *c, enum scale scale, double factor,
                              size_t *out, struct error *err)
{
    double scales[SCALE_COUNT];
    bool orderly = scale == SCALE_RATE || scale == SCALE_TIME;
    struct units_question q = {.scales = scales,
                               .start = (size_t)fmax(1, ceil((double)c->high * factor)),
                               .low = orderly && factor > 1 ? c->high - 1 : 0,
                               .high = orderly && factor < 1 ? c->high : 0};
    family_scales(c->family, scales);
    scales[scale] *= factor;
    return units_needed(s, c, &q, out, err);
}

/* How far kernel times may be off is known where the engine was calibrated: by what nine in ten loads that it did not
 * fit stayed below. */
static int share_off(const struct plan_search *s, enum scale scale, double *out, struct error *err)
{
    const struct json root = {.node = s->chosen->family->scenario, .file = "scenario"},
                      at = json_member(&root, "engine");
    struct engine engine;
    struct error own = {0};
    *out = s->plan->sensitivity;
    if (scale != SCALE_TIME)
        return 0;
    if (engine_read(&at, &engine, &own)) {
        *err = own;
        return error_is_of_machine(&own) ? -1 : 0;
    }
    if (engine.errors.points > 0)
        *out = fmin(0.9, fmax(0.01, engine.errors.tpot.p90));
    return 0;
}

static int ask_sensitivity(struct plan_answer *a, struct plan_search *s, struct error *err)
{
    for (int i = 0; s->plan->sensitivity > 0 && i < NEEDS_MAX; i++) {
        struct needed *n = &a->needs[a->need_count];
        double share;
        if (i / 2 == SCALE_TIME && s->chosen->family->error.known) /* what it may be is asked by itself */
            continue;
        if (share_off(s, (enum scale)(i / 2), &share, err))
            return -1;
        *n = (struct needed){.scale = (enum scale)(i / 2), .factor = i % 2 ? 1 + share : 1 - share};
        tell(s, "sensitivity", i, NEEDS_MAX);
        if (needed_when_scaled(s, s->chosen, n->scale, n->factor, &n->chosen, err) ||
            (s->runner_up && needed_when_scaled(s, s->runner_up, n->scale, n->factor, &n->runner_up, err)))
            return -1;
        a->need_count++;
        double chosen = n->chosen ? family_objective(s->plan, s->chosen->family, n->chosen) : INFINITY;
        double other = n->runner_up ? family_objective(s->plan, s->runner_up->family, n->runner_up) : INFINITY;
        n->runner_up_is_cheaper = other < chosen * (1 - 1e-9);
    }
    return 0;
}

static int ask_certainty(struct plan_answer *a, struct plan_search *s, struct error *err)
{
    const struct capacity *time = &a->headroom[SCALE_TIME];
    double bears = time->kind == CAPACITY_UNBOUNDED ? time->low : time->kind == CAPACITY_FOUND ? time->value : NAN;
    tell(s, "how sure", 0, 0);
    return certainty_find(&a->certainty, s, bears, err);
}

/* A few larger sizes of the two best, to see what more money buys. */
static int look_further(struct plan_search *s, struct error *err)
{
    static const double factors[] = {1.1, 1.25, 1.5, 2};
    struct contender *const both[] = {s->chosen, s->runner_up};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; both[k] && i < sizeof factors / sizeof *factors; i++) {
            size_t units = (size_t)ceil((double)both[k]->high * factors[i] - 1e-9);
            if (units > both[k]->most)
                continue;
            struct sized *size = contender_size(s->plan, both[k], units);
            struct point *p = size ? &size->point : NULL;
            tell(s, "what more would buy", (double)i, sizeof factors / sizeof *factors);
            if (!size)
                return error_no_memory(err);
            if (points_decide(&p, 1, &s->plan->effort, s->pool, err))
                return -1;
        }
    return 0;
}

static double mean_of(const struct point *p, const char *name)
{
    return point_mean(p, name, 0.95).value;
}

static int add_buy(struct plan_answer *a, size_t *capacity, const struct plan_search *s, const struct contender *c,
                   const struct sized *size, struct error *err)
{
    struct buy *grown = array_grow(a->buys, capacity, a->buy_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    a->buys = grown;
    const struct point *p = &size->point;
    double cost = 0;
    for (size_t i = 0; i < p->count; i++)
        cost += plan_cost_per_h(s->plan, &p->results[i]) / (double)p->count;
    grown[a->buy_count++] = (struct buy){.contender = c,
                                         .units = size->units,
                                         .objective = contender_objective(s->plan, c, size->units),
                                         .cost_per_h = cost,
                                         .gpus = mean_of(p, "gpus"),
                                         .ttft_p99_s = mean_of(p, "ttft_s.p99"),
                                         .tpot_p99_s = mean_of(p, "tpot_s.p99"),
                                         .attainment = mean_of(p, "attainment"),
                                         .verdict = p->verdict};
    return 0;
}

static int compare_buys(const void *a, const void *b)
{
    const struct buy *x = a, *y = b;
    if (x->objective != y->objective)
        return x->objective > y->objective ? 1 : -1;
    return (x->ttft_p99_s > y->ttft_p99_s) - (x->ttft_p99_s < y->ttft_p99_s);
}

static int make_front(struct plan_answer *a, struct plan_search *s, struct error *err)
{
    size_t capacity = 0;
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->contenders[i].count; k++) {
            const struct sized *size = &s->contenders[i].sizes[k];
            if (size->point.count > 0 && !size->point.failed && !point_overloaded(&size->point) &&
                add_buy(a, &capacity, s, &s->contenders[i], size, err))
                return -1;
        }
    if (a->buy_count > 0)
        qsort(a->buys, a->buy_count, sizeof *a->buys, compare_buys);
    double best = INFINITY;
    for (size_t i = 0; i < a->buy_count; i++) {
        bool of_use = !(a->buys[i].attainment < 0.5);
        a->buys[i].on_front = of_use && a->buys[i].ttft_p99_s < best;
        best = of_use ? fmin(best, a->buys[i].ttft_p99_s) : best;
    }
    return 0;
}

int plan_answer_make(struct plan_answer *a, struct plan_search *s, struct error *err)
{
    *a = (struct plan_answer){0};
    return ask_headroom(a, s, err) || ask_one_lost(a, s, err) || ask_certainty(a, s, err) ||
                   ask_sensitivity(a, s, err) || look_further(s, err) || make_front(a, s, err)
               ? -1
               : 0;
}

void plan_answer_release(struct plan_answer *a)
{
    free(a->buys);
    a->buys = NULL;
}
