/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "planner/answer.h"

static const char *const verdicts[] = {"undecided", "holds", "breaks"};
static const char *const fates[] = {"open", "found", "dearer", "limited", "refused"};

static void add_number(cJSON *o, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(o, key, value);
    else
        cJSON_AddNullToObject(o, key);
}

static void add_estimate(cJSON *o, const char *key, struct estimate e)
{
    cJSON *list = cJSON_AddArrayToObject(o, key);
    const double values[] = {e.value, e.low, e.high};
    for (int i = 0; i < 3; i++)
        cJSON_AddItemToArray(list, isfinite(values[i]) ? cJSON_CreateNumber(values[i]) : cJSON_CreateNull());
}

static void add_words(cJSON *o, const char *binding, double margin)
{
    char words[128];
    margin_text(binding, margin, words, sizeof words);
    cJSON_AddStringToObject(o, "words", words);
}

static void add_outcome(cJSON *o, const char *key, const struct outcome *outcome)
{
    cJSON *at = cJSON_AddObjectToObject(o, key);
    add_number(at, "margin", outcome->margin);
    cJSON_AddStringToObject(at, "binding", outcome->binding);
    add_words(at, outcome->binding, outcome->margin);
    add_number(at, "unserved", outcome->unserved);
    add_number(at, "attainment", outcome->attainment);
    add_number(at, "ttft_s.p99", outcome->ttft_p99_s);
    add_number(at, "tpot_s.p99", outcome->tpot_p99_s);
    add_number(at, "e2e_s.p99", outcome->e2e_p99_s);
    cJSON_AddStringToObject(at, "reason", outcome->reason);
}

static cJSON *line_json(const struct plan *p, const struct bill_line *line)
{
    cJSON *o = cJSON_CreateObject();
    struct price_said said;
    const struct offer *offer = offers_find(p->offers, line->device);
    plan_price_said(p, line->device, &said);
    cJSON_AddStringToObject(o, "device", line->device);
    add_number(o, "gpus_needed", line->gpus);
    add_number(o, "gpus_to_buy", line->bought);
    if (line->nodes > 0) {
        add_number(o, "gpus_per_node", line->gpus_per_node);
        add_number(o, "nodes", line->nodes + line->spare_nodes);
        add_number(o, "spare_nodes", line->spare_nodes);
    }
    add_number(o, "price_per_h", line->price_per_h);
    cJSON_AddStringToObject(o, "currency", said.currency);
    cJSON_AddStringToObject(o, "price_source", said.source);
    cJSON_AddStringToObject(o, "price_date", said.date);
    add_number(o, "cost_per_h", line->cost_per_h);
    add_number(o, "power_w", line->power_w);
    cJSON_AddStringToObject(o, "cost_model", offer ? offer->provenance : "");
    return o;
}

/* What is bought for a size: GPUs that are needed, nodes to buy, money by the hour and by the month. */
static cJSON *bill_json(const struct plan *p, const struct contender *c, const struct sized *size)
{
    cJSON *o = cJSON_CreateObject(), *lines = cJSON_CreateArray();
    struct bill bill;
    char currency[16];
    double cost = 0, tokens = point_tokens_per_s(&size->point, p->rate_per_s);
    for (size_t i = 0; i < size->point.count; i++)
        cost += plan_cost_per_h(p, &size->point.results[i]) / (double)size->point.count;
    family_bill(p, c->family, size->units, &bill);
    plan_currency(p, &bill, currency, sizeof currency);
    add_number(o, "gpus_needed", bill.gpus);
    add_number(o, "gpus_to_buy", bill.bought);
    add_number(o, "nodes", bill.nodes);
    add_number(o, "room_for_units", (double)family_filled(p, c->family, size->units, size->units + 1000));
    cJSON_AddStringToObject(o, "currency", currency);
    add_number(o, "cost_per_h", cost);
    add_number(o, "hours_per_month", p->buying.hours_per_month);
    add_number(o, "cost_per_month", cost * p->buying.hours_per_month);
    add_number(o, "cost_per_million_tokens", tokens > 0 ? cost / 3600 / tokens * 1e6 : (double)NAN);
    add_number(o, "power_w", bill.power_w);
    if (bill.racks > 0)
        add_number(o, "racks", bill.racks);
    for (size_t i = 0; i < bill.count; i++)
        cJSON_AddItemToArray(lines, line_json(p, &bill.lines[i]));
    cJSON_AddItemToObject(o, "devices", lines);
    return o;
}

