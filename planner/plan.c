/* SPDX-License-Identifier: MIT */
#include "planner/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/axis.h"
#include "profiles/shipped.h"

const char *const aim_names[] = {"least", "throughput", "token_cost", "tightest_slo", NULL};
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
        struct own_price *price = &p->prices[p->price_count++];
        price->device = n->string;
        if (json_read_number(&prices, n->string, true, 0, 1e6, &price->per_h, err))
            return -1;
    }
    return 0;
}

static int read_constraints(struct plan *p, struct error *err)
{
    static const char *const keys[] = {"gpus_per_node", "gpus",         "cost_per_h", "power_w", "nodes",
                                       "node_power_w",  "rack_power_w", "racks",      NULL};
    struct json at = json_member(&p->root, "constraints");
    struct buying *b = &p->buying;
    p->most_gpus = 1024;
    p->most_cost_per_h = p->most_power_w = INFINITY;
    b->most_nodes = b->most_node_power_w = b->rack_power_w = b->most_racks = INFINITY;
    if (!at.node)
        return 0;
    if (json_check_keys(&at, keys, err) ||
        json_read_number(&at, "gpus_per_node", false, 1, 1e6, &b->gpus_per_node, err) ||
        json_read_number(&at, "gpus", false, 1, 1e6, &p->most_gpus, err) ||
        json_read_number(&at, "cost_per_h", false, 0, 1e9, &p->most_cost_per_h, err) ||
        json_read_number(&at, "power_w", false, 0, 1e12, &p->most_power_w, err) ||
        json_read_number(&at, "nodes", false, 1, 1e6, &b->most_nodes, err) ||
        json_read_number(&at, "node_power_w", false, 0, 1e12, &b->most_node_power_w, err) ||
        json_read_number(&at, "rack_power_w", false, 1, 1e9, &b->rack_power_w, err) ||
        json_read_number(&at, "racks", false, 1, 1e6, &b->most_racks, err))
        return -1;
    struct json racks = json_member(&at, "racks");
    if (racks.node && !isfinite(b->rack_power_w))
        return json_complain(&racks, "constraints.rack_power_w next to it, which says what a rack holds", err);
    return 0;
}

static int read_price_kind(const struct json *at, enum price_kind *out, struct error *err)
{
    const char *name = price_kind_names[*out];
    struct json kind = json_member(at, "price");
    if (json_read_string(at, "price", false, &name, err))
        return -1;
    for (int i = 0; i < PRICE_KINDS; i++)
        if (strcmp(price_kind_names[i], name) == 0) {
            *out = (enum price_kind)i;
            return 0;
        }
    return json_complain(&kind, "\"on_demand\", \"reserved\" or \"spot\"", err);
}

static int read_buying(struct plan *p, struct error *err)
{
    static const char *const keys[] = {"by",       "spare_nodes",  "price",      "hours_per_month",
                                       "currency", "price_source", "price_date", NULL};
    struct json at = json_member(&p->root, "buy"), by_at = json_member(&at, "by");
    struct buying *b = &p->buying;
    const char *by = "node";
    b->whole_nodes = true;
    b->hours_per_month = 730;
    if (!at.node)
        return 0;
    if (json_check_keys(&at, keys, err) || json_read_string(&at, "by", false, &by, err) ||
        json_read_number(&at, "spare_nodes", false, 0, 1e6, &b->spare_nodes, err) ||
        json_read_number(&at, "hours_per_month", false, 1, 744, &b->hours_per_month, err) ||
        json_read_string(&at, "currency", false, &b->currency, err) ||
        json_read_string(&at, "price_source", false, &b->price_source, err) ||
        json_read_string(&at, "price_date", false, &b->price_date, err) || read_price_kind(&at, &b->kind, err))
        return -1;
    struct json spare = json_member(&at, "spare_nodes");
    if (b->spare_nodes != floor(b->spare_nodes))
        return json_complain(&spare, "a whole number", err);
    b->whole_nodes = strcmp(by, "node") == 0;
    if (!b->whole_nodes && strcmp(by, "gpu") != 0)
        return json_complain(&by_at, "\"node\" or \"gpu\"", err);
    return !b->whole_nodes && b->spare_nodes > 0
               ? json_complain(&spare, "none where GPUs are bought one by one (\"by\": \"gpu\")", err)
               : 0;
}

static int read_model_confidence(struct plan *p, struct error *err)
{
    struct json at = json_member(&p->root, "cost_model_confidence");
    p->model_confidence = 0.9;
    if (json_read_number(&p->root, "cost_model_confidence", false, 0, 0.999, &p->model_confidence, err))
        return -1;
    return p->model_confidence > 0 && p->model_confidence < 0.5
               ? json_complain(&at, "a number from 0.5 to 0.999, or 0 to believe the cost model", err)
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
        json_read_number(&p->root, "sensitivity", false, 0, 0.9, &p->sensitivity, err) || read_model_confidence(p, err))
        return -1;
    p->effort.most = (size_t)most;
    struct json at = json_member(&p->root, "replications");
    return most & (most - 1) ? json_complain(&at, "a power of two from 4 to 4096", err) : 0;
}

