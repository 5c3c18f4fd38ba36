/* SPDX-License-Identifier: MIT */
/* LLMServingSim profiler bundles (casys-kaist/LLMServingSim, MIT): dense.csv (layer,tokens,time_us),
 * per_sequence.csv (layer,sequences,time_us) and attention.csv (prefill_chunk,kv_prefill,n_decode,
 * kv_decode,time_us), each time for one layer of one model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "profiles/import.h"

enum { FIELDS_MAX = 5 };

struct row {
    char op[24];
    double value[FIELDS_MAX]; /* numbers, in the columns' order */
};

struct rows {
    struct row *items;
    size_t count, capacity;
};

/* Splits a line into an optional leading name and `numbers` numbers. */
static int parse_row(char *line, bool named, size_t numbers, struct row *out)
{
    char *c = line;
    if (named) {
        size_t length = strcspn(c, ",");
        if (c[length] != ',' || length == 0 || length >= sizeof out->op)
            return -1;
        memcpy(out->op, c, length);
        out->op[length] = 0;
        c += length + 1;
    }
    for (size_t i = 0; i < numbers; i++) {
        char *end = NULL;
        out->value[i] = strtod(c, &end);
        if (end == c || !(out->value[i] >= 0 && out->value[i] < 1e12) || *end != (i + 1 < numbers ? ',' : 0))
            return -1;
        c = end + 1;
    }
    return 0;
}

static int read_lines(FILE *in, const char *file, const char *header, struct rows *rows, struct error *err)
{
    bool named = strncmp(header, "layer", 5) == 0;
    size_t numbers = named ? 2 : 5;
    char line[512];
    for (long number = 1; fgets(line, sizeof line, in); number++) {
        line[strcspn(line, "\r\n")] = 0;
        if (number == 1) {
            if (strcmp(line, header) != 0)
                return error_set(err, ERROR_INPUT, "%s:1: expected the header \"%s\", found \"%.80s\"", file, header,
                                 line);
            continue;
        }
        struct row *grown = array_grow(rows->items, &rows->capacity, rows->count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        rows->items = grown;
        if (parse_row(line, named, numbers, &rows->items[rows->count++]))
            return error_set(err, ERROR_INPUT, "%s:%ld: expected %s, found \"%.80s\"", file, number, header, line);
    }
    return rows->count ? 0 : error_set(err, ERROR_INPUT, "%s: holds no rows", file);
}

static int read_csv(const char *folder, const char *name, const char *header, struct rows *rows, struct error *err)
{
    char file[1024];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    FILE *in = fopen(file, "r");
    if (!in)
        return error_set(err, ERROR_INPUT, "%s: cannot be opened: %s", file, strerror(errno));
    int status = read_lines(in, file, header, rows, err);
    fclose(in);
    return status;
}

static cJSON *new_table(cJSON *tables, const char *op, int per_iteration, int per_layer)
{
    cJSON *table = cJSON_CreateObject();
    cJSON_AddStringToObject(table, "op", op);
    cJSON_AddNumberToObject(table, "times_per_iteration", per_iteration);
    cJSON_AddNumberToObject(table, "times_per_layer", per_layer);
    cJSON_AddItemToArray(tables, table);
    return table;
}

static void add_number(cJSON *array, double value)
{
    cJSON_AddItemToArray(array, cJSON_CreateNumber(value));
}

/* One-axis table of the rows whose layer is `layer`. */
static void add_operation(cJSON *tables, const struct rows *rows, const char *layer, const char *op, int per_iteration,
                          int per_layer)
{
    cJSON *axis = NULL, *ns = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->items[i].op, layer) != 0)
            continue;
        if (!axis) {
            cJSON *table = new_table(tables, op, per_iteration, per_layer);
            axis = cJSON_AddArrayToObject(table, "rows");
            ns = cJSON_AddArrayToObject(table, "ns");
        }
        add_number(axis, rows->items[i].value[0]);
        add_number(ns, rows->items[i].value[1] * 1000);
    }
}

