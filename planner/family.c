/* SPDX-License-Identifier: MIT */
/* The families of a plan: every choice on its axes, checked and weighed before anything is simulated. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/axis.h"
#include "planner/model_error.h"
#include "planner/plan.h"
#include "reports/stats/analytic.h"

/* A value in a few words: its name and what else it says. */
static void describe(const cJSON *value, char *out, size_t size)
{
    size_t used = 0;
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(value, "name");
    if (!cJSON_IsString(name))
        name = cJSON_GetObjectItemCaseSensitive(value, "policy");
    if (!cJSON_IsString(name))
        name = NULL;
    if (cJSON_IsString(value)) {
        snprintf(out, size, "%s", value->valuestring);
        return;
    }
    if (!cJSON_IsObject(value)) {
        char *text = cJSON_PrintUnformatted(value);
        snprintf(out, size, "%s", text ? text : "?");
        free(text);
        return;
    }
    if (name)
        used = (size_t)snprintf(out, size, "%s", name->valuestring);
    for (const cJSON *n = value->child; n && used < size; n = n->next) {
        char inner[128];
        if (n == name)
            continue;
        describe(n, inner, sizeof inner);
        used += (size_t)snprintf(out + used, size - used, cJSON_IsObject(n) ? "%s%s (%s)" : "%s%s %s", used ? " " : "",
                                 n->string, inner);
    }
}

/* "prefill " of cluster.placement.prefill.device, "big " of cluster.pools.big.replicas; "" of what is not a pool's. */
static void name_pool(const char *path, char *out, size_t size)
{
    static const char *const pools[] = {"cluster.placement.", "cluster.pools."};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        size_t length = strlen(pools[i]);
        const char *name = path + length, *end = strncmp(path, pools[i], length) == 0 ? strchr(name, '.') : NULL;
        if (end)
            snprintf(out, size, "%.*s ", (int)(end - name), name);
    }
}

/* Devices and names speak for themselves; numbers need to say of what; what is a pool's says whose. */
static void add_to_label(struct family *f, const struct plan_axis *axis, const cJSON *value)
{
    char text[200], pool[64];
    const char *last = strrchr(axis->path, '.') ? strrchr(axis->path, '.') + 1 : axis->path;
    size_t used = strlen(f->label);
    describe(value, text, sizeof text);
    name_pool(axis->path, pool, sizeof pool);
    bool speaks = cJSON_IsString(value) || cJSON_IsObject(value);
    snprintf(f->label + used, sizeof f->label - used, "%s%s%s%s%s", used ? " · " : "", pool, speaks ? "" : last,
             speaks ? "" : " ", text);
}

static int choose(const struct plan *p, size_t index, struct family *f, struct error *err)
{
    struct json at = p->scenario;
    at.node = f->scenario = cJSON_Duplicate(p->scenario.node, 1);
    if (!at.node)
        return error_no_memory(err);
    for (size_t i = 0; i < p->axis_count; i++)
        workload_make_way(&at, p->axes[i].path);
    for (size_t i = 0; i < p->axis_count; i++) {
        size_t count = (size_t)cJSON_GetArraySize(p->axes[i].values.node);
        const cJSON *value = cJSON_GetArrayItem(p->axes[i].values.node, (int)(index % count));
        index /= count;
        char *text = cJSON_PrintUnformatted(value);
        if (!text)
            return error_no_memory(err);
        int status = axis_set(&at, p->axes[i].path, text, p->root.file, "search", err);
        free(text);
        if (status)
            return -1;
        add_to_label(f, &p->axes[i], value);
    }
    if (p->axis_count == 0)
        snprintf(f->label, sizeof f->label, "the scenario");
    return memory_check(err); /* a label may lack a value */
}

static void multiply(cJSON *object, size_t units, double otherwise)
{
    cJSON *replicas = cJSON_GetObjectItemCaseSensitive(object, "replicas");
    double unit = cJSON_IsNumber(replicas) ? replicas->valuedouble : otherwise;
    cJSON_DeleteItemFromObjectCaseSensitive(object, "replicas");
    cJSON_AddNumberToObject(object, "replicas", unit * (double)units);
}

