/* SPDX-License-Identifier: MIT */
#include "profiles/engine.h"

#include <stdio.h>
#include <string.h>

#include "profiles/shipped.h"

static int read_sizes(const struct json *at, struct engine *e, struct error *err)
{
    if (!at->node)
        return 0;
    int count = cJSON_IsArray(at->node) ? cJSON_GetArraySize(at->node) : -1;
    if (count < 0 || count > GRAPH_SIZES_MAX)
        return json_complain(at, "a list of at most 256 ascending token counts", err);
    e->graph_count = 0;
    for (const cJSON *n = at->node->child; n; n = n->next) {
        double last = e->graph_count ? e->graph_tokens[e->graph_count - 1] : 0;
        if (!cJSON_IsNumber(n) || !(n->valuedouble > last && n->valuedouble <= 8192) ||
            n->valuedouble != (double)(uint32_t)n->valuedouble) {
            struct json bad = json_element(at, (int)e->graph_count);
            return json_complain(&bad, "a whole number above the one before it, up to 8192", err);
        }
        e->graph_tokens[e->graph_count++] = (uint32_t)n->valuedouble;
    }
    return 0;
}

static int read_memory(const struct json *at, struct engine_memory *m, struct error *err)
{
    static const char *const keys[] = {"rule", "utilization", "context_bytes", "graph_bytes", NULL};
    static const char *const rules[] = {
        [MEMORY_DEVICE] = "device", [MEMORY_TOTAL] = "total", [MEMORY_FREE] = "free", [MEMORY_STATIC] = "static"};
    const char *rule = NULL;
    struct json named = json_member(at, "rule");
    if (!at->node)
        return 0;
    if (json_check_keys(at, keys, err) || json_read_string(at, "rule", false, &rule, err) ||
        json_read_number(at, "utilization", false, 0.01, 1, &m->utilization, err) ||
        json_read_number(at, "context_bytes", false, 0, 1e15, &m->context_bytes, err) ||
        json_read_number(at, "graph_bytes", false, 0, 1e15, &m->graph_bytes, err))
        return -1;
    for (size_t i = 0; rule && i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i], rule) == 0) {
            m->rule = (enum memory_rule)i;
            return 0;
        }
    return rule ? json_complain(&named, "one of device, total, free, static", err) : 0;
}

/* How KV of layers with a window is kept. */
static int read_kv_groups(const struct json *o, bool *uniform, struct error *err)
{
    const char *groups = *uniform ? "uniform" : "hybrid";
    struct json at = json_member(o, "kv_groups");
    if (json_read_string(o, "kv_groups", false, &groups, err))
        return -1;
    *uniform = strcmp(groups, "uniform") == 0;
    return *uniform || strcmp(groups, "hybrid") == 0 ? 0 : json_complain(&at, "\"hybrid\" or \"uniform\"", err);
}

static int read_error(const struct json *errors, const char *metric, struct engine_error *out, struct error *err)
{
    static const char *const keys[] = {"signed_median", "median", "p90", NULL};
    struct json at = json_member(errors, metric);
    if (!at.node)
        return 0;
    return json_check_keys(&at, keys, err) ||
           json_read_number(&at, "signed_median", true, -1, 1e6, &out->signed_median, err) ||
           json_read_number(&at, "median", true, 0, 1e6, &out->median, err) ||
           json_read_number(&at, "p90", true, 0, 1e6, &out->p90, err);
}

static int read_errors(const struct json *at, struct engine_accuracy *out, struct error *err)
{
    static const char *const keys[] = {"points", "ttft", "tpot", NULL};
    if (!at->node)
        return 0;
    *out = (struct engine_accuracy){0};
    return json_check_keys(at, keys, err) || json_read_number(at, "points", true, 1, 1e9, &out->points, err) ||
           read_error(at, "ttft", &out->ttft, err) || read_error(at, "tpot", &out->tpot, err);
}

/* Of fitted values, [low, high] each. They say how well the values are known; no cost depends on them. */
static int check_intervals(const struct json *at, struct error *err)
{
    static const char *const keys[] = {"kernel_factor", "exposed_ns", "exposed_ns_per_sequence", "front_end_s", NULL};
    if (!at->node)
        return 0;
    if (json_check_keys(at, keys, err))
        return -1;
    for (const char *const *key = keys; *key; key++) {
        struct json ends = json_member(at, *key), low = json_element(&ends, 0), high = json_element(&ends, 1);
        if (ends.node && !(cJSON_IsArray(ends.node) && cJSON_GetArraySize(ends.node) == 2 && cJSON_IsNumber(low.node) &&
                           cJSON_IsNumber(high.node) && low.node->valuedouble <= high.node->valuedouble))
            return json_complain(&ends, "a list of two ascending numbers", err);
    }
    return 0;
}

