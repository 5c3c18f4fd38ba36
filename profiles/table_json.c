/* SPDX-License-Identifier: MIT */
/* Tables in profile files. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/table.h"

enum { CELLS_MAX = 10000000 };

static int read_numbers(const struct json *at, bool ascending, double **out, size_t *count, struct error *err)
{
    int size = cJSON_IsArray(at->node) ? cJSON_GetArraySize(at->node) : 0;
    if (size < 1 || size > CELLS_MAX)
        return json_complain(at, "a list of numbers", err);
    *out = calloc((size_t)size, sizeof **out);
    if (!*out)
        return error_no_memory(err);
    *count = (size_t)size;
    size_t i = 0;
    for (const cJSON *n = at->node->child; n; n = n->next, i++) {
        bool ok = cJSON_IsNumber(n) && n->valuedouble >= 0 && n->valuedouble < 1e15;
        if (!ok || (ascending && i > 0 && n->valuedouble <= (*out)[i - 1])) {
            struct json bad = json_element(at, (int)i);
            return json_complain(&bad, ascending ? "a number above the one before it" : "a number of at least 0", err);
        }
        (*out)[i] = n->valuedouble;
    }
    return 0;
}

/* {"name": "tokens", "at": [1, 2, 4]}, named as the operation's kind says. */
static int read_axis(const struct json *at, const char *name, struct table_axis *out, struct error *err)
{
    static const char *const keys[] = {"name", "at", NULL};
    const char *found = NULL;
    struct json named = json_member(at, "name"), points = json_member(at, "at");
    if (json_check_keys(at, keys, err) || json_read_string(at, "name", true, &found, err))
        return -1;
    if (strcmp(found, name) != 0) {
        char expected[64];
        snprintf(expected, sizeof expected, "\"%s\"", name);
        return json_complain(&named, expected, err);
    }
    return read_numbers(&points, true, &out->at, &out->count, err);
}

static int read_axes(const struct json *o, struct cost_table *t, struct error *err)
{
    const struct table_kind *kind = table_kind_find(t->op);
    struct json axes = json_member(o, "axes"), op = json_member(o, "op");
    if (!kind)
        return json_complain(&op, "an operation (docs/profiles.md lists them)", err);
    int count = cJSON_IsArray(axes.node) ? cJSON_GetArraySize(axes.node) : 0;
    if (count < (int)kind->least || count > (int)kind->axis_count)
        return json_complain(&axes, "a list of as many axes as the operation has", err);
    t->axis_count = (size_t)count;
    for (int a = 0; a < count; a++) {
        struct json axis = json_element(&axes, a);
        if (read_axis(&axis, kind->axes[a], &t->axes[a], err))
            return -1;
    }
    return 0;
}

static const struct {
    const char *key;
    size_t offset;
} shape_numbers[] = {
    {"heads", offsetof(struct table_shape, heads)},
    {"kv_heads", offsetof(struct table_shape, kv_heads)},
    {"head_dim", offsetof(struct table_shape, head_dim)},
    {"hidden", offsetof(struct table_shape, hidden)},
    {"intermediate", offsetof(struct table_shape, intermediate)},
    {"experts", offsetof(struct table_shape, experts)},
    {"top_k", offsetof(struct table_shape, top_k)},
    {"tensor_parallel", offsetof(struct table_shape, tensor)},
    {"expert_parallel", offsetof(struct table_shape, expert)},
    {"gpus", offsetof(struct table_shape, gpus)},
};

enum { SHAPE_NUMBERS = sizeof shape_numbers / sizeof *shape_numbers };

static double *shape_number(struct table_shape *s, size_t i)
{
    return (double *)(void *)((char *)s + shape_numbers[i].offset);
}

static int read_shape(const struct json *o, struct table_shape *s, struct error *err)
{
    static const char *const keys[] = {"dtype",  "kv_dtype",     "heads", "kv_heads",        "head_dim",
                                       "hidden", "experts",      "top_k", "tensor_parallel", "expert_parallel",
                                       "gpus",   "intermediate", NULL};
    if (!o->node)
        return 0;
    s->any = true;
    if (json_check_keys(o, keys, err) || dtype_read(o, "dtype", &s->dtype, err))
        return -1;
    s->kv_dtype = s->dtype;
    if (dtype_read(o, "kv_dtype", &s->kv_dtype, err))
        return -1;
    for (size_t i = 0; i < SHAPE_NUMBERS; i++)
        if (json_read_number(o, shape_numbers[i].key, false, 0, 1e9, shape_number(s, i), err))
            return -1;
    return 0;
}

