/* SPDX-License-Identifier: MIT */
#include "sim/slo.h"

#include <stdio.h>
#include <string.h>

static const char *const metrics[] = {"ttft_s", "tpot_s", "e2e_s", "normalized_s", "itl_s"};

enum { METRICS = sizeof metrics / sizeof *metrics };

static int read_limit(struct slo *slo, const struct json *metric, const cJSON *node, size_t scope, struct error *err)
{
    static const struct {
        const char *name;
        double quantile;
    } statistics[] = {{"mean", -1},  {"p50", 0.5},     {"p90", 0.9}, {"p95", 0.95},
                      {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    struct json at = json_member(metric, node->string);
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++) {
        if (strcmp(statistics[i].name, node->string) != 0)
            continue;
        if (slo->count == SLO_LIMITS_MAX)
            return json_complain(&at, "no more than 16 limits", err);
        struct slo_limit *limit = &slo->limits[slo->count++];
        limit->quantile = statistics[i].quantile;
        limit->scope = scope;
        snprintf(limit->metric, sizeof limit->metric, "%s", strrchr(metric->path, '.') + 1);
        snprintf(limit->statistic, sizeof limit->statistic, "%s", node->string);
        return json_read_number(metric, node->string, true, 1e-9, 1e9, &limit->limit_s, err);
    }
    return json_complain(&at, "mean, p50, p90, p95, p99, p99.9 or max as the key", err);
}

/* The limits and the attainment of all requests, or of one class. */
static int read_scope(struct slo *slo, const struct json *at, size_t scope, struct error *err)
{
    if (json_read_number(at, "attainment", false, 0, 1, &slo->attainment[scope], err))
        return -1;
    for (int i = 0; i < METRICS; i++) {
        struct json metric = json_member(at, metrics[i]);
        if (metric.node && !cJSON_IsObject(metric.node))
            return json_complain(&metric, "an object like {\"p99\": 2.0}", err);
        for (const cJSON *n = metric.node ? metric.node->child : NULL; n; n = n->next)
            if (read_limit(slo, &metric, n, scope, err))
                return -1;
    }
    return 0;
}

/* One number, or a range [from, to]. */
static int read_range(const struct json *o, const char *key, uint32_t *from, uint32_t *to, bool *any, struct error *err)
{
    struct json at = json_member(o, key);
    double low = 0, high = UINT32_MAX;
    *from = 0;
    *to = UINT32_MAX;
    if (!at.node)
        return 0;
    *any = true;
    if (cJSON_IsNumber(at.node))
        low = high = at.node->valuedouble;
    else if (cJSON_GetArraySize(at.node) == 2 && cJSON_IsNumber(at.node->child) && cJSON_IsNumber(at.node->child->next))
        low = at.node->child->valuedouble, high = at.node->child->next->valuedouble;
    else
        return json_complain(&at, "a number or a range [from, to]", err);
    if (low < 0 || high > UINT32_MAX || low > high)
        return json_complain(&at, "a range [from, to] with 0 <= from <= to <= 4294967295", err);
    *from = (uint32_t)low;
    *to = (uint32_t)high;
    return 0;
}

static int read_class(struct slo *slo, const struct json *classes, const cJSON *node, struct error *err)
{
    static const char *const keys[] = {"priority", "client", "prompt_tokens", "output_tokens", "ttft_s",
                                       "tpot_s",   "e2e_s",  "normalized_s",  "attainment",    NULL};
    struct json at = json_member(classes, node->string);
    if (slo->class_count == SLO_CLASSES_MAX)
        return json_complain(&at, "no more than 8 classes", err);
    struct slo_class *c = &slo->classes[++slo->class_count];
    bool any = false;
    if (!cJSON_IsObject(at.node) || strlen(node->string) >= sizeof c->name)
        return json_complain(&at, "a name of at most 31 bytes and an object with conditions and limits", err);
    snprintf(c->name, sizeof c->name, "%s", node->string);
    if (json_check_keys(&at, keys, err) || /* gaps between tokens are not told apart by request: no itl_s here */
        read_range(&at, "priority", &c->priority_from, &c->priority_to, &any, err) ||
        read_range(&at, "client", &c->client_from, &c->client_to, &any, err) ||
        read_range(&at, "prompt_tokens", &c->prompt_from, &c->prompt_to, &any, err) ||
        read_range(&at, "output_tokens", &c->output_from, &c->output_to, &any, err))
        return -1;
    if (!any)
        return json_complain(&at, "a condition: priority, client, prompt_tokens or output_tokens", err);
    return read_scope(slo, &at, slo->class_count, err);
}

static int read_windows(struct slo *slo, const struct json *at, struct error *err)
{
    static const char *const keys[] = {"length_s", "share", NULL};
    double length_s = 0;
    slo->window_share = 1;
    if (!at->node)
        return 0;
    if (json_check_keys(at, keys, err) || json_read_number(at, "length_s", true, 1e-3, 1e9, &length_s, err) ||
        json_read_number(at, "share", false, 0, 1, &slo->window_share, err))
        return -1;
    slo->window = sim_time_from_s(length_s);
    return 0;
}

int slo_read(struct slo *out, const struct json *at, struct error *err)
{
    static const char *const keys[] = {"ttft_s",     "tpot_s",  "itl_s",   "e2e_s",         "normalized_s",
                                       "attainment", "classes", "windows", "goodput_per_s", NULL};
    *out = (struct slo){0};
    if (!at->node)
        return 0;
    struct json classes = json_member(at, "classes"), windows = json_member(at, "windows");
    if (json_check_keys(at, keys, err) || read_scope(out, at, 0, err) ||
        json_read_number(at, "goodput_per_s", false, 0, 1e9, &out->goodput_per_s, err) ||
        read_windows(out, &windows, err))
        return -1;
    if (classes.node && !cJSON_IsObject(classes.node))
        return json_complain(&classes, "an object of classes by name", err);
    for (const cJSON *n = classes.node ? classes.node->child : NULL; n; n = n->next)
        if (read_class(out, &classes, n, err))
            return -1;
    return 0;
}
