/* SPDX-License-Identifier: MIT */
#include "base/param.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (const char *c = choices; c;) {
        size_t n = strcspn(c, "|");
        if (n == length && strncmp(c, value, n) == 0)
            return true;
        c = c[n] ? c + n + 1 : NULL;
    }
    return false;
}

static int read_one(struct param_set *set, size_t i, const struct json *at, struct error *err)
{
    const struct param_spec *spec = &set->specs[i];
    char expected[300];
    if (spec->type == PARAM_TEXT) {
        snprintf(expected, sizeof expected, "one of %s", spec->choices ? spec->choices : "any text");
        if (!cJSON_IsString(at->node) || (spec->choices && !is_choice(spec->choices, at->node->valuestring)))
            return json_complain(at, expected, err);
        set->text[i] = at->node->valuestring;
        return 0;
    }
    if (spec->type == PARAM_BOOL) {
        if (!cJSON_IsBool(at->node))
            return json_complain(at, "true or false", err);
        set->number[i] = cJSON_IsTrue(at->node);
        return 0;
    }
    bool whole = spec->type == PARAM_INTEGER;
    double value = cJSON_IsNumber(at->node) ? at->node->valuedouble : NAN;
    if (!(value >= spec->min && value <= spec->max) || (whole && value != floor(value))) {
        snprintf(expected, sizeof expected, "a %snumber from %g to %g%s%s", whole ? "whole " : "", spec->min, spec->max,
                 spec->unit[0] ? " " : "", spec->unit);
        return json_complain(at, expected, err);
    }
    set->number[i] = value;
    return 0;
}

int param_set_read(struct param_set *set, const struct param_spec *specs, const struct json *object, struct error *err)
{
    const char *allowed[PARAM_MAX + 2] = {"name"};
    *set = (struct param_set){.specs = specs};
    size_t count = 0;
    for (; specs && specs[count].name; count++) {
        assert(count < PARAM_MAX);
        allowed[count + 1] = specs[count].name;
        set->number[count] = specs[count].preset;
        set->text[count] = specs[count].preset_text;
    }
    if (!object || !object->node || cJSON_IsString(object->node))
        return 0;
    if (json_member(object, "policy").node)
        allowed[0] = "policy";
    if (json_check_keys(object, allowed, err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct json at = json_member(object, specs[i].name);
        if (at.node && read_one(set, i, &at, err))
            return -1;
    }
    return 0;
}

static size_t param_index(const struct param_set *set, const char *name)
{
    size_t i = 0;
    while (set->specs[i].name && strcmp(set->specs[i].name, name) != 0)
        i++;
    assert(set->specs[i].name);
    return i;
}

double param_number(const struct param_set *set, const char *name)
{
    return set->number[param_index(set, name)];
}

const char *param_text(const struct param_set *set, const char *name)
{
    return set->text[param_index(set, name)];
}
