/* SPDX-License-Identifier: MIT */
#include "planner/headroom.h"

#include <math.h>
#include <stdlib.h>

#include "reports/stats/analytic.h"

cJSON *headroom_plan(cJSON *scenario)
{
    cJSON *plan = cJSON_CreateObject();
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(scenario, "name");
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(scenario, "seed");
    if (!plan)
        return NULL;
    if (cJSON_IsString(name))
        cJSON_AddStringToObject(plan, "name", name->valuestring);
    if (cJSON_IsNumber(seed))
        cJSON_AddNumberToObject(plan, "seed", seed->valuedouble);
    if (!memory_has_failed() && cJSON_AddItemToObject(plan, "scenario", scenario))
        return plan;
    cJSON_Delete(plan);
    return NULL;
}

/* What the formula says of it; fails where the scenario is wrong, or the machine. */
static int ask_formula(const char *text, struct analytic_estimate *e, bool *known, struct error *err)
{
    struct json root;
    struct scenario s;
    struct error own = {0};
    if (json_parse(text, "scenario", &root, err) || scenario_compile(&s, root, err))
        return -1;
    *known = analytic_of(&s, e, &own) == 0 && e->capacity_per_s > 0 && isfinite(e->capacity_per_s);
    scenario_release(&s);
    if (!error_is_of_machine(&own))
        return memory_check(err);
    *err = own;
    return -1;
}

int headroom_find(const struct plan *plan, struct trial_pool *pool, struct headroom *out, struct error *err)
{
    struct family one = {.scenario = (cJSON *)(uintptr_t)plan->scenario.node};
    struct analytic_estimate e;
    bool known = false;
    char *scenario = family_scenario(plan, &one, 1);
    if (!scenario)
        return error_no_memory(err);
    int status = ask_formula(scenario, &e, &known, err);
    *out = (struct headroom){.base_per_s = plan->rate_per_s, .capacity_per_s = known ? e.capacity_per_s : NAN};
    struct capacity_question q = {.scenario = scenario,
                                  .scale = SCALE_RATE,
                                  .start = known ? 0.8 / e.utilization : 1,
                                  .tolerance = plan->tolerance,
                                  .seed = plan->seed,
                                  .effort = plan->effort};
    if (status == 0)
        status = capacity_find(&q, pool, &out->rate, err);
    if (status == 0 && out->rate.failed && out->rate.kind == CAPACITY_NONE)
        status = error_set(err, ERROR_INPUT, "%s", out->rate.message);
    free(scenario);
    return status ? -1 : memory_check(err);
}

int headroom_keep(const struct headroom *h, struct store *store, int64_t run_id, struct error *err)
{
    static const char *const kinds[] = {"found", "none", "unbounded"};
    const struct capacity *c = &h->rate;
    bool found = c->kind == CAPACITY_FOUND, shown = found && !c->vague;
    return store_write(store, err, "INSERT OR REPLACE INTO headroom VALUES (?, 'rate', ?, ?, ?, ?, ?, ?)", "isdddds",
                       run_id, kinds[c->kind], h->base_per_s, found ? c->value : NAN,
                       shown || c->kind == CAPACITY_UNBOUNDED ? c->low : NAN, shown ? c->high : NAN, c->binding);
}
