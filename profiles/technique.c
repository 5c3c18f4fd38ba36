/* SPDX-License-Identifier: MIT */
#include "profiles/technique.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "profiles/changes.h"
#include "profiles/shipped.h"

static const struct param_spec density_params[] = {
    {"from_tokens", PARAM_NUMBER, "tokens", 8192, 1, 1e9, "keys up to which every score is computed", NULL, NULL},
    {"power", PARAM_NUMBER, "", 1, 0, 1, "beyond, a share (keys / from)^-power of the scores is computed", NULL, NULL},
    {"ns_per_token", PARAM_NUMBER, "ns", 0, 0, 1e6, "finding out which, for a prompt token in a layer", NULL, NULL},
    {0},
};

static int apply_density(struct work *w, const struct param_set *p, struct error *err)
{
    struct attention_work *a = &w->attention[ATTENTION_FULL];
    if (a->density_from > 0)
        return error_set(err, ERROR_INPUT, "techniques: two of them set the density of prompts' attention");
    a->density_from = param_number(p, "from_tokens");
    a->density_power = param_number(p, "power");
    a->density_ns_per_token = param_number(p, "ns_per_token");
    return 0;
}

static const struct param_spec layers_params[] = {
    {"share", PARAM_NUMBER, "", 0.5, 0, 1, "of the layers that prompt tokens run through", NULL, NULL},
    {"kv_projection", PARAM_BOOL, "", 1, 0, 1, "the others still compute every prompt token's keys and values", NULL,
     NULL},
    {"attention", PARAM_TEXT, "", 0, 0, 0, "those layers: of both kinds alike, or all with a window and no other",
     "both", "both|windowed"},
    {0},
};

/* Whether prompt tokens run through it in layers, be it some of them (experts after dense layers). */
static bool is_of_layers(const struct operation *op)
{
    return op->rows == PER_TOKEN && strcmp(op->name, "embedding") != 0 && strcmp(op->name, "final_norm") != 0;
}

/* An operation of layers is split: in the first layers on all tokens, in the others on those alone that
 * yield an output token. */
static int apply_layers(struct work *w, const struct param_set *p, struct error *err)
{
    bool windowed = strcmp(param_text(p, "attention"), "windowed") == 0;
    double share = windowed ? w->attention[ATTENTION_WINDOW].decode_layers / w->layers : param_number(p, "share");
    double attention = w->attention[ATTENTION_FULL].decode_layers + w->attention[ATTENTION_WINDOW].decode_layers;
    double others = (1 - share) * attention;
    size_t before = w->count;
    if (windowed && share == 0)
        return error_set(err, ERROR_INPUT, "techniques: prefill_layers: the model has no layers with a window");
    if (w->kv_projection.n <= 0)
        return error_set(err, ERROR_INPUT, "techniques: prefill_layers needs a model with grouped attention");
    for (int i = 0; i < ATTENTION_KINDS; i++)
        if (w->attention[i].prefill_layers < w->attention[i].decode_layers)
            return error_set(err, ERROR_INPUT, "techniques: two of them choose the layers that prompts run through");
    assert(2 * before + 1 <= WORK_OPS_MAX);
    for (size_t i = 0; i < before; i++) {
        struct operation *op = &w->ops[i];
        if (!is_of_layers(op))
            continue;
        struct operation rest = *op;
        op->times *= share;
        rest.times *= 1 - share;
        rest.rows = PER_SEQUENCE;
        if (rest.times > 0)
            w->ops[w->count++] = rest;
    }
    if (param_number(p, "kv_projection") > 0 && others > 0) {
        w->ops[w->count] = w->kv_projection;
        w->ops[w->count++].times = others;
    }
    for (int i = 0; i < ATTENTION_KINDS; i++)
        w->attention[i].prefill_layers *= windowed ? i == ATTENTION_WINDOW : share;
    return 0;
}

static const struct param_spec kv_params[] = {
    {"bytes_per_value", PARAM_NUMBER, "bytes", 0, 0, 8, "of a cached number, scales included; 0: as the model's", NULL,
     NULL},
    {"layers_share", PARAM_NUMBER, "", 1, 0.001, 1, "of the layers that keep KV of their own", NULL, NULL},
    {"tokens_share", PARAM_NUMBER, "", 1, 0.001, 1, "of the tokens whose KV is kept and read", NULL, NULL},
    {0},
};

/* The pool holds bytes for every layer and token kept; a decode reads every layer's, shared or not. */
static int apply_kv(struct work *w, const struct param_set *p, struct error *err)
{
    (void)err;
    double bytes = param_number(p, "bytes_per_value"), tokens = param_number(p, "tokens_share");
    for (int i = 0; i < ATTENTION_KINDS; i++) {
        struct attention_work *a = &w->attention[i];
        double narrower = bytes > 0 && a->kv_value_bytes > 0 ? bytes / a->kv_value_bytes : 1;
        a->kv_bytes *= narrower * tokens;
        a->decode_flops *= tokens;
        a->kv_value_bytes *= narrower;
        a->changed = a->changed || tokens < 1 || narrower != 1;
        if (i == ATTENTION_FULL)
            w->kv_bytes_per_token *= narrower * tokens * param_number(p, "layers_share");
    }
    return 0;
}