/* What a plan does not size: servers of a pool of another kind than replicas are as the scenario says. */
static bool holds_replicas(const cJSON *pool)
{
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(pool, "kind");
    return !cJSON_IsString(kind) || strcmp(kind->valuestring, "replica") == 0;
}

char *family_scenario(const struct plan *p, const struct family *f, size_t units)
{
    static const char *const placed[] = {"prefill", "decode"};
    cJSON *root = cJSON_Duplicate(f->scenario, 1), *cluster = cJSON_GetObjectItemCaseSensitive(root, "cluster");
    if (root && !cluster)
        cluster = cJSON_AddObjectToObject(root, "cluster");
    cJSON *placement = cJSON_GetObjectItemCaseSensitive(cluster, "placement");
    const cJSON *stated = cJSON_GetObjectItemCaseSensitive(cluster, "replicas");
    double unit = cJSON_IsNumber(stated) ? stated->valuedouble : 1;
    cJSON *pools = cJSON_GetObjectItemCaseSensitive(cluster, "pools");
    if (!pools)
        multiply(cluster, units, 1);
    for (cJSON *pool = pools ? pools->child : NULL; pool; pool = pool->next)
        if (holds_replicas(pool))
            multiply(pool, units, unit);
    for (int i = 0; i < 2; i++) {
        cJSON *pool = cJSON_GetObjectItemCaseSensitive(placement, placed[i]);
        if (cJSON_IsObject(pool))
            multiply(pool, units, unit);
    }
    cJSON *workload = cJSON_GetObjectItemCaseSensitive(root, "workload");
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(workload, "rate_scale");
    double before = cJSON_IsNumber(scale) ? scale->valuedouble : 1;
    cJSON_DeleteItemFromObjectCaseSensitive(workload, "rate_scale");
    cJSON_AddNumberToObject(workload, "rate_scale", before * p->rate_per_s / p->base_rate);
    cJSON *requests = cJSON_GetObjectItemCaseSensitive(workload, "requests");
    if (p->most_requests > 0 && cJSON_IsNumber(requests) && requests->valuedouble > p->most_requests)
        cJSON_SetNumberValue(requests, p->most_requests);
    char *text = root && !memory_has_failed() ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static void refuse(struct family *f, const char *why)
{
    snprintf(f->refused, sizeof f->refused, "%.*s", (int)sizeof f->refused - 1, why);
}

/* GPUs that tensor parallelism may span: those of a node, or of the fast link that joins several. */
static double most_tensor(const struct plan *p, const struct cost_model *cost)
{
    const struct purchase *of = &cost->device.purchase;
    if (p->buying.gpus_per_node > 0)
        return p->buying.gpus_per_node;
    return of->link_gpus > 0 ? of->link_gpus : of->gpus_per_node > 0 ? of->gpus_per_node : 8;
}

static double weigh(const struct plan *p, const struct scenario *s, size_t pool, struct family *f)
{
    const struct cost_model *cost = &s->pools[pool].cost;
    struct held_gpus *held = &f->held[pool];
    trial_take_held(s, pool, held);
    offers_add(p->offers, held->device, cost->device.system, &cost->device.purchase, cost->device.source);
    double price = plan_price(p, held);
    f->unit_gpus += held->gpus;
    f->unit_cost_per_h += held->gpus > 0 ? held->gpus * price : 0;
    f->unit_power_w += held->gpus * held->power_w;
    if (cost->parallel.tensor > most_tensor(p, cost))
        refuse(f, "a replica's tensor parallelism does not fit in a node");
    return price;
}

/* Of the objective, what a replica of a pool counts. */
static double weight_of(const struct plan *p, const struct pool *pool)
{
    struct held_gpus held = {.price_per_h = pool->cost.device.price_per_hour};
    snprintf(held.device, sizeof held.device, "%s", pool->cost.device_name);
    return pool->cost.parallel.tensor * (p->objective == OBJECTIVE_COST   ? plan_price(p, &held)
                                         : p->objective == OBJECTIVE_GPUS ? 1
                                                                          : pool->cost.device.power_w);
}

/* The share of the objective that is held at least, where autoscaling gives up all that it may: of a fleet the least
 * replicas, which are those of its first pools. */
static double least_share(const struct plan *p, const struct scenario *s)
{
    const struct cluster_config *c = &s->cluster;
    double least = 0, all = 0;
    for (size_t i = 0, pool = 0; i < c->fleet_count; i++) {
        const struct fleet_config *f = &c->fleets[i];
        size_t kept = f->scaling ? f->least : f->count;
        for (size_t end = pool + f->pools; pool < end; pool++) {
            const struct pool_config *config = &c->pools[pool];
            size_t replicas = config->stations / config->ranks, held = kept < replicas ? kept : replicas;
            double weight = weight_of(p, &s->pools[pool]) * (double)pool_replicas(config) / (double)replicas;
            kept -= held;
            least += weight * (double)held;
            all += weight * (double)replicas;
        }
    }
    return all > 0 ? least / all : 0;
}

/* What one unit costs, and what it may bear at most. */
static int weigh_unit(const struct plan *p, const struct scenario *s, struct family *f, struct error *err)
{
    const struct cluster_config *c = &s->cluster;
    const enum price_kind kind = p->buying.kind;
    f->error.factor = 1;
    f->pool_count = c->pool_count;
    for (size_t i = 0; i < c->pool_count; i++) {
        const struct cost_model *cost = &s->pools[i].cost;
        double price = weigh(p, s, i, f);
        if (model_error_add(&f->error, p, cost, err))
            return -1;
        f->grows[i] = !s->pools[i].at.node || holds_replicas(s->pools[i].at.node);
        if (p->objective == OBJECTIVE_COST && isnan(price))
            return error_set(
                err, ERROR_INPUT,
                "prices_per_h: has no price for %s (nor has the device%s%s%s); add one, or choose another objective",
                cost->device_name, kind == PRICE_ON_DEMAND ? "" : ", \"",
                kind == PRICE_ON_DEMAND ? "" : price_kind_names[kind], kind == PRICE_ON_DEMAND ? "" : "\"");
        if (p->objective == OBJECTIVE_ENERGY && cost->device.power_w == 0)
            return error_set(err, ERROR_INPUT, "objective: \"energy\" needs devices with power_w, which %s has not",
                             cost->device_name);
    }
    f->unit_objective = p->objective == OBJECTIVE_COST   ? f->unit_cost_per_h
                        : p->objective == OBJECTIVE_GPUS ? f->unit_gpus
                                                         : f->unit_power_w;
    f->scaled = cluster_scales(c);
    f->least_objective = f->scaled ? f->unit_objective * least_share(p, s) : 0;
    struct analytic_estimate e;
    if (analytic_of(s, &e, err))
        return -1;
    f->capacity_per_s = e.capacity_per_s;
    return 0;
}

static int check(const struct plan *p, struct family *f, struct error *err)
{
    struct error own = {0};
    struct json root;
    struct scenario s;
    char *text = family_scenario(p, f, 1);
    if (!text)
        return error_no_memory(err);
    int status = json_parse(text, "scenario", &root, &own) || scenario_compile(&s, root, &own) ? -1 : 0;
    if (status) { /* what does not fit or go together is no candidate; the text names it */
        refuse(f, own.text);
        status = memory_check(err);
        if (error_is_of_machine(&own)) {
            *err = own;
            status = -1;
        }
    } else {
        if (s.slo.count == 0 && s.slo.goodput_per_s == 0)
            status = error_set(err, ERROR_INPUT, "slo: asks for nothing; a plan needs limits to meet");
        else
            status = weigh_unit(p, &s, f, err);
        scenario_release(&s);
    }
    free(text);
    return status;
}

void family_devices(const struct family *f, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->pool_count; i++) {
        bool named = f->held[i].gpus == 0; /* a pool that is not made of GPUs has none */
        for (size_t k = 0; !named && k < i; k++)
            named = strcmp(f->held[k].device, f->held[i].device) == 0;
        if (!named && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " + " : "", f->held[i].device);
    }
}

