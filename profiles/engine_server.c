/* SPDX-License-Identifier: MIT */
/* What an engine's server starts with. */
#include "profiles/engine_server.h"

#include <string.h>

/* Whether a device is one of those named, by the beginning of its system's name. */
static bool is_named(const struct json *names, const struct device *d)
{
    for (const cJSON *n = names->node ? names->node->child : NULL; n; n = n->next)
        if (strncmp(d->system, n->valuestring, strlen(n->valuestring)) == 0)
            return true;
    return false;
}

static int check_names(const struct json *names, struct error *err)
{
    bool all = !names->node || cJSON_IsArray(names->node);
    for (const cJSON *n = all && names->node ? names->node->child : NULL; n; n = n->next)
        all &= cJSON_IsString(n);
    return all ? 0 : json_complain(names, "a list of beginnings of devices' names, like [\"a100\"]", err);
}

/* A case of the list: from so much memory on, but not on some devices. */
static int read_case(const struct json *at, const struct device *device, bool *applies, struct error *err)
{
    static const char *const keys[] = {"memory_from_bytes", "except", "policy", NULL};
    static const char *const policy_keys[] = {"batching", "admission", "prefix_caching", "kv_block_tokens", NULL};
    struct json names = json_member(at, "except"), policy = json_member(at, "policy");
    double from = 0;
    if (!cJSON_IsObject(at->node))
        return json_complain(at, "an object with \"policy\"", err);
    if (json_check_keys(at, keys, err) || json_read_number(at, "memory_from_bytes", false, 0, 1e15, &from, err) ||
        check_names(&names, err))
        return -1;
    if (!cJSON_IsObject(policy.node))
        return json_complain(&policy, "an object of what a scenario's \"policy\" may say", err);
    *applies = device->memory_bytes >= from && !is_named(&names, device);
    return json_check_keys(&policy, policy_keys, err);
}

/* The first case that applies; every case is checked. */
static int choose(const struct json *cases, const struct device *device, struct json *policy, struct error *err)
{
    if (cases->node && !cJSON_IsArray(cases->node))
        return json_complain(cases, "a list of cases, of which the first that applies holds", err);
    for (struct json at = json_first(cases); at.node; at = json_next(&at)) {
        bool applies = false;
        if (read_case(&at, device, &applies, err))
            return -1;
        if (applies && !policy->node)
            *policy = json_member(&at, "policy");
    }
    return 0;
}

int engine_server_read(const struct json *engine, const struct device *device, struct engine_server *out,
                       struct error *err)
{
    *out = (struct engine_server){0};
    struct json own = json_member(engine, "server");
    cJSON *whole = NULL;
    if (own.node || !engine->node)
        return choose(&own, device, &out->policy, err);
    int status = engine_whole(engine, &whole, err);
    out->whole =
        (struct json){.node = whole, .file = cJSON_IsString(engine->node) ? engine->node->valuestring : "engine"};
    struct json shipped = json_member(&out->whole, "server");
    return status ? -1 : choose(&shipped, device, &out->policy, err);
}

void engine_server_release(struct engine_server *s)
{
    cJSON_Delete((cJSON *)(uintptr_t)s->whole.node);
    *s = (struct engine_server){0};
}
