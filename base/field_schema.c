/* SPDX-License-Identifier: MIT */
#include "base/field_schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Schemas of what is used several times stand in one place, by title. */
struct schemas {
    cJSON *shared;
};

static cJSON *field_as_schema(struct schemas *s, const struct field *f);

static cJSON *object_with(const char *key, const char *text)
{
    cJSON *out = cJSON_CreateObject();
    cJSON_AddStringToObject(out, key, text);
    return out;
}

static void add_strings(cJSON *object, const char *key, const char *const *texts, size_t count)
{
    cJSON *list = cJSON_AddArrayToObject(object, key);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(texts[i]));
}

/* "a|b" */
static void add_bar_list(cJSON *object, const char *choices)
{
    cJSON *list = cJSON_AddArrayToObject(object, "enum");
    for (const char *c = choices; *c;) {
        char one[64];
        size_t length = strcspn(c, "|");
        snprintf(one, sizeof one, "%.*s", (int)length, c);
        cJSON_AddItemToArray(list, cJSON_CreateString(one));
        c += c[length] ? length + 1 : length;
    }
}

static void add_help(cJSON *schema, const struct param_spec *p, const char *otherwise)
{
    char text[800];
    bool unit = p->unit && p->unit[0];
    snprintf(text, sizeof text, "%s%s%s%s%s%s", p->help, unit ? " (" : "", unit ? p->unit : "", unit ? ")" : "",
             otherwise ? ". Default: " : "", otherwise ? otherwise : "");
    cJSON_AddStringToObject(schema, "description", text);
}

/* cJSON writes 15 digits, which are too few for 2^53. */
static void add_number(cJSON *schema, const char *key, double value)
{
    char text[32];
    if (fabs(value) > 1e15) {
        snprintf(text, sizeof text, "%.17g", value);
        cJSON_AddRawToObject(schema, key, text);
    } else {
        cJSON_AddNumberToObject(schema, key, value);
    }
}

static void add_default(cJSON *schema, const struct param_spec *p, bool plain)
{
    if (p->preset_text)
        cJSON_AddStringToObject(schema, "default", p->preset_text);
    else if (plain && p->type == PARAM_BOOL)
        cJSON_AddBoolToObject(schema, "default", p->preset != 0);
    else if (plain && p->type != PARAM_TEXT)
        add_number(schema, "default", p->preset);
}

static void add_range(cJSON *schema, const struct param_spec *p, const char *least, const char *most)
{
    add_number(schema, least, p->min);
    if (!isinf(p->max))
        add_number(schema, most, p->max);
}

static cJSON *param_as_schema(const struct param_spec *p)
{
    static const char *const types[] = {"number", "integer", "boolean", "string"};
    cJSON *out = object_with("type", types[p->type]);
    if (p->type == PARAM_NUMBER || p->type == PARAM_INTEGER)
        add_range(out, p, "minimum", "maximum");
    if (p->choices)
        add_bar_list(out, p->choices);
    return out;
}

/* One of the names, each with its summary where it has one. */
static void add_names(cJSON *any_of, bool (*names)(size_t index, struct named *out))
{
    struct named n;
    cJSON *plain = NULL;
    for (size_t i = 0; names(i, &n); i++) {
        if (n.summary) {
            cJSON *one = object_with("const", n.name);
            cJSON_AddStringToObject(one, "description", n.summary);
            cJSON_AddItemToArray(any_of, one);
            continue;
        }
        if (!plain) {
            cJSON *list = cJSON_CreateObject();
            plain = cJSON_AddArrayToObject(list, "enum");
            cJSON_AddItemToArray(any_of, list);
        }
        cJSON_AddItemToArray(plain, cJSON_CreateString(n.name));
    }
}

static void add_pattern(cJSON *any_of, const char *pattern)
{
    cJSON *out = object_with("type", "string");
    cJSON_AddStringToObject(out, "pattern", pattern);
    cJSON_AddItemToArray(any_of, out);
}

static cJSON *name_as_schema(const struct field *f)
{
    cJSON *out = cJSON_CreateObject(), *any_of = cJSON_AddArrayToObject(out, "anyOf");
    add_names(any_of, f->names);
    if (f->other_names)
        add_pattern(any_of, f->other_names);
    return out;
}