static void add_copy(cJSON *o, const cJSON *from, const char *key)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(from, key);
    if (at)
        cJSON_AddItemToObject(o, key, cJSON_Duplicate(at, 1));
}

/* What is to be served, and within which limits: as the plan's scenario says, but for what its search varies. */
static cJSON *asked_json(const struct plan *p)
{
    cJSON *o = cJSON_CreateObject();
    static const char *const keys[] = {"model", "engine", "workload", "slo"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_copy(o, p->scenario.node, keys[i]);
    cJSON_AddStringToObject(o, "objective", objective_names[p->objective]);
    cJSON_AddStringToObject(o, "buy", p->buying.whole_nodes ? "node" : "gpu");
    cJSON_AddNumberToObject(o, "spare_nodes", p->buying.spare_nodes);
    cJSON_AddStringToObject(o, "price", price_kind_names[p->buying.kind]);
    cJSON_AddNumberToObject(o, "confidence", p->effort.confidence);
    return o;
}

/* The statistics that the SLO limits, as {"ttft_s": {"p95": 1}}, where they are not there yet. */
static void add_limited(cJSON *o, const struct plan *plan, const struct point *p)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(plan->scenario.node, "slo"), *metric, *limit;
    cJSON_ArrayForEach(metric, slo)
    {
        cJSON_ArrayForEach(limit, metric)
        {
            char name[100];
            double value;
            struct trial_result none = {0};
            if (!metric->string || !limit->string)
                continue;
            snprintf(name, sizeof name, "%s.%s", metric->string, limit->string);
            if (trial_value(&none, name, &value) && !cJSON_GetObjectItemCaseSensitive(o, name))
                add_estimate(o, name, point_mean(p, name, 0.95));
        }
    }
}

static cJSON *size_json(const struct plan_search *s, const struct contender *c, const struct sized *size)
{
    cJSON *o = cJSON_CreateObject();
    const struct point *p = &size->point;
    cJSON_AddNumberToObject(o, "units", (double)size->units);
    cJSON_AddStringToObject(o, "verdict", verdicts[p->verdict]);
    cJSON_AddNumberToObject(o, "replications", (double)p->count);
    add_number(o, objective_names[s->plan->objective], contender_objective(s->plan, c, size->units));
    add_number(o, "gpus", point_mean(p, "gpus", 0.95).value);
    cJSON_AddItemToObject(o, "bill", bill_json(s->plan, c, size));
    add_estimate(o, "margin", point_margin(p, 0.95));
    add_number(o, "typical_margin", point_typical_margin(p));
    add_number(o, "least_margin", point_worst(p) ? point_worst(p)->margin : NAN);
    cJSON_AddStringToObject(o, "binding", point_binding(p));
    add_words(o, point_binding(p), point_typical_margin(p));
    cJSON_AddStringToObject(o, "reason", point_outcome(p).reason);
    cJSON *scenario = cJSON_Parse(size->scenario);
    struct error ignored = {0};
    if (!scenario || trial_scale_times(scenario, p->scales[SCALE_TIME], &ignored))
        memory_note_failure();
    cJSON_AddItemToObject(o, "scenario", scenario);
    static const char *const shown[] = {"ttft_s.p50", "ttft_s.p99",   "tpot_s.p50",    "tpot_s.p99", "e2e_s.p99",
                                        "attainment", "tokens_per_s", "goodput_per_s", "unserved"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        add_estimate(o, shown[i], point_mean(p, shown[i], 0.95));
    add_limited(o, s->plan, p);
    return o;
}

static cJSON *contender_json(const struct plan_search *s, const struct contender *c)
{
    cJSON *o = cJSON_CreateObject(), *sizes = cJSON_CreateArray();
    cJSON_AddStringToObject(o, "label", c->family->label);
    cJSON_AddStringToObject(o, "fate", fates[c->fate]);
    if (c->high)
        cJSON_AddNumberToObject(o, "units", (double)c->high);
    cJSON_AddStringToObject(o, "why", c->why);
    add_number(o, "capacity_per_s", c->family->capacity_per_s);
    cJSON_AddItemToObject(o, "scenario", cJSON_Duplicate(c->family->scenario, 1));
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].point.count > 0)
            cJSON_AddItemToArray(sizes, size_json(s, c, &c->sizes[i]));
    cJSON_AddItemToObject(o, "sizes", sizes);
    return o;
}

