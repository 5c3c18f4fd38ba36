/* SPDX-License-Identifier: MIT */
#include "planner/closest.h"

#include <math.h>
#include <stdlib.h>

/* How close a size comes to meeting the SLO. */
struct closeness {
    bool overloaded;
    double margin, unserved, objective;
};

/* Whether a is closer: first a size whose queue does not grow, then the smallest violation, then the most served (of
 * violations without end), then the cheapest. */
static bool closer(const struct closeness *a, const struct closeness *b)
{
    if (a->overloaded != b->overloaded)
        return b->overloaded;
    if (a->margin != b->margin)
        return a->margin > b->margin;
    if (a->unserved != b->unserved)
        return a->unserved < b->unserved;
    return a->objective < b->objective;
}

void closest_find(struct plan_search *s)
{
    struct closeness best = {0};
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->contenders[i].count; k++) {
            struct contender *c = &s->contenders[i];
            const struct point *p = &c->sizes[k].point;
            if (p->count == 0 || p->failed)
                continue;
            struct closeness own = {.overloaded = point_overloaded(p),
                                    .margin = point_typical_margin(p),
                                    .unserved = point_mean(p, "unserved", 0.95).value,
                                    .objective = contender_objective(s->plan, c, c->sizes[k].units)};
            if (!s->closest || closer(&own, &best)) {
                best = own;
                s->closest = c;
                s->closest_units = c->sizes[k].units;
            }
        }
}

int closest_ask_alone(struct plan_search *s, struct error *err)
{
    double capacity = s->closest->family->capacity_per_s, rate = s->plan->rate_per_s;
    double scales[SCALE_COUNT];
    family_scales(s->closest->family, scales);
    scales[SCALE_RATE] = fmax(1e-3 * fmin(1, isfinite(capacity) ? capacity / rate : 1), 1e-6);
    char *scenario = family_scenario(s->plan, s->closest->family, 1);
    if (!scenario)
        return error_no_memory(err);
    struct point alone, *p = &alone;
    point_init(p, scenario, scales, s->plan->seed);
    int status = points_decide(&p, 1, &s->plan->effort, s->pool, err);
    s->no_number_helps = status == 0 && !p->failed && p->verdict == BREAKS;
    s->alone = point_outcome(p);
    point_release(p);
    free(scenario);
    return status;
}