/* The most of something is of a budget. */
static int check_budget(const struct plan *p, const struct json *objective, struct error *err)
{
    struct json constraints = json_member(&p->root, "constraints");
    if (json_member(&constraints, "gpus").node || isfinite(p->most_cost_per_h) || isfinite(p->most_power_w) ||
        isfinite(p->buying.most_nodes) || isfinite(p->buying.most_node_power_w) || isfinite(p->buying.most_racks))
        return 0;
    return json_complain(objective, "constraints next to it that bound what may be bought (gpus, nodes, cost_per_h …)",
                         err);
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
    for (int i = AIM_THROUGHPUT; aim_names[i]; i++)
        if (strcmp(aim_names[i], name) == 0) {
            p->aim = (enum plan_aim)i;
            p->objective = p->aim == AIM_TOKEN_COST ? OBJECTIVE_COST : OBJECTIVE_GPUS;
            return check_budget(p, &at, err);
        }
    return json_complain(&at, "\"cost\", \"gpus\", \"energy\", \"throughput\", \"token_cost\" or \"tightest_slo\"",
                         err);
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
    static const char *const keys[] = {
        "name",         "about",        "seed",         "scenario",    "rate_per_s", "search",
        "constraints",  "prices_per_h", "objective",    "confidence",  "buy",        "cost_model_confidence",
        "replications", "tolerance",    "indifference", "sensitivity", NULL};
    const char *name = "unnamed", *about = NULL;
    long long seed = 1;
    if (json_check_keys(&p->root, keys, err) || json_read_string(&p->root, "name", false, &name, err) ||
        json_read_string(&p->root, "about", false, &about, err) ||
        json_read_integer(&p->root, "seed", false, 0, 9000000000000, &seed, err))
        return -1;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->seed = (uint64_t)seed * 1000; /* replications of neighbouring seeds are others */
    return read_scenario(p, err) || read_axes(p, err) || read_prices(p, err) || read_constraints(p, err) ||
                   read_buying(p, err) || read_effort(p, err) || read_objective(p, err) || prepare_workload(p, err)
               ? -1
               : 0;
}

int plan_read(struct plan *out, struct json root, struct error *err)
{
    *out = (struct plan){.root = root, .offers = calloc(1, sizeof *out->offers)};
    if (!out->offers) {
        plan_release(out);
        return error_no_memory(err);
    }
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
    free(p->offers);
    *p = (struct plan){0};
}

void plan_bill(const struct plan *p, const struct held_gpus *held, size_t pools, struct bill *out)
{
    bill_make(&p->buying, p->offers, p->prices, p->price_count, held, pools, out);
}

double plan_price(const struct plan *p, const struct held_gpus *held)
{
    return bill_price(&p->buying, p->offers, p->prices, p->price_count, held);
}

void plan_price_said(const struct plan *p, const char *device, struct price_said *out)
{
    const struct buying *b = &p->buying;
    const struct offer *offer = offers_find(p->offers, device);
    const struct listed_price *listed = offer ? &offer->purchase.prices[b->kind] : NULL;
    bool own = bill_own_price(p->offers, p->prices, p->price_count, device) != NULL;
    *out = (struct price_said){0};
    if (own || !listed || !listed->date[0]) {
        snprintf(out->source, sizeof out->source, "%s",
                 own && b->price_source ? b->price_source
                 : own                  ? "the plan's own price"
                                        : "the device file's price_per_hour");
        snprintf(out->date, sizeof out->date, "%s", own && b->price_date ? b->price_date : "");
        snprintf(out->currency, sizeof out->currency, "%s", b->currency ? b->currency : "");
        return;
    }
    snprintf(out->source, sizeof out->source, "%s (%s)", listed->source,
             b->kind == PRICE_ON_DEMAND ? "on demand" : price_kind_names[b->kind]);
    snprintf(out->date, sizeof out->date, "%s", listed->date);
    snprintf(out->currency, sizeof out->currency, "USD"); /* as all lists that are shipped */
}

void plan_currency(const struct plan *p, const struct bill *bill, char *out, size_t size)
{
    struct price_said said, other;
    snprintf(out, size, "%s", "");
    for (size_t i = 0; i < bill->count; i++) {
        plan_price_said(p, bill->lines[i].device, &other);
        if (i == 0)
            said = other;
        else if (strcmp(said.currency, other.currency) != 0)
            return;
    }
    if (bill->count > 0)
        snprintf(out, size, "%s", said.currency);
}

double plan_cost_per_h(const struct plan *p, const struct trial_result *r)
{
    struct bill bill;
    plan_bill(p, r->held, r->pool_count, &bill);
    return bill.cost_per_h;
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