/* A list as long as ns, or nothing. */
static int read_beside(const struct json *o, const char *key, size_t cells, double **out, struct error *err)
{
    struct json at = json_member(o, key);
    size_t count = 0;
    if (!at.node)
        return 0;
    if (read_numbers(&at, false, out, &count, err))
        return -1;
    return count == cells ? 0 : json_complain(&at, "as many numbers as \"ns\"", err);
}

int table_read(const struct json *o, struct cost_table *t, struct error *err)
{
    static const char *const keys[] = {"op",  "shape",   "axes",   "ns",     "median", "p10",
                                       "p90", "samples", "filled", "unused", NULL};
    const char *op = NULL;
    long long unused = 0;
    struct json ns = json_member(o, "ns"), filled = json_member(o, "filled"), shape = json_member(o, "shape");
    if (json_check_keys(o, keys, err) || json_read_string(o, "op", true, &op, err) ||
        json_read_integer(o, "unused", false, 0, 1000000000, &unused, err))
        return -1;
    snprintf(t->op, sizeof t->op, "%s", op);
    t->unused = (size_t)unused;
    size_t cells = 0;
    if (read_axes(o, t, err) || read_shape(&shape, &t->shape, err) || read_numbers(&ns, false, &t->ns, &cells, err) ||
        (filled.node && read_numbers(&filled, true, &t->filled, &t->filled_count, err)))
        return -1;
    if (cells != table_cells(t))
        return json_complain(&ns, "as many numbers as the axes' lengths multiply to", err);
    if (t->filled_count && t->filled[t->filled_count - 1] >= (double)cells)
        return json_complain(&filled, "indices of ns", err);
    return read_beside(o, "median", cells, &t->median, err) || read_beside(o, "p10", cells, &t->p10, err) ||
           read_beside(o, "p90", cells, &t->p90, err) || read_beside(o, "samples", cells, &t->samples, err);
}

static void write_shape(cJSON *table, const struct table_shape *s)
{
    struct table_shape copy = *s;
    cJSON *shape = cJSON_AddObjectToObject(table, "shape");
    cJSON_AddStringToObject(shape, "dtype", dtype_names[s->dtype]);
    if (s->kv_dtype != s->dtype)
        cJSON_AddStringToObject(shape, "kv_dtype", dtype_names[s->kv_dtype]);
    for (size_t i = 0; i < SHAPE_NUMBERS; i++)
        if (*shape_number(&copy, i) > 0)
            cJSON_AddNumberToObject(shape, shape_numbers[i].key, *shape_number(&copy, i));
}

static void write_numbers(cJSON *table, const char *key, const double *values, size_t count)
{
    if (values && count)
        cJSON_AddItemToObject(table, key, cJSON_CreateDoubleArray(values, (int)count));
}

cJSON *table_write(const struct cost_table *t)
{
    const struct table_kind *kind = table_kind_find(t->op);
    size_t cells = table_cells(t);
    cJSON *table = cJSON_CreateObject();
    cJSON_AddStringToObject(table, "op", t->op);
    if (t->shape.any)
        write_shape(table, &t->shape);
    cJSON *axes = cJSON_AddArrayToObject(table, "axes");
    for (size_t a = 0; a < t->axis_count; a++) {
        cJSON *axis = cJSON_CreateObject();
        cJSON_AddStringToObject(axis, "name", kind->axes[a]);
        write_numbers(axis, "at", t->axes[a].at, t->axes[a].count);
        cJSON_AddItemToArray(axes, axis);
    }
    write_numbers(table, "ns", t->ns, cells);
    write_numbers(table, "median", t->median, cells);
    write_numbers(table, "p10", t->p10, cells);
    write_numbers(table, "p90", t->p90, cells);
    write_numbers(table, "samples", t->samples, cells);
    write_numbers(table, "filled", t->filled, t->filled_count);
    if (t->unused)
        cJSON_AddNumberToObject(table, "unused", (double)t->unused);
    return table;
}