static void add_properties(struct schemas *s, cJSON *properties, const struct field *table)
{
    const struct field *f;
    for (size_t i = 0; (f = fields_at(table, i)); i++)
        if (!cJSON_GetObjectItemCaseSensitive(properties, f->is.name))
            cJSON_AddItemToObject(properties, f->is.name, field_as_schema(s, f));
}

static cJSON *table_as_schema(struct schemas *s, const struct field *table)
{
    const struct field *f;
    cJSON *out = object_with("type", "object"), *needed = cJSON_CreateArray();
    add_properties(s, cJSON_AddObjectToObject(out, "properties"), table);
    for (size_t i = 0; (f = fields_at(table, i)); i++)
        if (f->required)
            cJSON_AddItemToArray(needed, cJSON_CreateString(f->is.name));
    if (cJSON_GetArraySize(needed) > 0)
        cJSON_AddItemToObject(out, "required", needed);
    else
        cJSON_Delete(needed);
    cJSON_AddFalseToObject(out, "additionalProperties");
    return out;
}

/* If the object's `key` is this name, it may hold what goes with the name, and nothing else. */
static cJSON *what_goes_with(struct schemas *s, const struct named *n, const char *key)
{
    cJSON *out = cJSON_CreateObject(), *asked = cJSON_AddObjectToObject(out, "if");
    cJSON_AddItemToObject(cJSON_AddObjectToObject(asked, "properties"), key, object_with("const", n->name));
    cJSON *then = cJSON_AddObjectToObject(out, "then"), *properties = cJSON_AddObjectToObject(then, "properties");
    cJSON_AddTrueToObject(properties, key);
    for (const struct param_spec *p = n->params; p && p->name; p++) {
        cJSON *param = param_as_schema(p);
        add_help(param, p, NULL);
        add_default(param, p, true);
        cJSON_AddItemToObject(properties, p->name, param);
    }
    if (n->members)
        add_properties(s, properties, n->members);
    cJSON_AddFalseToObject(then, "additionalProperties");
    return out;
}

static cJSON *named_object(struct schemas *s, const struct field *f, const char *key)
{
    struct named n;
    cJSON *out = object_with("type", "object");
    cJSON_AddItemToObject(cJSON_AddObjectToObject(out, "properties"), key, name_as_schema(f));
    add_strings(out, "required", &key, 1);
    cJSON *all_of = cJSON_AddArrayToObject(out, "allOf");
    for (size_t i = 0; f->names(i, &n); i++)
        cJSON_AddItemToArray(all_of, what_goes_with(s, &n, key));
    return out;
}

static cJSON *named_as_schema(struct schemas *s, const struct field *f)
{
    cJSON *out = name_as_schema(f), *any_of = cJSON_GetObjectItemCaseSensitive(out, "anyOf");
    cJSON_AddItemToArray(any_of, named_object(s, f, "name"));
    if (f->name_key)
        cJSON_AddItemToArray(any_of, named_object(s, f, f->name_key));
    return out;
}

static cJSON *choices_as_schema(const struct choice *choices)
{
    cJSON *out = cJSON_CreateObject(), *any_of = cJSON_AddArrayToObject(out, "anyOf");
    for (const struct choice *c = choices; c->name; c++) {
        cJSON *one = object_with("const", c->name);
        cJSON_AddStringToObject(one, "description", c->summary);
        cJSON_AddItemToArray(any_of, one);
    }
    return out;
}

static cJSON *choice_as_schema(struct schemas *s, const struct field *f)
{
    static const char *const needed[] = {"name"};
    cJSON *out = choices_as_schema(f->choices), *object = object_with("type", "object");
    cJSON *properties = cJSON_AddObjectToObject(object, "properties");
    cJSON_AddItemToObject(properties, "name", choices_as_schema(f->choices));
    if (f->members)
        add_properties(s, properties, f->members);
    add_strings(object, "required", needed, 1);
    cJSON_AddFalseToObject(object, "additionalProperties");
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(out, "anyOf"), object);
    return out;
}

static cJSON *map_as_schema(struct schemas *s, const struct field *f)
{
    struct named n;
    cJSON *out = object_with("type", "object");
    if (!f->names) {
        cJSON_AddItemToObject(out, "additionalProperties", field_as_schema(s, f->members));
        if (f->is.max > 0)
            add_range(out, &f->is, "minProperties", "maxProperties");
        return out;
    }
    cJSON *properties = cJSON_AddObjectToObject(out, "properties");
    for (size_t i = 0; f->names(i, &n); i++)
        cJSON_AddItemToObject(properties, n.name, field_as_schema(s, f->members));
    cJSON_AddFalseToObject(out, "additionalProperties");
    return out;
}

