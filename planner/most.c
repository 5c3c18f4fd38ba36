/* SPDX-License-Identifier: MIT */
#include "planner/most.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUGH_REPLICATIONS = 4 };

static const double rough_tolerance = 0.1;

static double start_of(const struct plan *p, const struct most_of_family *o)
{
    double bears = o->family->capacity_per_s * (double)o->units / (o->family->error.factor * p->rate_per_s);
    if (p->aim == AIM_SLO || !isfinite(bears) || !(bears > 0))
        return 1;
    return 0.8 * bears;
}

/* A capacity that was found, or met at the last load looked at. */
static double value_of(const struct capacity *c)
{
    return c->kind == CAPACITY_FOUND ? c->value : c->kind == CAPACITY_UNBOUNDED ? c->low : 0;
}

static double upper_of(const struct capacity *c)
{
    return c->kind == CAPACITY_FOUND ? c->high : value_of(c);
}

static double rank_at(const struct plan *p, const struct most_of_family *o, double value)
{
    if (!(value > 0))
        return -INFINITY;
    return p->aim == AIM_TOKEN_COST ? value * p->rate_per_s / o->bill.cost_per_h : value;
}

/* Tokens of a second at the rate that was found: of one more look there. */
static int ask_tokens(const struct plan *p, struct most_of_family *o, const char *scenario, struct trial_pool *pool,
                      struct error *err)
{
    double scales[SCALE_COUNT];
    struct point point, *list = &point;
    family_scales(o->family, scales);
    if (p->aim != AIM_SLO)
        scales[SCALE_RATE] = o->capacity.kind == CAPACITY_FOUND ? o->capacity.low : value_of(&o->capacity);
    point_init(&point, scenario, scales, p->seed);
    int status = points_replicate(&list, 1, ROUGH_REPLICATIONS, pool, err);
    o->tokens_per_s = status ? NAN : point_tokens_per_s(&point, p->rate_per_s);
    point_release(&point);
    return status;
}

static int look(const struct plan *p, struct most_of_family *o, bool rough, struct trial_pool *pool, struct error *err)
{
    double scales[SCALE_COUNT];
    char *scenario = family_scenario(p, o->family, o->units);
    if (!scenario)
        return error_no_memory(err);
    family_scales(o->family, scales);
    struct capacity_question q = {.scenario = scenario,
                                  .scale = p->aim == AIM_SLO ? SCALE_LIMITS : SCALE_RATE,
                                  .base = scales,
                                  .start = o->capacity.value > 0 ? o->capacity.value : start_of(p, o),
                                  .tolerance = rough ? fmax(rough_tolerance, p->tolerance) : p->tolerance,
                                  .seed = p->seed,
                                  .effort = p->effort};
    if (rough && q.effort.most > ROUGH_REPLICATIONS)
        q.effort.most = ROUGH_REPLICATIONS;
    int status = capacity_find(&q, pool, &o->capacity, err);
    if (status == 0 && value_of(&o->capacity) > 0)
        status = ask_tokens(p, o, scenario, pool, err);
    o->refined = !rough;
    o->rank = rank_at(p, o, value_of(&o->capacity));
    free(scenario);
    return status;
}

static int compare(const void *a, const void *b)
{
    const struct most_of_family *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? 1 : -1;
    return (x->bill.cost_per_h > y->bill.cost_per_h) - (x->bill.cost_per_h < y->bill.cost_per_h);
}

static int look_at_all(struct plan_most *m, struct trial_pool *pool, struct error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        struct most_of_family *o = &m->list[i];
        *o = (struct most_of_family){.family = &m->families[i], .rank = -INFINITY};
        if (o->family->refused[0] || !(o->units = family_most(m->plan, o->family)))
            continue;
        family_bill(m->plan, o->family, o->units, &o->bill);
        if (pool->watch->progress)
            pool->watch->progress(pool->watch->state, o->family->label, (double)i, (double)m->count);
        if (look(m->plan, o, true, pool, err))
            return -1;
    }
    qsort(m->list, m->count, sizeof *m->list, compare);
    return 0;
}

/* Until the first has been looked at closely, and none behind it could be better. */
static int refine(struct plan_most *m, struct trial_pool *pool, struct error *err)
{
    for (;;) {
        struct most_of_family *next = NULL;
        for (size_t i = 0; i < m->count && !next; i++) {
            struct most_of_family *o = &m->list[i];
            double hoped = o->rank > -INFINITY ? rank_at(m->plan, o, upper_of(&o->capacity)) : -INFINITY;
            if (!o->refined && hoped > -INFINITY && (i == 0 || hoped >= m->list[0].rank))
                next = o;
        }
        if (!next)
            return 0;
        if (look(m->plan, next, false, pool, err))
            return -1;
        qsort(m->list, m->count, sizeof *m->list, compare);
    }
}

int plan_most_find(struct plan_most *m, const struct plan *plan, struct trial_pool *pool, struct error *err)
{
    *m = (struct plan_most){.plan = plan};
    if (families_make(plan, &m->families, &m->count, err))
        return -1;
    m->list = calloc(m->count, sizeof *m->list);
    if (!m->list)
        return error_no_memory(err);
    return look_at_all(m, pool, err) || refine(m, pool, err) ? -1 : 0;
}

void plan_most_release(struct plan_most *m)
{
    free(m->list);
    families_release(m->families, m->families ? m->count : 0);
    *m = (struct plan_most){0};
}

bool plan_most_found(const struct plan_most *m)
{
    return m->count > 0 && m->list[0].rank > -INFINITY;
}

static void add_number(cJSON *o, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(o, key, value);
    else
        cJSON_AddNullToObject(o, key);
}

cJSON *plan_most_json(const struct plan_most *m)
{
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "families");
    cJSON_AddStringToObject(root, "name", m->plan->name);
    cJSON_AddStringToObject(root, "objective", aim_names[m->plan->aim]);
    add_number(root, "rate_per_s", m->plan->rate_per_s);
    for (size_t i = 0; i < m->count; i++) {
        const struct most_of_family *o = &m->list[i];
        double rate = m->plan->aim == AIM_SLO ? 1 : m->plan->rate_per_s;
        cJSON *at = cJSON_CreateObject();
        cJSON_AddStringToObject(at, "label", o->family->label);
        cJSON_AddStringToObject(at, "refused", o->family->refused);
        add_number(at, "units", (double)o->units);
        add_number(at, m->plan->aim == AIM_SLO ? "tightened" : "requests_per_s", value_of(&o->capacity) * rate);
        add_number(at, "low", o->capacity.vague ? NAN : o->capacity.low * rate);
        add_number(at, "high", o->capacity.vague ? NAN : upper_of(&o->capacity) * rate);
        add_number(at, "tokens_per_s", o->tokens_per_s);
        add_number(at, "gpus_needed", o->bill.gpus);
        add_number(at, "gpus_to_buy", o->bill.bought);
        add_number(at, "nodes", o->bill.nodes);
        add_number(at, "cost_per_h", o->bill.cost_per_h);
        add_number(at, "cost_per_million_tokens",
                   o->tokens_per_s > 0 ? o->bill.cost_per_h / 3600 / o->tokens_per_s * 1e6 : (double)NAN);
        cJSON_AddBoolToObject(at, "refined", o->refined);
        cJSON_AddItemToArray(list, at);
    }
    return root;
}
