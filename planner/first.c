/* SPDX-License-Identifier: MIT */
#include "planner/first.h"

#include <math.h>
#include <stdio.h>

#include "planner/answer.h"
#include "planner/search_parts.h"

/* Of 4 replications, until so many trials have been run. */
enum { SHORT_TRIAL = 1000, REPLICATIONS = 4, TRIALS_MOST = 400 };

static double gpus_of(const struct plan_search *s, const struct contender *c, size_t units)
{
    struct bill bill;
    family_bill(s->plan, c->family, units, &bill);
    return bill.gpus;
}

static void describe(const struct plan_search *s, const struct contender *c, char *out, size_t size)
{
    struct bill bill;
    char nodes[40] = "", cost[60] = "";
    family_bill(s->plan, c->family, c->high, &bill);
    if (bill.nodes > 0)
        snprintf(nodes, sizeof nodes, ", %g node%s", bill.nodes, bill.nodes == 1 ? "" : "s");
    if (isfinite(bill.cost_per_h))
        snprintf(cost, sizeof cost, ", %.2f an hour", bill.cost_per_h);
    snprintf(out, size, "%zu unit%s of %s: %g GPUs%s%s", c->high, c->high == 1 ? "" : "s", c->family->label, bill.gpus,
             nodes, cost);
}

/* With kernels as slow as a quantile of the error says. 0: more than there may be. */
static int units_at(struct plan_search *s, const struct contender *c, double level, size_t *out, struct error *err)
{
    const struct model_error *e = &c->family->error;
    double scales[SCALE_COUNT], factor = model_error_factor(e, level);
    struct units_question q = {.scales = scales,
                               .start = (size_t)ceil((double)c->high * factor / e->factor),
                               .high = level < 0.5 ? c->high : 0};
    family_scales(c->family, scales);
    scales[SCALE_TIME] = factor;
    return units_needed(s, c, &q, out, err);
}

static int tell(struct plan_search *s, const struct contender *best, struct error *err)
{
    char what[400], line[700], interval[120] = "";
    size_t low = 0, high = 0;
    if (best->family->error.known && (units_at(s, best, 0.05, &low, err) || units_at(s, best, 0.95, &high, err)))
        return -1;
    if (low > 0 && high > 0)
        snprintf(interval, sizeof interval, "; %g … %g GPUs within the cost model's error (90 %%)",
                 gpus_of(s, best, low), gpus_of(s, best, high));
    describe(s, best, what, sizeof what);
    snprintf(line, sizeof line, "first answer, by short trials: %s%s; to be refined", what, interval);
    s->pool->watch->note(s->pool->watch->state, line);
    return 0;
}

int first_answer_tell(struct plan_search *s, struct error *err)
{
    if (!s->pool->watch->note)
        return 0;
    struct plan short_plan = *s->plan;
    short_plan.effort.most = REPLICATIONS;
    short_plan.most_requests = SHORT_TRIAL;
    struct plan_search quick = {.plan = &short_plan, .pool = s->pool, .families = s->families, .count = s->count};
    int status = search_make_contenders(&quick, err) || search_settle(&quick, s->pool->trials + TRIALS_MOST, err);
    const struct contender *best = status == 0 ? search_cheapest(&quick) : NULL;
    if (best)
        status = tell(&quick, best, err);
    search_release_contenders(&quick);
    return status ? -1 : 0;
}

void first_choice_tell(const struct plan_search *s)
{
    char what[400], line[600];
    if (!s->pool->watch->note || !s->chosen)
        return;
    describe(s, s->chosen, what, sizeof what);
    snprintf(line, sizeof line, "recommended, by %zu trials: %s; next: the runner-up, headroom, how sure",
             s->plan->effort.most, what);
    s->pool->watch->note(s->pool->watch->state, line);
}