static const struct param_spec time_params[] = {
    {"factor", PARAM_NUMBER, "", 1, 0.01, 100, "of every kernel's and the host's time", NULL, NULL},
    {0},
};

static int apply_time(struct work *w, const struct param_set *p, struct error *err)
{
    (void)err;
    w->time_scale *= param_number(p, "factor");
    return 0;
}

static const struct change_kind density = {"attention_density", "prompts compute a part of their attention scores",
                                           density_params, apply_density};
static const struct change_kind layers = {"prefill_layers", "prompt tokens run through a part of the layers",
                                          layers_params, apply_layers};
static const struct change_kind kv_cache = {"kv_cache", "fewer bytes, layers or tokens of KV are kept", kv_params,
                                            apply_kv};
static const struct change_kind time_scale = {"time", "everything takes longer, or less long", time_params, apply_time};

const struct change_kind *const change_kinds[] = {&density,
                                                  &layers,
                                                  &kv_cache,
                                                  &change_speculation,
                                                  &change_kv_read,
                                                  &change_shared_prefix_attention,
                                                  &change_prompt_keep,
                                                  &change_kv_reuse,
                                                  &change_adapters,
                                                  &change_shared_gpu,
                                                  &change_background,
                                                  &change_phase_model,
                                                  &change_overlap,
                                                  &change_weights_source,
                                                  &change_sequence_ranks,
                                                  &time_scale,
                                                  NULL};

static const char *change_name(const void *names, size_t index)
{
    (void)names;
    return change_kinds[index] ? change_kinds[index]->name : NULL;
}

static int complain_of_change(const struct json *at, const char *found, struct error *err)
{
    char list[600] = "one of ";
    for (const struct change_kind *const *kind = change_kinds; *kind; kind++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", kind == change_kinds ? "" : ", ", (*kind)->name);
    }
    return json_complain_of_name(at, list, found, change_name, NULL, err);
}

static int read_change(const struct json *at, struct techniques *t, struct error *err)
{
    const char *name = NULL;
    struct json named = json_member(at, "name");
    if (!cJSON_IsObject(at->node))
        return json_complain(at, "an object with the \"name\" of a change", err);
    if (json_read_string(at, "name", true, &name, err))
        return -1;
    for (const struct change_kind *const *kind = change_kinds; *kind; kind++) {
        if (strcmp((*kind)->name, name) != 0)
            continue;
        if (t->count == CHANGES_MAX)
            return json_complain(at, "no more than 16 changes in all", err);
        t->changes[t->count].kind = *kind;
        return param_set_read(&t->changes[t->count++].params, (*kind)->params, at, err);
    }
    return complain_of_change(&named, name, err);
}

static int read_technique(const struct json *o, struct techniques *t, struct error *err)
{
    static const char *const keys[] = {"name", "paper", "about", "changes", NULL};
    const char *text = NULL;
    struct json changes = json_member(o, "changes");
    if (json_check_keys(o, keys, err) || json_read_string(o, "name", true, &text, err) ||
        json_read_string(o, "paper", true, &text, err) || json_read_string(o, "about", false, &text, err))
        return -1;
    int count = cJSON_IsArray(changes.node) ? cJSON_GetArraySize(changes.node) : 0;
    if (count == 0)
        return json_complain(&changes, "a list of changes", err);
    for (int i = 0; i < count; i++) {
        struct json change = json_element(&changes, i);
        if (read_change(&change, t, err))
            return -1;
    }
    return 0;
}

int techniques_read(const struct json *at, struct techniques *out, struct error *err)
{
    *out = (struct techniques){0};
    if (!at->node)
        return 0;
    if (!cJSON_IsArray(at->node) || cJSON_GetArraySize(at->node) > CHANGES_MAX)
        return json_complain(at, "a list of at most 16 techniques: names, paths, or objects", err);
    for (int i = 0; i < cJSON_GetArraySize(at->node); i++) {
        struct json item = json_element(at, i), root = item;
        if (cJSON_IsString(item.node)) {
            if (shipped_load("technique", item.node->valuestring, &root, err))
                return -1;
            out->files[out->file_count++] = (cJSON *)(uintptr_t)root.node;
        } else if (!cJSON_IsObject(item.node)) {
            return json_complain(&item, "a technique's name, a path, or an object", err);
        }
        if (read_technique(&root, out, err))
            return -1;
    }
    return 0;
}

void techniques_release(struct techniques *t)
{
    for (size_t i = 0; i < t->file_count; i++)
        cJSON_Delete(t->files[i]);
    *t = (struct techniques){0};
}

int techniques_apply(const struct techniques *t, struct work *w, struct error *err)
{
    for (size_t i = 0; t && i < t->count; i++)
        if (t->changes[i].kind->apply(w, &t->changes[i].params, err))
            return -1;
    return 0;
}
