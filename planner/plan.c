/* SPDX-License-Identifier: MIT */
#include "planner/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/axis.h"
#include "profiles/shipped.h"

const char *const objective_names[] = {"cost", "gpus", "energy", NULL};

static cJSON *node_of(const struct json *at)
{
    return (cJSON *)(uintptr_t)at->node;
}

static int read_scenario(struct plan *p, struct error *err)
{
    struct json at = json_member(&p->root, "scenario");
    if (cJSON_IsObject(at.node)) {
        p->scenario = at;
        return 0;
    }
    if (!cJSON_IsString(at.node))
        return json_complain(&at, "a scenario: a file, a shipped name, or an object", err);
    if (shipped_load("scenario", at.node->valuestring, &p->scenario, err))
        return -1;
    p->owns_scenario = true;
    return 0;
}

static int read_axes(struct plan *p, struct error *err)
{
    struct json search = json_member(&p->root, "search");
    if (search.node && !cJSON_IsObject(search.node))
        return json_complain(&search, "an object of scenario paths, each with a list of values", err);
    if (search.node && axes_check(&search, PLAN_AXES_MAX, sizeof p->axes->path, err))
        return -1;
    for (const cJSON *n = search.node ? search.node->child : NULL; n; n = n->next) {
        struct json at = json_member(&search, n->string);
        if (!cJSON_IsArray(n) || cJSON_GetArraySize(n) == 0)
            return json_complain(&at, "a list of values", err);
        if (strcmp(n->string, "cluster.replicas") == 0)
            return json_complain(&at, "another path: how many replicas there are is what a plan finds", err);
        struct plan_axis *axis = &p->axes[p->axis_count++];
        snprintf(axis->path, sizeof axis->path, "%s", n->string);
        axis->values = at;
    }
    return 0;
}

static int read_prices(struct plan *p, struct error *err)
{
    struct json prices = json_member(&p->root, "prices_per_h");
    if (prices.node && !cJSON_IsObject(prices.node))
        return json_complain(&prices, "an object of devices, each with the price of a GPU an hour", err);
    for (const cJSON *n = prices.node ? prices.node->child : NULL; n; n = n->next) {
        struct json at = json_member(&prices, n->string);
        if (p->price_count == PLAN_PRICES_MAX)
            return json_complain(&at, "no more than 32 prices", err);
        if (at.node != n) /* found by name: the first one */
            return error_set(err, ERROR_INPUT, "%s: %s: is there twice, expected one price", at.file, at.path);
        struct device_price *price = &p->prices[p->price_count++];
        price->device = n->string;
        if (json_read_number(&prices, n->string, true, 0, 1e6, &price->per_h, err))
            return -1;
    }
    return 0;
}

static int read_constraints(struct plan *p, struct error *err)
{
    static const char *const keys[] = {"gpus_per_node", "gpus", "cost_per_h", "power_w", NULL};
    struct json at = json_member(&p->root, "constraints");
    p->gpus_per_node = 8;
    p->most_gpus = 1024;
    p->most_cost_per_h = p->most_power_w = INFINITY;
    return at.node && (json_check_keys(&at, keys, err) ||
                       json_read_number(&at, "gpus_per_node", false, 1, 1e6, &p->gpus_per_node, err) ||
                       json_read_number(&at, "gpus", false, 1, 1e6, &p->most_gpus, err) ||
                       json_read_number(&at, "cost_per_h", false, 0, 1e9, &p->most_cost_per_h, err) ||
                       json_read_number(&at, "power_w", false, 0, 1e12, &p->most_power_w, err))
               ? -1
               : 0;
}

static int read_effort(struct plan *p, struct error *err)
{
    long long most = 32;
    p->effort.confidence = 0.95;
    p->tolerance = 0.02;
    p->indifference = 0.05;
    p->sensitivity = 0.1;
    if (json_read_number(&p->root, "confidence", false, 0.5, 0.9999, &p->effort.confidence, err) ||
        json_read_integer(&p->root, "replications", false, 4, 4096, &most, err) ||
        json_read_number(&p->root, "tolerance", false, 1e-4, 1, &p->tolerance, err) ||
        json_read_number(&p->root, "indifference", false, 1e-4, 1, &p->indifference, err) ||
        json_read_number(&p->root, "sensitivity", false, 0, 0.9, &p->sensitivity, err))
        return -1;
    p->effort.most = (size_t)most;
    struct json at = json_member(&p->root, "replications");
    return most & (most - 1) ? json_complain(&at, "a power of two from 4 to 4096", err) : 0;
}

