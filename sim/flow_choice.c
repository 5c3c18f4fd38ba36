/* SPDX-License-Identifier: MIT */
#include "sim/flow_choice.h"

#include <math.h>

#include "base/random.h"
#include "sim/choices.h"

size_t flow_choice_of(const struct flow_choice *c, const struct request *r)
{
    size_t last = c->pools - 1, pool = 0;
    switch (c->by) {
    case CHOOSE_BY_PRIORITY:
        return r->origin.priority < last ? r->origin.priority : last;
    case CHOOSE_BY_CLIENT:
        return r->origin.client % c->pools;
    case CHOOSE_BY_CLASS:
        return r->origin.workload > c->pools ? last : r->origin.workload > 0 ? r->origin.workload - 1 : 0;
    case CHOOSE_BY_SIZE:
        while (pool < last && r->prompt_tokens > c->most_tokens[pool])
            pool++;
        return pool;
    case CHOOSE_AT_RANDOM: {
        double luck = (double)(random_mix(random_mix(c->seed) ^ r->id) >> 11) / (double)((uint64_t)1 << 53);
        while (pool < last && luck >= c->until[pool])
            pool++;
        return pool;
    }
    case CHOOSE_ANY:
        break;
    }
    return 0;
}

static const struct field pool_name[] = {{.is = {"POOL", PARAM_TEXT, "", 0, 0, 0, "the name of a pool", NULL, NULL},
                                          .required = true},
                                         {.is.name = NULL}};

static const struct field prompt_bound[] = {
    {.is = {"TOKENS", PARAM_INTEGER, "tokens", 0, 1, UINT32_MAX, "longest prompt", NULL, NULL}, .required = true},
    {.is.name = NULL}};

static const struct field share[] = {{.is = {"SHARE", PARAM_NUMBER, "", 0, 0, 1e9, "weight of a pool", NULL, NULL},
                                      .required = true},
                                     {.is.name = NULL}};

const struct field flow_choice_fields[] = {
    {.is = {.name = "by", .help = "what decides the pool"},
     .kind = FIELD_CHOICE,
     .required = true,
     .choices = flow_choosers},
    {.is = {.name = "to", .min = 1, .max = FLOW_CHOICE_POOLS, .help = "names of the pools, in order"},
     .kind = FIELD_LIST,
     .required = true,
     .members = pool_name},
    {.is = {.name = "prompt_tokens",
            .min = 0,
            .max = FLOW_CHOICE_POOLS - 1,
            .help = "longest prompt of each pool but the last; with size"},
     .kind = FIELD_LIST,
     .otherwise = "none",
     .members = prompt_bound},
    {.is = {.name = "shares", .min = 1, .max = FLOW_CHOICE_POOLS, .help = "weight of each pool; with random"},
     .kind = FIELD_LIST,
     .otherwise = "all alike",
     .members = share},
    {.is.name = NULL}};

static int read_bounds(const struct json *step, struct flow_choice *out, struct error *err)
{
    struct json bounds = json_member(step, "prompt_tokens");
    uint32_t before = 0;
    if (out->by != CHOOSE_BY_SIZE)
        return bounds.node ? json_complain(&bounds, "nothing here but with \"size\"", err) : 0;
    if (!cJSON_IsArray(bounds.node) || (size_t)cJSON_GetArraySize(bounds.node) != out->pools - 1)
        return json_complain(&bounds, "a list of the longest prompt of each pool but the last", err);
    for (size_t i = 0; i + 1 < out->pools; i++) {
        struct json at = json_element(&bounds, (int)i);
        double tokens = cJSON_IsNumber(at.node) ? at.node->valuedouble : -1;
        if (!(tokens > before && tokens <= UINT32_MAX && tokens == floor(tokens)))
            return json_complain(&at, "a whole number of tokens, above the one before it", err);
        out->most_tokens[i] = before = (uint32_t)tokens;
    }
    return 0;
}

static int read_shares(const struct json *step, struct flow_choice *out, struct error *err)
{
    struct json shares = json_member(step, "shares");
    double sum = 0;
    if (shares.node && out->by != CHOOSE_AT_RANDOM)
        return json_complain(&shares, "nothing here but with \"random\"", err);
    if (shares.node && (!cJSON_IsArray(shares.node) || (size_t)cJSON_GetArraySize(shares.node) != out->pools))
        return json_complain(&shares, "a list with a weight for each pool", err);
    for (size_t i = 0; i < out->pools; i++) {
        struct json at = json_element(&shares, (int)i);
        double weight = !shares.node ? 1 : cJSON_IsNumber(at.node) ? at.node->valuedouble : -1;
        if (!(weight >= 0 && weight <= 1e9))
            return json_complain(&at, "a weight from 0 to 1e9", err);
        out->until[i] = sum += weight;
    }
    if (sum <= 0)
        return json_complain(&shares, "a weight above 0", err);
    for (size_t i = 0; i < out->pools; i++)
        out->until[i] /= sum;
    return 0;
}

int flow_choice_read(const struct json *step, uint64_t seed, struct flow_choice *out, struct error *err)
{
    struct json by = json_member(step, "by"), to = json_member(step, "to");
    int chooser = CHOOSE_ANY;
    if (fields_check(step, flow_choice_fields, err))
        return -1;
    if (!by.node)
        return json_complain(&by, "what decides the pool: \"priority\", \"client\", \"size\" or \"random\"", err);
    if (field_read_choice(&by, &flow_choice_fields[0], &chooser, err))
        return -1;
    int pools = cJSON_GetArraySize(to.node);
    if (!cJSON_IsArray(to.node) || pools < 1 || pools > FLOW_CHOICE_POOLS)
        return json_complain(&to, "a list of pools by name", err);
    *out = (struct flow_choice){.by = (enum flow_chooser)chooser, .pools = (size_t)pools, .seed = seed};
    return read_bounds(step, out, err) || read_shares(step, out, err) ? -1 : 0;
}