/* Two-axis table of the attention rows in which columns `zero_a` and `zero_b` are 0; the bundle lists
 * them sorted by the two others, and every row has the same columns. */
static int add_attention(cJSON *tables, const struct rows *rows, const char *op, size_t row_field, size_t zero,
                         struct error *err)
{
    cJSON *table = new_table(tables, op, 0, 1), *axis = cJSON_AddArrayToObject(table, "rows");
    cJSON *columns = cJSON_AddArrayToObject(table, "columns"), *ns = cJSON_AddArrayToObject(table, "ns");
    double row = -1;
    int row_count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const double *v = rows->items[i].value;
        if (v[zero] != 0 || v[row_field] == 0)
            continue;
        if (v[row_field] != row) {
            row = v[row_field];
            row_count++;
            add_number(axis, row);
        }
        if (row_count == 1)
            add_number(columns, v[row_field + 1]);
        add_number(ns, v[4] * 1000);
    }
    if (row_count == 0 || cJSON_GetArraySize(ns) != row_count * cJSON_GetArraySize(columns))
        return error_set(err, ERROR_INPUT,
                         "attention.csv: %s points are not a full grid (%d rows, %d columns, %d points)", op, row_count,
                         cJSON_GetArraySize(columns), cJSON_GetArraySize(ns));
    return 0;
}

cJSON *import_llmservingsim(const struct import_options *o, struct error *err)
{
    struct rows dense = {0}, sequences = {0}, attention = {0};
    cJSON *profile = cJSON_CreateObject();
    cJSON_AddStringToObject(profile, "name", o->name);
    cJSON_AddStringToObject(profile, "kind", "tables");
    cJSON_AddStringToObject(profile, "base", o->base_device);
    cJSON_AddStringToObject(profile, "model", o->model);
    cJSON_AddNumberToObject(profile, "tensor_parallel", o->tensor_parallel);
    cJSON_AddStringToObject(profile, "source", "imported from an LLMServingSim profiler bundle");
    cJSON *tables = cJSON_AddArrayToObject(profile, "tables");
    int status =
        read_csv(o->folder, "dense.csv", "layer,tokens,time_us", &dense, err) ||
        read_csv(o->folder, "per_sequence.csv", "layer,sequences,time_us", &sequences, err) ||
        read_csv(o->folder, "attention.csv", "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us", &attention, err);
    if (status == 0) {
        static const char *const per_layer[] = {"qkv_proj",   "o_proj", "gate_up_proj", "down_proj", "act_fn",
                                                "rotary_emb", NULL};
        for (const char *const *op = per_layer; *op; op++)
            add_operation(tables, &dense, *op, *op, 0, 1);
        add_operation(tables, &dense, "layernorm", "norm", 0, 2);
        add_operation(tables, &dense, "embedding", "embedding", 1, 0);
        add_operation(tables, &dense, "final_layernorm", "final_norm", 1, 0);
        add_operation(tables, &sequences, "lm_head", "lm_head", 1, 0);
        add_operation(tables, &sequences, "sampler", "sampler", 1, 0);
        status = add_attention(tables, &attention, "prefill_attention", 0, 2, err) ||
                 add_attention(tables, &attention, "decode_attention", 2, 0, err);
    }
    free(dense.items);
    free(sequences.items);
    free(attention.items);
    if (status) {
        cJSON_Delete(profile);
        return NULL;
    }
    return profile;
}

int profile_write(const cJSON *profile, const char *file, struct error *err)
{
    char beside[1024];
    snprintf(beside, sizeof beside, "%s.new", file);
    char *text = cJSON_PrintUnformatted(profile);
    if (!text)
        return error_no_memory(err);
    FILE *out = fopen(beside, "w");
    bool ok = out && fprintf(out, "%s\n", text) >= 0;
    ok = out && fclose(out) == 0 && ok && rename(beside, file) == 0;
    free(text);
    return ok ? 0 : error_set(err, ERROR_IO, "%s: cannot be written: %s", file, strerror(errno));
}
