/* SPDX-License-Identifier: MIT */
#include "cli/server_scenario.h"

#include "profiles/shipped.h"

int server_levels(const struct arguments *args, int first, const struct server_wishes *wishes, struct levels *out,
                  struct error *err)
{
    for (int i = first; i < args->word_count; i++) {
        size_t before = out->count;
        bool said = out->scenario != NULL;
        if (levels_read(args->words[i], wishes->profile, out, err))
            return -1;
        if (before > 0 && (said || out->scenario))
            return error_set(err, ERROR_INPUT,
                             "%s: expected no other results next to a folder of a measured run or operating points",
                             args->words[said ? 0 : i]);
    }
    return 0;
}

static int load(const struct server_wishes *wishes, const struct levels *levels, struct json *out, struct error *err)
{
    if (wishes->scenario && levels->scenario)
        return error_set(err, ERROR_INPUT, "--scenario %s: expected none with results that say what served them",
                         wishes->scenario);
    if (levels->scenario) {
        *out = (struct json){.node = cJSON_Duplicate(levels->scenario, 1), .file = "the server's scenario"};
        return out->node ? 0 : error_no_memory(err);
    }
    if (!wishes->scenario)
        return error_set(err, ERROR_INPUT,
                         "needs --scenario SCENARIO, which says the model, device, engine and cluster that were "
                         "measured");
    return shipped_load("scenario", wishes->scenario, out, err);
}

int server_scenario(const struct arguments *args, const struct server_wishes *wishes, const struct levels *levels,
                    struct json *out, struct error *err)
{
    if (load(wishes, levels, out, err))
        return -1;
    cJSON *root = (cJSON *)(uintptr_t)out->node;
    int status = 0;
    if (wishes->profile && cJSON_IsObject(root)) {
        cJSON_DeleteItemFromObjectCaseSensitive(root, "device");
        status = cJSON_AddStringToObject(root, "device", wishes->profile) ? 0 : error_no_memory(err);
    }
    if (status == 0)
        status = apply_settings(args, out, err);
    if (status)
        cJSON_Delete(root);
    return status;
}