static int read_objective(struct plan *p, struct error *err)
{
    const char *name = "cost";
    struct json at = json_member(&p->root, "objective");
    if (json_read_string(&p->root, "objective", false, &name, err))
        return -1;
    for (int i = 0; objective_names[i]; i++)
        if (strcmp(objective_names[i], name) == 0) {
            p->objective = (enum objective)i;
            return 0;
        }
    return json_complain(&at, "\"cost\", \"gpus\" or \"energy\"", err);
}

/* Replications of one trace must not be the same requests. */
static int prepare_workload(struct plan *p, struct error *err)
{
    struct json workload = json_member(&p->scenario, "workload"), slo = json_member(&p->scenario, "slo");
    if (!cJSON_IsObject(workload.node))
        return json_complain(&workload, "an object with \"trace\", or with \"arrivals\" and \"lengths\"", err);
    if (!cJSON_IsObject(slo.node))
        return json_complain(&slo, "an SLO, which a plan is to meet", err);
    if (json_member(&workload, "trace").node && !json_member(&workload, "resample_s").node &&
        !cJSON_AddNumberToObject(node_of(&workload), "resample_s", 60))
        return error_no_memory(err);
    struct json rate = json_member(&p->root, "rate_per_s");
    if (trial_base_rate(&p->scenario, &p->base_rate, err))
        return -1;
    p->rate_per_s = p->base_rate;
    return rate.node ? json_read_number(&p->root, "rate_per_s", true, 1e-9, 1e9, &p->rate_per_s, err) : 0;
}

static int read_plan(struct plan *p, struct error *err)
{
    static const char *const keys[] = {"name",         "about",       "seed",         "scenario",    "rate_per_s",
                                       "search",       "constraints", "prices_per_h", "objective",   "confidence",
                                       "replications", "tolerance",   "indifference", "sensitivity", NULL};
    const char *name = "unnamed", *about = NULL;
    long long seed = 1;
    if (json_check_keys(&p->root, keys, err) || json_read_string(&p->root, "name", false, &name, err) ||
        json_read_string(&p->root, "about", false, &about, err) ||
        json_read_integer(&p->root, "seed", false, 0, 9000000000000, &seed, err))
        return -1;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->seed = (uint64_t)seed * 1000; /* replications of neighbouring seeds are others */
    return read_scenario(p, err) || read_axes(p, err) || read_prices(p, err) || read_constraints(p, err) ||
                   read_effort(p, err) || read_objective(p, err) || prepare_workload(p, err)
               ? -1
               : 0;
}

int plan_read(struct plan *out, struct json root, struct error *err)
{
    *out = (struct plan){.root = root};
    if (read_plan(out, err) == 0 && memory_check(err) == 0)
        return 0;
    plan_release(out);
    return -1;
}

void plan_release(struct plan *p)
{
    if (p->owns_scenario)
        cJSON_Delete(node_of(&p->scenario));
    cJSON_Delete(node_of(&p->root));
    *p = (struct plan){0};
}

double plan_price(const struct plan *p, const struct held_gpus *held)
{
    for (size_t i = 0; i < p->price_count; i++)
        if (strcmp(p->prices[i].device, held->device) == 0)
            return p->prices[i].per_h;
    return held->price_per_h > 0 ? held->price_per_h : NAN;
}

double plan_cost_per_h(const struct plan *p, const struct trial_result *r)
{
    double cost = 0;
    for (size_t i = 0; i < r->pool_count; i++)
        cost += r->held[i].mean > 0 ? r->held[i].mean * plan_price(p, &r->held[i]) : 0;
    return cost;
}

double plan_power_w(const struct trial_result *r)
{
    double power = 0;
    for (size_t i = 0; i < r->pool_count; i++)
        power += r->held[i].mean * r->held[i].power_w;
    return power;
}

double plan_objective(const struct plan *p, const struct trial_result *r)
{
    return p->objective == OBJECTIVE_COST   ? plan_cost_per_h(p, r)
           : p->objective == OBJECTIVE_GPUS ? trial_gpus(r)
                                            : plan_power_w(r);
}