void family_scales(const struct family *f, double scales[SCALE_COUNT])
{
    for (int i = 0; i < SCALE_COUNT; i++)
        scales[i] = i == SCALE_TIME && f->error.known ? f->error.factor : 1;
}

void family_bill(const struct plan *p, const struct family *f, size_t units, struct bill *out)
{
    struct held_gpus held[MOST_POOLS];
    for (size_t i = 0; i < f->pool_count; i++) {
        held[i] = f->held[i];
        held[i].gpus *= f->grows[i] ? (double)units : 1;
        held[i].mean = held[i].gpus;
    }
    plan_bill(p, held, f->pool_count, out);
    for (size_t i = 0; i < out->count; i++) /* names that live as long as the family */
        for (size_t k = 0; k < f->pool_count; k++)
            if (strcmp(out->lines[i].device, f->held[k].device) == 0)
                out->lines[i].device = f->held[k].device;
}

double family_objective(const struct plan *p, const struct family *f, size_t units)
{
    struct bill bill;
    if (p->objective != OBJECTIVE_COST)
        return (double)units * f->unit_objective;
    family_bill(p, f, units, &bill);
    return bill.cost_per_h;
}

static bool within_limits(const struct plan *plan, const struct family *f, size_t units)
{
    struct bill bill;
    family_bill(plan, f, units, &bill);
    return bill_is_allowed(&plan->buying, &bill) && !(bill.gpus > plan->most_gpus * (1 + 1e-9)) &&
           !(bill.cost_per_h > plan->most_cost_per_h * (1 + 1e-9)) &&
           !((double)units * f->unit_power_w > plan->most_power_w * (1 + 1e-9));
}

