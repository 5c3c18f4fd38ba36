/* SPDX-License-Identifier: MIT */
#include "sim/delay_read.h"

#include <string.h>

#include "sim/pool_kinds.h"

const struct field delay_server_forms[] = {
    {.is = {"SERVERS", PARAM_INTEGER, "servers", 1, 1, 1e6, "so many", NULL, NULL}},
    {.is = {"UNLIMITED", PARAM_TEXT, "", 0, 0, 0, "as many as there are requests", NULL, "unlimited"}},
    {.is.name = NULL}};

int delay_read_servers(const struct json *pool, size_t otherwise, size_t *out, struct error *err)
{
    struct json at = json_member(pool, "servers");
    long long servers = (long long)otherwise;
    if (cJSON_IsString(at.node) && strcmp(at.node->valuestring, "unlimited") == 0)
        servers = 0;
    else if (cJSON_IsString(at.node))
        return json_complain(&at, "a number of servers, or \"unlimited\"", err);
    else if (json_read_integer(pool, "servers", false, 1, 1000000, &servers, err))
        return -1;
    *out = (size_t)servers;
    return 0;
}

int delay_kind_read(const struct json *pool, const struct delay_kind **kind, struct error *err)
{
    static const struct field any = {.is = {.name = "kind"}, .kind = FIELD_CHOICE, .choices = pool_kinds};
    struct json at = json_member(pool, "kind");
    int which = POOL_REPLICA;
    if (cJSON_IsObject(pool->node) && field_read_choice(&at, &any, &which, err))
        return -1;
    *kind = delay_kind_of((enum pool_kind)which);
    return 0;
}

int delay_read(struct cluster_config *c, const struct delay_kind *kind, const struct json *root,
               const struct json *pool, const char *name, struct error *err)
{
    if (c->delay_count == MOST_DELAYS)
        return json_complain(pool, "at most 8 pools of a kind other than \"replica\"", err);
    struct delay_config *d = &c->delays[c->delay_count];
    *d = (struct delay_config){.name = name, .kind = kind, .at = *pool};
    if (fields_check(pool, kind->fields, err) || kind->read(root, pool, d, err))
        return -1;
    c->delay_count++;
    return 0;
}

/* Where the station of this name is, or how many there are. */
static size_t find(const struct cluster_config *c, const cJSON *name)
{
    size_t i = 0;
    while (i < c->delay_count && (!cJSON_IsString(name) || strcmp(c->delays[i].name, name->valuestring) != 0))
        i++;
    return i;
}

static int read_step(struct cluster_config *c, const struct json *at, size_t step, bool *is, struct error *err)
{
    size_t found = find(c, at->node);
    for (struct json one = json_first(at); one.node; one = json_next(&one))
        if (find(c, one.node) < c->delay_count)
            return json_complain(&one, "a step of its own for a pool of a kind other than \"replica\"", err);
    *is = found < c->delay_count;
    if (!*is)
        return 0;
    if (found < step)
        return json_complain(at, "the name of a pool in cluster.pools that stands nowhere else in the flow", err);
    struct delay_config d = c->delays[step];
    c->delays[step] = c->delays[found];
    c->delays[found] = d;
    return 0;
}

/* A station that has `served` of the steps that serve before it. */
static int check_place(const struct json *at, const struct delay_kind *kind, size_t served, int steps,
                       struct error *err)
{
    if (served > 0 && (int)served < steps)
        return json_complain(at,
                             "a pool of replicas: between prefill and decode a request's KV would hold memory while "
                             "nothing is computed, so that stations stand before the steps that serve or after them",
                             err);
    return served > 0 && kind->answers
               ? json_complain(at, "a pool of kind \"delay\": after the steps that serve a request has its answer", err)
               : 0;
}

int delay_read_flow(struct cluster_config *c, const struct json *flow, struct error *err)
{
    int length = cJSON_GetArraySize(flow->node), steps = length - (int)c->delay_count;
    size_t delays = 0, served = 0;
    for (struct json at = json_first(flow); at.node; at = json_next(&at)) {
        bool is = false;
        if (read_step(c, &at, delays, &is, err) || (is && check_place(&at, c->delays[delays].kind, served, steps, err)))
            return -1;
        delays += is;
        served += !is;
        c->delays_before += is && served == 0;
    }
    return delays == c->delay_count ? 0 : json_complain(flow, "every pool of the cluster in it", err);
}
