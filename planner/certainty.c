/* SPDX-License-Identifier: MIT */
#include "planner/certainty.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/answer.h"

const double certainty_levels[CERTAINTY_LEVELS] = {0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95};

enum { MIDDLE = 3, DRAWS = 100 };

static const double same_cost = 1 + 1e-9;

/* The fewest units if the factor is the quantile at a level, given what is needed at the level next to it: of a higher
 * factor no fewer than of a lower one. What the search has found holds at the factor that its verdicts are of. */
static int find_need(struct plan_search *s, const struct contender *c, int level, int next_to,
                     struct needs_by_level *out, struct error *err)
{
    double scales[SCALE_COUNT], known = c->family->error.factor, factor = out->factor[level];
    size_t beside = next_to < 0 ? c->high : out->units[next_to];
    double beside_factor = next_to < 0 ? known : out->factor[next_to];
    struct units_question q = {.scales = scales, .start = (size_t)ceil((double)beside * factor / beside_factor)};
    struct bill bill;
    family_scales(c->family, scales);
    scales[SCALE_TIME] = factor;
    out->gpus[level] = out->nodes[level] = out->objective[level] = INFINITY;
    if (factor <= known * same_cost)
        q.high = beside;
    if (factor >= known / same_cost)
        q.low = beside - 1; /* one fewer misses at the lower factor */
    if (beside == 0)        /* nor do the constraints allow what more would need */
        return 0;
    if (units_needed(s, c, &q, &out->units[level], err))
        return -1;
    if (out->units[level] == 0)
        return 0;
    family_bill(s->plan, c->family, out->units[level], &bill);
    out->gpus[level] = bill.gpus;
    out->nodes[level] = bill.nodes;
    out->objective[level] = family_objective(s->plan, c->family, out->units[level]);
    return 0;
}

/* Outwards from the factor that verdicts are of. */
static int find_needs(struct plan_search *s, const struct contender *c, struct needs_by_level *out, struct error *err)
{
    int above = 0;
    *out = (struct needs_by_level){.contender = c};
    for (int i = 0; i < CERTAINTY_LEVELS; i++) {
        out->factor[i] = model_error_factor(&c->family->error, certainty_levels[i]);
        above += out->factor[i] <= c->family->error.factor * same_cost;
    }
    for (int i = above; i-- > 0;)
        if (find_need(s, c, i, i + 1 < above ? i + 1 : -1, out, err))
            return -1;
    for (int i = above; i < CERTAINTY_LEVELS; i++)
        if (find_need(s, c, i, i > above ? i - 1 : -1, out, err))
            return -1;
    return 0;
}

/* What is needed at a level between those that were looked at. */
static double objective_at(const struct needs_by_level *n, double level)
{
    int i = 0;
    while (i < CERTAINTY_LEVELS - 1 && certainty_levels[i] < level - 1e-9)
        i++;
    return n->objective[i];
}

static double level_of(int draw)
{
    return (draw + 0.5) / DRAWS;
}

double certainty_no_dearer(const struct needs_by_level *first, const struct needs_by_level *second, bool same)
{
    double right = 0;
    for (int a = 0; a < DRAWS; a++)
        for (int b = 0; b < (same ? 1 : DRAWS); b++) {
            double mine = objective_at(first, level_of(a)), its = objective_at(second, level_of(same ? a : b));
            right += mine <= its * same_cost ? 1 : 0;
        }
    return right / (same ? DRAWS : (double)DRAWS * DRAWS);
}

double certainty_after_measuring(const struct needs_by_level *first, const struct needs_by_level *second,
                                 bool first_is_measured)
{
    double right = 0;
    for (int known = 0; known < DRAWS; known++) {
        double no_dearer = 0, no_cheaper = 0;
        for (int open = 0; open < DRAWS; open++) {
            double mine = objective_at(first, level_of(first_is_measured ? known : open));
            double its = objective_at(second, level_of(first_is_measured ? open : known));
            no_dearer += mine <= its * same_cost ? 1.0 / DRAWS : 0;
            no_cheaper += its <= mine * same_cost ? 1.0 / DRAWS : 0;
        }
        right += fmax(no_dearer, no_cheaper) / DRAWS;
    }
    return right;
}

