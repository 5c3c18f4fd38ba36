/* SPDX-License-Identifier: MIT */
#include "sim/delay_read.h"

#include <string.h>

#include "sim/choices.h"

int delay_is(const struct json *pool, bool *is, struct error *err)
{
    static const struct field any = {.is = {.name = "kind"}, .kind = FIELD_CHOICE, .choices = pool_kinds};
    struct json at = json_member(pool, "kind");
    int kind = POOL_REPLICA;
    if (cJSON_IsObject(pool->node) && field_read_choice(&at, &any, &kind, err))
        return -1;
    *is = kind == POOL_DELAY;
    return 0;
}

static const struct field server_forms[] = {
    {.is = {"SERVERS", PARAM_INTEGER, "servers", 1, 1, 1e6, "so many", NULL, NULL}},
    {.is = {"UNLIMITED", PARAM_TEXT, "", 0, 0, 0, "as many as there are requests", NULL, "unlimited"}},
    {.is.name = NULL}};

const struct field delay_fields[] = {
    {.is = {.name = "kind", .help = "what it is"}, .kind = FIELD_CHOICE, .required = true, .choices = delay_kind},
    {.is = {.name = "servers", .help = "requests that are served at once, in order of arrival"},
     .kind = FIELD_FORMS,
     .otherwise = "1",
     .members = server_forms},
    {.is = {.name = "service_s", .help = "seconds that a request is served"},
     .kind = FIELD_FORMS,
     .required = true,
     .members = duration_forms},
    {.is.name = NULL}};

/* A number of servers, or "unlimited". */
static int read_servers(const struct json *pool, size_t *out, struct error *err)
{
    struct json at = json_member(pool, "servers");
    long long servers = 1;
    if (cJSON_IsString(at.node) && strcmp(at.node->valuestring, "unlimited") == 0)
        servers = 0;
    else if (cJSON_IsString(at.node))
        return json_complain(&at, "a number of servers, or \"unlimited\"", err);
    else if (json_read_integer(pool, "servers", false, 1, 1000000, &servers, err))
        return -1;
    *out = (size_t)servers;
    return 0;
}

int delay_read(struct cluster_config *c, const struct json *pool, const char *name, struct error *err)
{
    struct json service = json_member(pool, "service_s");
    if (c->delay_count == MOST_DELAYS)
        return json_complain(pool, "at most 8 pools of kind \"delay\"", err);
    struct delay_config *d = &c->delays[c->delay_count];
    d->name = name;
    if (fields_check(pool, delay_fields, err) || read_servers(pool, &d->servers, err) ||
        duration_read(&service, &d->service, err))
        return -1;
    c->delay_count++;
    return 0;
}

/* Where the delay pool of this name is, or how many there are. */
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
    for (int i = 0; cJSON_IsArray(at->node) && i < cJSON_GetArraySize(at->node); i++) {
        struct json one = json_element(at, i);
        if (find(c, one.node) < c->delay_count)
            return json_complain(&one, "a step of its own for a pool of kind \"delay\"", err);
    }
    *is = found < c->delay_count;
    if (!*is)
        return 0;
    if (found < step)
        return json_complain(at, "the name of a pool that stands nowhere else in the flow", err);
    struct delay_config d = c->delays[step];
    c->delays[step] = c->delays[found];
    c->delays[found] = d;
    return 0;
}

/* A station has some of the steps that serve before it. */
static int check_place(const struct json *at, size_t served, int steps, struct error *err)
{
    return served > 0 && (int)served < steps
               ? json_complain(at,
                               "pools of kind \"delay\" before the steps that serve or after them: between prefill and "
                               "decode a request's KV would hold memory while nothing is computed",
                               err)
               : 0;
}

int delay_read_flow(struct cluster_config *c, const struct json *flow, struct error *err)
{
    int length = cJSON_GetArraySize(flow->node), steps = length - (int)c->delay_count;
    size_t delays = 0, served = 0;
    for (int i = 0; i < length; i++) {
        struct json at = json_element(flow, i);
        bool is = false;
        if (read_step(c, &at, delays, &is, err) || (is && check_place(&at, served, steps, err)))
            return -1;
        delays += is;
        served += !is;
        c->delays_before += is && served == 0;
    }
    return delays == c->delay_count ? 0 : json_complain(flow, "every pool of the cluster in it", err);
}