static cJSON *needs_json(const struct plan_search *s, const struct needs_by_level *n)
{
    cJSON *o = cJSON_CreateObject(), *levels = cJSON_CreateArray();
    const struct model_error *e = &n->contender->family->error;
    char devices[256];
    family_devices(n->contender->family, devices, sizeof devices);
    cJSON_AddStringToObject(o, "label", n->contender->family->label);
    cJSON_AddStringToObject(o, "device", devices);
    cJSON_AddStringToObject(o, "error_of", e->of);
    cJSON_AddNumberToObject(o, "points", e->points);
    cJSON_AddBoolToObject(o, "calibrated", e->calibrated);
    add_number(o, "bias", e->log.bias);
    add_number(o, "spread", e->log.spread);
    for (int i = 0; i < CERTAINTY_LEVELS; i++) {
        cJSON *at = cJSON_CreateObject();
        add_number(at, "level", certainty_levels[i]);
        add_number(at, "factor", n->factor[i]);
        add_number(at, "units", (double)n->units[i]);
        add_number(at, "gpus", n->gpus[i]);
        add_number(at, "nodes", n->nodes[i]);
        add_number(at, objective_names[s->plan->objective], n->objective[i]);
        cJSON_AddItemToArray(levels, at);
    }
    cJSON_AddItemToObject(o, "levels", levels);
    return o;
}

/* The answer with the cost model's error in it. */
static void add_certainty(cJSON *root, const struct plan_search *s, const struct certainty *c)
{
    if (!c->asked)
        return;
    cJSON *o = cJSON_AddObjectToObject(root, "certainty"), *expected = cJSON_AddArrayToObject(o, "expected");
    add_number(o, "asked_for", s->plan->model_confidence);
    add_number(o, "confidence", c->confidence);
    for (size_t i = 0; i < c->expected_count; i++) {
        const struct expected *e = &c->expected[i];
        cJSON *at = cJSON_CreateObject();
        cJSON_AddStringToObject(at, "name", e->name);
        add_number(at, "limit", e->limit);
        add_number(at, "value", e->value);
        add_number(at, "low", e->low);
        add_number(at, "high", e->high);
        cJSON_AddItemToArray(expected, at);
    }
    cJSON_AddItemToObject(o, "recommendation", needs_json(s, &c->chosen));
    if (c->rival.contender) {
        cJSON_AddItemToObject(o, "rival", needs_json(s, &c->rival));
        add_number(o, "right", c->right);
        add_number(o, "right_if_recommendation_measured", c->right_if_chosen_measured);
        add_number(o, "right_if_rival_measured", c->right_if_rival_measured);
    }
    const struct measurement m = certainty_measurement(c, s);
    cJSON *measure = cJSON_AddObjectToObject(o, "measure");
    cJSON_AddStringToObject(measure, "device", m.contender->family->error.device);
    cJSON_AddStringToObject(measure, "label", m.contender->family->label);
    cJSON_AddItemToObject(measure, "rates_per_s", cJSON_CreateDoubleArray(m.rates_per_s, 2));
    add_number(measure, "right", m.right);
}

/* Latencies that the SLO limits against the rate, of the recommended size. */
static void add_curve(cJSON *o, const struct plan_search *s, const struct plan_answer *a)
{
    const struct capacity *c = &a->headroom[SCALE_RATE];
    cJSON *curves = cJSON_AddArrayToObject(o, "curves");
    for (size_t k = 0; k < a->limited_count; k++) {
        cJSON *at = cJSON_CreateObject(), *points = cJSON_CreateArray();
        cJSON_AddStringToObject(at, "name", a->limited[k]);
        add_number(at, "limit", a->limits[k]);
        for (size_t i = 0; i < c->curve_count; i++)
            if (isfinite(c->curve[i].values[k])) {
                const double point[] = {c->curve[i].load * s->plan->rate_per_s, c->curve[i].values[k]};
                cJSON_AddItemToArray(points, cJSON_CreateDoubleArray(point, 2));
            }
        cJSON_AddItemToObject(at, "points", points);
        cJSON_AddItemToArray(curves, at);
    }
}

