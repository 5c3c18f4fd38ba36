/* SPDX-License-Identifier: MIT */
#include "sim/slo.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    double quantile;
} statistics[] = {{"mean", -1}, {"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};

static bool statistic_at(size_t index, struct named *out)
{
    if (index == sizeof statistics / sizeof *statistics)
        return false;
    *out = (struct named){.name = statistics[index].name};
    return true;
}

static const struct field limits_of[] = {{.is = {"STATISTIC", PARAM_NUMBER, "s", 0, 1e-9, 1e9,
                                                 "largest value that meets the SLO", NULL, NULL},
                                          .required = true},
                                         {.is.name = NULL}};

#define METRIC(NAME, HELP)                                                                                             \
    {                                                                                                                  \
        .is = {.name = NAME, .unit = "s", .help = HELP}, .kind = FIELD_MAP, .names = statistic_at,                     \
        .members = limits_of, .title = "limits"                                                                        \
    }

static const char *const metrics[] = {"ttft_s", "tpot_s", "e2e_s", "normalized_s", "itl_s"};

enum { METRICS = sizeof metrics / sizeof *metrics };

struct scope_said {
    double attainment, goodput_per_s;
};

#define ATTAINMENT                                                                                                     \
    {                                                                                                                  \
        .is = {"attainment",                                                                                           \
               PARAM_NUMBER,                                                                                           \
               "",                                                                                                     \
               0,                                                                                                      \
               0,                                                                                                      \
               1,                                                                                                      \
               "share of requests that must each meet every per-request limit; one that is not served does not",       \
               NULL,                                                                                                   \
               NULL},                                                                                                  \
        .otherwise = "not asked", .into = FIELD_INTO(struct scope_said, attainment)                                    \
    }

static const struct field bound[] = {{.is = {"BOUND", PARAM_NUMBER, "", 0, 0, UINT32_MAX, "from, or to", NULL, NULL},
                                      .required = true},
                                     {.is.name = NULL}};

static const struct field range[] = {
    {.is = {"VALUE", PARAM_NUMBER, "", 0, 0, UINT32_MAX, "this one", NULL, NULL}},
    {.is = {.name = "RANGE", .min = 2, .max = 2, .help = "from the first to the second"},
     .kind = FIELD_LIST,
     .members = bound},
    {.is.name = NULL}};

#define CONDITION(NAME, HELP)                                                                                          \
    {                                                                                                                  \
        .is = {.name = NAME, .help = HELP}, .kind = FIELD_FORMS, .otherwise = "any", .members = range                  \
    }

/* Gaps between tokens are not told apart by request: no itl_s here. */
static const struct field class_fields[] = {
    CONDITION("priority", "priorities of the class; a class has a condition, or the name of one of the "
                          "workload's"),
    CONDITION("client", "clients of the class"),
    CONDITION("prompt_tokens", "prompt lengths of the class"),
    CONDITION("output_tokens", "output lengths of the class"),
    METRIC("ttft_s", "limits of the class, which go before everybody's on this metric"),
    METRIC("tpot_s", "limits of the class on this metric"),
    METRIC("e2e_s", "limits of the class on this metric"),
    METRIC("normalized_s", "limits of the class on this metric"),
    ATTAINMENT,
    {.is.name = NULL}};

static const struct field class[] = {
    {.is = {.name = "NAME", .help = "a class: requests that meet every condition, and limits for them"},
     .kind = FIELD_OBJECT,
     .members = class_fields},
    {.is.name = NULL}};

struct windows_said {
    double length_s, share;
};

static const struct field windows_fields[] = {
    {.is = {"length_s", PARAM_NUMBER, "s", 0, 1e-3, 1e9, "length of a window of arrivals", NULL, NULL},
     .required = true,
     .into = FIELD_INTO(struct windows_said, length_s)},
    {.is = {"share", PARAM_NUMBER, "", 1, 0, 1, "share of the windows that must each meet them", NULL, NULL},
     .into = FIELD_INTO(struct windows_said, share)},
    {.is.name = NULL}};

const struct field slo_fields[] = {
    METRIC("ttft_s", "limits on the time to first token, by statistic"),
    METRIC("tpot_s", "limits on the time per output token after the first"),
    METRIC("itl_s", "limits on the gaps between tokens"),
    METRIC("e2e_s", "limits on the time from arrival to the last token"),
    METRIC("normalized_s", "limits on the time from arrival to the last token, over the output tokens"),
    ATTAINMENT,
    {.is = {.name = "classes",
            .max = SLO_CLASSES_MAX,
            .help = "classes of requests with limits of their own, at most 8; a request of a class meets the SLO when "
                    "it keeps the class's per-request limits, and everybody's on other metrics"},
     .kind = FIELD_MAP,
     .members = class},
    {.is = {.name = "windows",
            .help = "the limits and the attainment of all requests, but for those on itl_s, are "
                    "asked of stretches of arrivals, too"},
     .kind = FIELD_OBJECT,
     .members = windows_fields},
    {.is = {"goodput_per_s", PARAM_NUMBER, "1/s", 0, 0, 1e9, "least rate of requests that meet every per-request limit",
            NULL, NULL},
     .otherwise = "not asked",
     .into = FIELD_INTO(struct scope_said, goodput_per_s)},
    {.is.name = NULL}};

static int read_limit(struct slo *slo, const struct json *metric, const cJSON *node, size_t scope, struct error *err)
{
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
        return json_read_number(metric, node->string, true, limits_of[0].is.min, limits_of[0].is.max, &limit->limit_s,
                                err);
    }
    return json_complain(&at, "mean, p50, p90, p95, p99, p99.9 or max as the key", err);
}

/* The limits of all requests, or of one class. */
static int read_limits(struct slo *slo, const struct json *at, size_t scope, struct error *err)
{
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

/* The place of a name among the workload's classes, from 1; 0: it has none of that name. */
static uint32_t place_in_workload(const struct json *workload, const char *name)
{
    struct json classes = json_member(workload, "classes");
    uint32_t place = 0;
    for (const cJSON *n = cJSON_IsObject(classes.node) ? classes.node->child : NULL; n; n = n->next) {
        place++;
        if (strcmp(n->string, name) == 0)
            return place;
    }
    return 0;
}

static int read_class(struct slo *slo, const struct json *classes, const cJSON *node, const struct json *workload,
                      struct error *err)
{
    struct json at = json_member(classes, node->string);
    if (slo->class_count == SLO_CLASSES_MAX)
        return json_complain(&at, "no more than 8 classes", err);
    struct slo_class *c = &slo->classes[++slo->class_count];
    struct scope_said said = {0};
    bool any = false;
    if (!cJSON_IsObject(at.node) || strlen(node->string) >= sizeof c->name)
        return json_complain(&at, "a name of at most 31 bytes and an object with conditions and limits", err);
    snprintf(c->name, sizeof c->name, "%s", node->string);
    c->workload = place_in_workload(workload, node->string);
    if (fields_read(&at, class_fields, &said, err) ||
        read_range(&at, "priority", &c->priority_from, &c->priority_to, &any, err) ||
        read_range(&at, "client", &c->client_from, &c->client_to, &any, err) ||
        read_range(&at, "prompt_tokens", &c->prompt_from, &c->prompt_to, &any, err) ||
        read_range(&at, "output_tokens", &c->output_from, &c->output_to, &any, err))
        return -1;
    if (!any && c->workload == 0)
        return json_complain(&at,
                             "a condition: priority, client, prompt_tokens or output_tokens; or the name of one of the "
                             "workload's classes",
                             err);
    slo->attainment[slo->class_count] = said.attainment;
    return read_limits(slo, &at, slo->class_count, err);
}

static int read_windows(struct slo *slo, const struct json *at, struct error *err)
{
    struct windows_said said = {0};
    if (fields_read(at, windows_fields, &said, err))
        return -1;
    slo->window_share = said.share;
    slo->window = sim_time_from_s(said.length_s);
    return 0;
}

int slo_read(struct slo *out, const struct json *at, const struct json *workload, struct error *err)
{
    struct scope_said said = {0};
    *out = (struct slo){0};
    if (!at->node)
        return 0;
    struct json classes = json_member(at, "classes"), windows = json_member(at, "windows");
    if (fields_read(at, slo_fields, &said, err) || read_limits(out, at, 0, err) || read_windows(out, &windows, err))
        return -1;
    out->attainment[0] = said.attainment;
    out->goodput_per_s = said.goodput_per_s;
    if (classes.node && !cJSON_IsObject(classes.node))
        return json_complain(&classes, "an object of classes by name", err);
    for (const cJSON *n = classes.node ? classes.node->child : NULL; n; n = n->next)
        if (read_class(out, &classes, n, workload, err))
            return -1;
    return 0;
}