size_t units_that(bool (*is_so)(const void *state, size_t units), const void *state)
{
    size_t low = 0, high = 1;
    while (high < 1000000 && is_so(state, high)) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(is_so(state, middle) ? &low : &high) = middle;
    }
    return low;
}

struct allowed {
    const struct plan *plan;
    const struct family *family;
};

static bool is_allowed(const void *state, size_t units)
{
    const struct allowed *a = state;
    return within_limits(a->plan, a->family, units);
}

size_t family_most(const struct plan *p, const struct family *f)
{
    const struct allowed allowed = {p, f};
    return units_that(is_allowed, &allowed);
}

size_t family_filled(const struct plan *p, const struct family *f, size_t units, size_t limit)
{
    struct bill now, more;
    family_bill(p, f, units, &now);
    for (size_t n = units; n < limit; n++) {
        family_bill(p, f, n + 1, &more);
        if (more.bought > now.bought * (1 + 1e-9))
            return n;
    }
    return limit;
}

int families_make(const struct plan *p, struct family **out, size_t *count, struct error *err)
{
    size_t n = 1;
    for (size_t i = 0; i < p->axis_count; i++) {
        n *= (size_t)cJSON_GetArraySize(p->axes[i].values.node);
        if (n > 10000)
            return error_set(err, ERROR_INPUT, "search: has more than 10000 combinations");
    }
    *out = calloc(n, sizeof **out);
    *count = n;
    if (!*out)
        return error_no_memory(err);
    for (size_t i = 0; i < n; i++)
        if (choose(p, i, &(*out)[i], err) || check(p, &(*out)[i], err)) {
            families_release(*out, n);
            *out = NULL;
            return -1;
        }
    return 0;
}

void families_release(struct family *families, size_t count)
{
    for (size_t i = 0; families && i < count; i++)
        cJSON_Delete(families[i].scenario);
    free(families);
}
