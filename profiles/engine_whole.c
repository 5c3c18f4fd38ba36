/* SPDX-License-Identifier: MIT */
/* An engine in one object, for files that are written. */
#include "profiles/engine.h"
#include "profiles/shipped.h"

static int whole_of(const struct json *at, int depth, cJSON **out, struct error *err);

/* What one object states lies over what another does; of objects in it, member by member. */
static int lay_over(cJSON *under, const cJSON *over, struct error *err)
{
    for (const cJSON *value = over->child; value; value = value->next) {
        cJSON *there = cJSON_GetObjectItemCaseSensitive(under, value->string);
        if (cJSON_IsObject(there) && cJSON_IsObject(value)) {
            if (lay_over(there, value, err))
                return -1;
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(under, value->string);
        cJSON_AddItemToObject(under, value->string, cJSON_Duplicate(value, 1));
    }
    return memory_check(err);
}

static int whole_file(const struct json *at, const char *name, int depth, cJSON **out, struct error *err)
{
    struct json root;
    if (depth == ENGINE_PRESETS_MOST)
        return json_complain(at, ENGINE_PRESETS_EXPECTED, err);
    if (shipped_load("engine", name, &root, err))
        return -1;
    int status = whole_of(&root, depth + 1, out, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

static int whole_of(const struct json *at, int depth, cJSON **out, struct error *err)
{
    const char *preset = NULL;
    struct json preset_at = json_member(at, "preset");
    if (cJSON_IsString(at->node))
        return whole_file(at, at->node->valuestring, depth, out, err);
    if (at->node && json_read_string(at, "preset", false, &preset, err))
        return -1;
    if (preset && whole_file(&preset_at, preset, depth, out, err))
        return -1;
    if (!*out && !(*out = cJSON_CreateObject()))
        return error_no_memory(err);
    if (at->node && lay_over(*out, at->node, err))
        return -1;
    cJSON_DeleteItemFromObjectCaseSensitive(*out, "preset");
    return 0;
}

int engine_whole(const struct json *at, cJSON **out, struct error *err)
{
    *out = NULL;
    return whole_of(at, 0, out, err);
}