static int find_choice(struct certainty *c, struct plan_search *s, struct error *err)
{
    c->right = c->right_if_chosen_measured = c->right_if_rival_measured = NAN;
    if (!s->rival)
        return 0;
    if (find_needs(s, s->rival, &c->rival, err))
        return -1;
    bool same = strcmp(s->chosen->family->error.key, s->rival->family->error.key) == 0;
    c->right = certainty_no_dearer(&c->chosen, &c->rival, same);
    if (same)
        return 0;
    c->right_if_chosen_measured = certainty_after_measuring(&c->chosen, &c->rival, true);
    c->right_if_rival_measured = certainty_after_measuring(&c->chosen, &c->rival, false);
    return 0;
}

static void add_expected(struct certainty *c, const char *name, double limit)
{
    struct trial_result none = {0};
    double ignored;
    if (c->expected_count == EXPECTED_MAX || certainty_expected(c, name) || !trial_value(&none, name, &ignored))
        return;
    struct expected *e = &c->expected[c->expected_count++];
    *e = (struct expected){.limit = limit};
    snprintf(e->name, sizeof e->name, "%s", name);
}

const struct expected *certainty_expected(const struct certainty *c, const char *name)
{
    for (size_t i = 0; i < c->expected_count; i++)
        if (strcmp(c->expected[i].name, name) == 0)
            return &c->expected[i];
    return NULL;
}

/* What the SLO limits for all requests, as {"ttft_s": {"p95": 1}}, and what one always wants to know. */
static void name_expected(struct certainty *c, const struct plan *p)
{
    static const char *const usual[] = {"ttft_s.p50", "ttft_s.p99", "tpot_s.p50",
                                        "tpot_s.p99", "e2e_s.p99",  "attainment"};
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(p->scenario.node, "slo"), *metric, *limit;
    cJSON_ArrayForEach(metric, slo)
    {
        cJSON_ArrayForEach(limit, metric)
        {
            char name[100];
            if (!metric->string || !limit->string || !cJSON_IsNumber(limit))
                continue;
            snprintf(name, sizeof name, "%s.%s", metric->string, limit->string);
            add_expected(c, name, limit->valuedouble);
        }
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        add_expected(c, usual[i], NAN);
}

/* What the recommended size is expected to do at three levels of the error. */
static int find_expected(struct certainty *c, struct plan_search *s, struct error *err)
{
    static const int levels[] = {0, MIDDLE, CERTAINTY_LEVELS - 1};
    char *scenario = family_scenario(s->plan, s->chosen->family, s->chosen->high);
    struct point points[3], *list[3];
    if (!scenario)
        return error_no_memory(err);
    for (int i = 0; i < 3; i++) {
        double scales[SCALE_COUNT];
        family_scales(s->chosen->family, scales);
        scales[SCALE_TIME] = c->chosen.factor[levels[i]];
        point_init(&points[i], scenario, scales, s->plan->seed);
        list[i] = &points[i];
    }
    size_t replications = s->plan->effort.most < 8 ? s->plan->effort.most : 8;
    int status = points_replicate(list, 3, replications, s->pool, err);
    name_expected(c, s->plan);
    for (size_t k = 0; status == 0 && k < c->expected_count; k++) {
        struct expected *e = &c->expected[k];
        double at_low = point_mean(&points[0], e->name, 0.95).value,
               at_high = point_mean(&points[2], e->name, 0.95).value;
        e->value = point_mean(&points[1], e->name, 0.95).value;
        e->low = fmin(at_low, at_high);
        e->high = fmax(at_low, at_high);
    }
    for (int i = 0; i < 3; i++)
        point_release(&points[i]);
    free(scenario);
    return status;
}

struct measurement certainty_measurement(const struct certainty *c, const struct plan_search *s)
{
    bool rival = c->right_if_rival_measured > c->right_if_chosen_measured;
    const struct contender *of = rival ? s->rival : s->chosen;
    double share = s->plan->rate_per_s / (double)of->high;
    return (struct measurement){.contender = of,
                                .rates_per_s = {share / 2, share},
                                .right = rival ? c->right_if_rival_measured : c->right_if_chosen_measured};
}

int certainty_find(struct certainty *c, struct plan_search *s, double time_headroom, struct error *err)
{
    const struct model_error *e = &s->chosen->family->error;
    *c = (struct certainty){.asked = e->known, .confidence = NAN};
    if (!e->known)
        return 0;
    if (time_headroom > 0)
        c->confidence = gsl_cdf_ugaussian_P((log(time_headroom) - e->log.bias) / e->log.spread);
    return find_needs(s, s->chosen, &c->chosen, err) || find_choice(c, s, err) || find_expected(c, s, err) ? -1 : 0;
}