static void add_answer(cJSON *o, const struct plan_search *s, const struct plan_answer *a)
{
    cJSON *headroom = cJSON_AddObjectToObject(o, "headroom"), *needs = cJSON_AddArrayToObject(o, "sensitivity"),
          *front = cJSON_AddArrayToObject(o, "pareto");
    for (int i = 0; i < SCALE_ASKED; i++) {
        const struct capacity *c = &a->headroom[i]; /* ends that could not be shown are not said */
        add_estimate(headroom, scale_names[i],
                     (struct estimate){c->value, c->vague ? NAN : c->low, c->vague ? NAN : c->high});
    }
    add_certainty(o, s, &a->certainty);
    add_curve(o, s, a);
    if (a->one_lost.asked) {
        cJSON *lost = cJSON_AddObjectToObject(o, "one_lost");
        cJSON_AddStringToObject(lost, "verdict", verdicts[a->one_lost.verdict]);
        add_estimate(lost, "margin", a->one_lost.margin);
        cJSON_AddStringToObject(lost, "binding", a->one_lost.binding);
    }
    for (size_t i = 0; i < a->need_count; i++) {
        cJSON *n = cJSON_CreateObject();
        cJSON_AddStringToObject(n, "input", scale_names[a->needs[i].scale]);
        cJSON_AddNumberToObject(n, "factor", a->needs[i].factor);
        cJSON_AddNumberToObject(n, "units", (double)a->needs[i].chosen);
        cJSON_AddNumberToObject(n, "runner_up_units", (double)a->needs[i].runner_up);
        cJSON_AddBoolToObject(n, "runner_up_is_cheaper", a->needs[i].runner_up_is_cheaper);
        cJSON_AddItemToArray(needs, n);
    }
    for (size_t i = 0; i < a->buy_count; i++) {
        if (!a->buys[i].on_front)
            continue;
        cJSON *b = cJSON_CreateObject();
        cJSON_AddStringToObject(b, "label", a->buys[i].contender->family->label);
        cJSON_AddNumberToObject(b, "units", (double)a->buys[i].units);
        add_number(b, "gpus", a->buys[i].gpus);
        add_number(b, objective_names[s->plan->objective], a->buys[i].objective);
        add_number(b, "ttft_p99_s", a->buys[i].ttft_p99_s);
        add_number(b, "tpot_p99_s", a->buys[i].tpot_p99_s);
        cJSON_AddStringToObject(b, "verdict", verdicts[a->buys[i].verdict]);
        cJSON_AddItemToArray(front, b);
    }
}

cJSON *plan_answer_json(const struct plan_search *s, const struct plan_answer *answer)
{
    cJSON *o = cJSON_CreateObject(), *families = cJSON_CreateArray();
    const struct contender *const named[] = {s->chosen, s->runner_up, s->closest};
    static const char *const names[] = {"recommendation", "runner_up", "closest"};
    cJSON_AddStringToObject(o, "name", s->plan->name);
    cJSON_AddStringToObject(o, "version", TANDEM_VERSION);
    cJSON_AddNumberToObject(o, "rate_per_s", s->plan->rate_per_s);
    cJSON_AddItemToObject(o, "asked", asked_json(s->plan));
    for (int i = 0; i < 3; i++)
        if (named[i])
            cJSON_AddNumberToObject(o, names[i], (double)(named[i] - s->contenders));
    if (s->closest)
        cJSON_AddNumberToObject(o, "closest_units", (double)s->closest_units);
    if (s->no_number_helps)
        add_outcome(o, "alone", &s->alone);
    cJSON_AddNumberToObject(o, "seed", (double)s->plan->seed);
    cJSON_AddNumberToObject(o, "equally_cheap", (double)s->ties);
    add_number(o, "confidence_of_choice", s->confidence_of_choice);
    cJSON_AddNumberToObject(o, "trials", (double)s->pool->trials);
    cJSON_AddNumberToObject(o, "requests", (double)s->pool->requests);
    for (size_t i = 0; i < s->count; i++)
        cJSON_AddItemToArray(families, contender_json(s, &s->contenders[i]));
    cJSON_AddItemToObject(o, "families", families);
    if (answer)
        add_answer(o, s, answer);
    return o;
}
