/* SPDX-License-Identifier: MIT */
#include "base/fields.h"

#include <assert.h>
#include <string.h>

enum { KEYS_MAX = 32 };

static size_t count_fields(const struct field *table)
{
    size_t count = 0;
    for (; table->is.name; table++)
        count += table->kind == FIELD_TABLE ? count_fields(table->members) : 1;
    return count;
}

const struct field *fields_at(const struct field *table, size_t index)
{
    for (; table->is.name; table++) {
        if (table->kind != FIELD_TABLE && index-- == 0)
            return table;
        if (table->kind != FIELD_TABLE)
            continue;
        size_t within = count_fields(table->members);
        if (index < within)
            return fields_at(table->members, index);
        index -= within;
    }
    return NULL;
}

int fields_check(const struct json *object, const struct field *table, struct error *err)
{
    const char *allowed[KEYS_MAX + 1] = {NULL};
    const struct field *f;
    for (size_t i = 0; (f = fields_at(table, i)); i++) {
        assert(i < KEYS_MAX);
        allowed[i] = f->is.name;
    }
    return json_check_keys(object, allowed, err);
}

static int choice_named(const struct choice *choices, const char *name)
{
    while (strcmp(choices->name, name) != 0)
        choices++;
    return choices->value;
}

static void set_default(const struct field *f, void *place)
{
    if (f->otherwise || f->required)
        return;
    if (f->kind == FIELD_CHOICE)
        *(int *)place = choice_named(f->choices, f->is.preset_text);
    else if (f->is.type == PARAM_NUMBER)
        *(double *)place = f->is.preset;
    else if (f->is.type == PARAM_INTEGER)
        *(long long *)place = (long long)f->is.preset;
    else if (f->is.type == PARAM_BOOL)
        *(bool *)place = f->is.preset != 0;
    else
        *(const char **)place = f->is.preset_text;
}

int field_read_choice(const struct json *at, const struct field *f, int *out, struct error *err)
{
    static const struct field alone[] = {FIELD_ITS_NAME, {.is.name = NULL}};
    if (choice_read(at, f->choices, out, err))
        return -1;
    return cJSON_IsObject(at->node) ? fields_check(at, f->members ? f->members : alone, err) : 0;
}

static int read_one(const struct json *object, const struct field *f, void *place, struct error *err)
{
    const char *key = f->is.name;
    if (f->kind == FIELD_CHOICE) {
        struct json at = json_member(object, key);
        return field_read_choice(&at, f, place, err);
    }
    assert(f->kind == FIELD_VALUE);
    switch (f->is.type) {
    case PARAM_NUMBER:
        return json_read_number(object, key, f->required, f->is.min, f->is.max, place, err);
    case PARAM_INTEGER:
        return json_read_integer(object, key, f->required, (long long)f->is.min, (long long)f->is.max, place, err);
    case PARAM_BOOL:
        return json_read_bool(object, key, place, err);
    case PARAM_TEXT:
        break;
    }
    return json_read_string(object, key, f->required, place, err);
}

int fields_read(const struct json *object, const struct field *table, void *into, struct error *err)
{
    const struct field *f;
    for (size_t i = 0; (f = fields_at(table, i)); i++)
        if (f->into)
            set_default(f, (char *)into + f->into - 1);
    if (!object->node)
        return 0;
    if (fields_check(object, table, err))
        return -1;
    for (size_t i = 0; (f = fields_at(table, i)); i++)
        if (f->into && read_one(object, f, (char *)into + f->into - 1, err))
            return -1;
    return 0;
}

const struct field *fields_find(const struct field *table, const char *name)
{
    const struct field *f;
    for (size_t i = 0; (f = fields_at(table, i)); i++)
        if (strcmp(f->is.name, name) == 0)
            return f;
    return NULL;
}
