/* SPDX-License-Identifier: MIT */
/* A server's command line over a scenario: its words take the place of the scenario's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/device.h"
#include "profiles/engine_server.h"
#include "profiles/server_command.h"

static bool says(const struct server_command *c, const char *beginning)
{
    for (size_t i = 0; i < c->word_count; i++)
        if (strncmp(c->words[i].path, beginning, strlen(beginning)) == 0)
            return true;
    return false;
}

static void forget(struct json *object, const char *const *keys)
{
    for (; cJSON_IsObject(object->node) && *keys; keys++)
        cJSON_DeleteItemFromObjectCaseSensitive((cJSON *)(uintptr_t)object->node, *keys);
}

/* Words of the batching policy lie over what the server starts with on the device, and blocks that are counted are the
 * server's. */
static int take_server_words(const struct server_command *c, struct json *scenario, struct error *err)
{
    struct json engine = json_member(scenario, "engine"), policy;
    struct engine_server server = {0};
    struct device device;
    const char *name = NULL;
    if (json_read_string(scenario, "device", true, &name, err) || device_load(name, &device, err))
        return -1;
    int status = engine_server_read(&engine, &device, &server, err);
    static const char *const keys[] = {"batching", "kv_block_tokens"};
    for (size_t i = 0; status == 0 && i < 2; i++) {
        policy = json_member(&server.policy, keys[i]);
        char path[40], *text = policy.node ? cJSON_PrintUnformatted(policy.node) : NULL;
        snprintf(path, sizeof path, "policy.%s", keys[i]);
        if (policy.node && !text)
            status = error_no_memory(err);
        else if (text && says(c, i == 0 ? "policy.batching." : "policy.kv_blocks"))
            status = json_set_path(scenario, path, text, err);
        free(text);
    }
    engine_server_release(&server);
    return status;
}

int server_command_apply(const struct server_command *c, struct json *scenario, struct error *err)
{
    static const char *const of_scenario[] = {"model", "engine", NULL};
    static const char *const of_policy[] = {"batching",       "order",           "admission", "preemption",
                                            "prefix_caching", "kv_block_tokens", "kv_blocks", NULL};
    static const char *const of_cluster[] = {"replicas",      "tensor_parallel", "pipeline_parallel",
                                             "data_parallel", "expert_parallel", NULL};
    struct json cluster = json_member(scenario, "cluster"), policy = json_member(scenario, "policy");
    struct json pools = json_member(&cluster, "pools"), placement = json_member(&cluster, "placement");
    if (pools.node || placement.node)
        return json_complain(pools.node ? &pools : &placement, "none with --like, whose command line is one server's",
                             err);
    forget(scenario, of_scenario);
    forget(&policy, of_policy);
    forget(&cluster, of_cluster);
    bool served = says(c, "policy.batching.") || says(c, "policy.kv_blocks");
    for (int pass = 0; pass < 2; pass++) { /* the engine says what the policy's words lie over */
        if (pass == 1 && served && take_server_words(c, scenario, err))
            return -1;
        for (size_t i = 0; i < c->word_count; i++) {
            bool late = strncmp(c->words[i].path, "policy.", 7) == 0;
            if (late == (pass == 1) && json_set_path(scenario, c->words[i].path, c->words[i].value, err))
                return -1;
        }
    }
    return 0;
}