static cJSON *list_as_schema(struct schemas *s, const struct field *f)
{
    cJSON *out = object_with("type", "array");
    cJSON_AddItemToObject(out, "items", field_as_schema(s, f->members));
    if (f->is.max > 0)
        add_range(out, &f->is, "minItems", "maxItems");
    return out;
}

static cJSON *any_form(struct schemas *s, const struct field *forms)
{
    if (!forms[1].is.name)
        return field_as_schema(s, forms);
    cJSON *out = cJSON_CreateObject(), *any_of = cJSON_AddArrayToObject(out, "anyOf");
    for (; forms->is.name; forms++)
        cJSON_AddItemToArray(any_of, field_as_schema(s, forms));
    return out;
}

/* The first form where its key is there, which editors may offer in any case, or else one of the others, of which the
 * first may have a key of its own. */
static cJSON *forms_as_schema(struct schemas *s, const struct field *forms)
{
    if (!forms->when)
        return any_form(s, forms);
    cJSON *out = cJSON_CreateObject(), *offered = cJSON_AddObjectToObject(out, "properties");
    const struct field *key = fields_find(forms->members, forms->when);
    cJSON_AddItemToObject(offered, forms->when, object_with("description", key->is.help));
    cJSON *asked = cJSON_AddObjectToObject(out, "if");
    cJSON_AddStringToObject(asked, "type", "object");
    add_strings(asked, "required", &forms->when, 1);
    cJSON_AddItemToObject(out, "then", field_as_schema(s, forms));
    cJSON_AddItemToObject(out, "else", forms[1].when ? forms_as_schema(s, forms + 1) : any_form(s, forms + 1));
    return out;
}

static cJSON *value_as_schema(struct schemas *s, const struct field *f)
{
    switch (f->kind) {
    case FIELD_CHOICE:
        return choice_as_schema(s, f);
    case FIELD_NAMED:
        return named_as_schema(s, f);
    case FIELD_OBJECT:
        return table_as_schema(s, f->members);
    case FIELD_MAP:
        return map_as_schema(s, f);
    case FIELD_LIST:
        return list_as_schema(s, f);
    case FIELD_FORMS:
        return forms_as_schema(s, f->members);
    case FIELD_FREE:
    case FIELD_TABLE:
        return object_with("type", "object");
    case FIELD_VALUE:
        break;
    }
    return f->names ? name_as_schema(f) : param_as_schema(&f->is);
}

/* A reference to the one that is shared, which is made the first time. */
static cJSON *shared_schema(struct schemas *s, const struct field *f)
{
    char path[100];
    if (!cJSON_GetObjectItemCaseSensitive(s->shared, f->title)) {
        cJSON_AddNullToObject(s->shared, f->title); /* so that it is not made twice */
        cJSON_ReplaceItemInObjectCaseSensitive(s->shared, f->title, value_as_schema(s, f));
    }
    snprintf(path, sizeof path, "#/$defs/%s", f->title);
    return object_with("$ref", path);
}

static cJSON *field_as_schema(struct schemas *s, const struct field *f)
{
    cJSON *out = f->title ? shared_schema(s, f) : value_as_schema(s, f);
    cJSON_DeleteItemFromObjectCaseSensitive(out, "description");
    add_help(out, &f->is, f->otherwise);
    if (!f->otherwise && !f->required)
        add_default(out, &f->is, f->kind == FIELD_VALUE);
    return out;
}

cJSON *field_schema(const struct field *root)
{
    struct schemas s = {.shared = cJSON_CreateObject()};
    cJSON *out = object_with("$schema", "https://json-schema.org/draft/2020-12/schema");
    cJSON_AddStringToObject(out, "title", root->is.name);
    cJSON *body = field_as_schema(&s, root);
    for (cJSON *part; body && (part = body->child);) {
        cJSON_DetachItemViaPointer(body, part);
        cJSON_AddItemToObject(out, part->string, part);
    }
    cJSON_Delete(body);
    cJSON_AddItemToObject(out, "$defs", s.shared);
    return out;
}