static int read_values(const struct json *o, struct engine *e, struct error *err)
{
    static const char *const keys[] = {"name",
                                       "preset",
                                       "source",
                                       "host_ns",
                                       "host_ns_per_sequence",
                                       "kernel_factor",
                                       "intervals",
                                       "errors",
                                       "exposed_ns",
                                       "exposed_ns_per_sequence",
                                       "eager_layer_ns",
                                       "eager_expert_layer_ns",
                                       "launch_op_ns",
                                       "graph_tokens",
                                       "schedule_ahead",
                                       "weight_dtype",
                                       "expert_dtype",
                                       "kv_dtype",
                                       "memory",
                                       "kv_groups",
                                       "graph_decodes_only",
                                       "head_for_all",
                                       "fused_shared_experts",
                                       "server", /* profiles/engine_server.h */
                                       NULL};
    const char *name = NULL;
    struct json sizes = json_member(o, "graph_tokens"), memory = json_member(o, "memory");
    struct json errors = json_member(o, "errors"), intervals = json_member(o, "intervals");
    if (json_check_keys(o, keys, err) || json_read_string(o, "name", false, &name, err) ||
        json_read_number(o, "host_ns", false, 0, 1e12, &e->host_ns, err) ||
        json_read_number(o, "host_ns_per_sequence", false, 0, 1e12, &e->host_ns_per_sequence, err) ||
        json_read_number(o, "kernel_factor", false, 0.01, 100, &e->kernel_factor, err) ||
        read_errors(&errors, &e->errors, err) || check_intervals(&intervals, err) ||
        json_read_number(o, "exposed_ns", false, 0, 1e12, &e->exposed_ns, err) ||
        json_read_number(o, "exposed_ns_per_sequence", false, 0, 1e12, &e->exposed_ns_per_sequence, err) ||
        json_read_number(o, "eager_layer_ns", false, 0, 1e9, &e->eager_layer_ns, err) ||
        json_read_number(o, "eager_expert_layer_ns", false, 0, 1e9, &e->eager_expert_layer_ns, err) ||
        json_read_number(o, "launch_op_ns", false, 0, 1e9, &e->launch_op_ns, err) ||
        dtype_read(o, "weight_dtype", &e->weight_dtype, err) || dtype_read(o, "expert_dtype", &e->expert_dtype, err) ||
        dtype_read(o, "kv_dtype", &e->kv_dtype, err) ||
        json_read_bool(o, "graph_decodes_only", &e->graph_decodes_only, err) ||
        json_read_bool(o, "head_for_all", &e->head_for_all, err) ||
        json_read_bool(o, "fused_shared_experts", &e->fused_shared_experts, err) ||
        read_memory(&memory, &e->memory, err) || json_read_bool(o, "schedule_ahead", &e->schedule_ahead, err) ||
        read_kv_groups(o, &e->uniform_kv, err) || read_sizes(&sizes, e, err))
        return -1;
    if (json_member(o, "weight_dtype").node)
        e->quantised = true;
    if (json_member(o, "kv_dtype").node)
        e->kv_quantised = true;
    if (json_member(o, "expert_dtype").node)
        e->experts_quantised = true;
    if (name)
        snprintf(e->name, sizeof e->name, "%s", name);
    return 0;
}

static int read_object(const struct json *o, int depth, struct engine *e, struct error *err);

/* A shipped engine, or a file, which may begin with a preset of its own. */
static int read_preset(const struct json *at, int depth, struct engine *e, struct error *err)
{
    struct json root;
    if (depth == ENGINE_PRESETS_MOST)
        return json_complain(at, ENGINE_PRESETS_EXPECTED, err);
    if (shipped_load("engine", at->node->valuestring, &root, err))
        return -1;
    int status = read_object(&root, depth + 1, e, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

static int read_object(const struct json *o, int depth, struct engine *e, struct error *err)
{
    const char *named = NULL;
    struct json preset = json_member(o, "preset");
    if (json_read_string(o, "preset", false, &named, err) || (named && read_preset(&preset, depth, e, err)))
        return -1;
    return read_values(o, e, err);
}

int engine_read(const struct json *at, struct engine *out, struct error *err)
{
    *out = (struct engine){
        .name = "none", .host_ns = -1, .host_ns_per_sequence = -1, .eager_layer_ns = -1, .memory.utilization = 0.9};
    if (!at->node)
        return 0;
    if (cJSON_IsString(at->node))
        return read_preset(at, 0, out, err);
    if (!cJSON_IsObject(at->node))
        return json_complain(at, "an engine's name, or an object with \"preset\" and values", err);
    return read_object(at, 0, out, err);
}

bool engine_is_eager(const struct engine *engine, uint64_t tokens, bool prompts)
{
    size_t n = engine->graph_count;
    return n == 0 || tokens > engine->graph_tokens[n - 1] || (prompts && engine->graph_decodes_only);
}

uint64_t engine_padded_tokens(const struct engine *engine, uint64_t tokens)
{
    for (size_t i = 0; i < engine->graph_count; i++)
        if (engine->graph_tokens[i] >= tokens)
            return engine->graph_tokens[i];
    return tokens;
}
