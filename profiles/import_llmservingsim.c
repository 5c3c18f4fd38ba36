/* SPDX-License-Identifier: MIT */
/* LLMServingSim profiler bundles (casys-kaist/LLMServingSim, MIT): dense.csv (layer,tokens,time_us),
 * per_sequence.csv (layer,sequences,time_us) and attention.csv (prefill_chunk,kv_prefill,n_decode,
 * kv_decode,time_us), each time for one layer of one model. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "profiles/import.h"

struct row {
    char op[24];
    double value[5]; /* numbers, in the columns' order */
};

struct rows {
    struct row *items;
    size_t count;
};

#define NUMBER(column, index, need)                                                                                    \
    {                                                                                                                  \
        column, offsetof(struct row, value[index]), 0, CSV_##need                                                      \
    }
#define LAYER                                                                                                          \
    {                                                                                                                  \
        "layer", offsetof(struct row, op), 24, CSV_OPTIONAL                                                            \
    }

static const struct csv_column dense_columns[] = {LAYER, NUMBER("tokens", 0, REQUIRED), NUMBER("time_us", 1, REQUIRED)};
static const struct csv_column sequence_columns[] = {LAYER, NUMBER("sequences", 0, REQUIRED),
                                                     NUMBER("time_us", 1, REQUIRED)};
static const struct csv_column attention_columns[] = {NUMBER("prefill_chunk", 0, REQUIRED),
                                                      NUMBER("kv_prefill", 1, REQUIRED),
                                                      NUMBER("n_decode", 2, REQUIRED), NUMBER("kv_decode", 3, REQUIRED),
                                                      NUMBER("time_us", 4, REQUIRED)};

static int read_csv(const char *folder, const char *name, const struct csv_column *columns, size_t count,
                    struct rows *rows, struct error *err)
{
    char file[1024];
    void *items = NULL;
    snprintf(file, sizeof file, "%s/%s", folder, name);
    int status = csv_read(file, columns, count, sizeof *rows->items, &items, &rows->count, err);
    rows->items = items;
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

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Distinct values of a field over the rows that `wanted` says yes to, ascending. Returns how many; *out is owned by the
 * caller. */
typedef bool (*row_filter)(const double *v);

static size_t distinct(const struct rows *rows, row_filter wanted, size_t field, double **out)
{
    size_t count = 0, kept = 0;
    *out = calloc(rows->count, sizeof **out);
    for (size_t i = 0; *out && i < rows->count; i++)
        if (wanted(rows->items[i].value))
            (*out)[count++] = rows->items[i].value[field];
    if (*out)
        qsort(*out, count, sizeof **out, compare_numbers);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || (*out)[i] != (*out)[kept - 1])
            (*out)[kept++] = (*out)[i];
    return kept;
}

static bool is_prefill(const double *v)
{
    return v[0] > 0 && v[2] == 0;
}

static bool is_decode(const double *v)
{
    return v[0] == 0 && v[2] > 0;
}

static bool is_mixed(const double *v)
{
    return v[0] > 0 && v[2] > 0;
}

static size_t index_of(const double *axis, size_t count, double x)
{
    const double *at = bsearch(&x, axis, count, sizeof *axis, compare_numbers);
    return at ? (size_t)(at - axis) : SIZE_MAX;
}

/* Holes in a row (NAN) lie on the straight line between their neighbours, which is how a table is read anyway. False
 * when the row has no point at one of its ends. */
static bool fill_row(const double *axis, double *ns, size_t count)
{
    if (isnan(ns[0]) || isnan(ns[count - 1]))
        return false;
    for (size_t i = 1; i < count; i++) {
        size_t next = i;
        while (isnan(ns[next]))
            next++;
        for (; i < next; i++)
            ns[i] = ns[i - 1] + (ns[next] - ns[i - 1]) * (axis[i] - axis[i - 1]) / (axis[next] - axis[i - 1]);
    }
    return true;
}

static void add_numbers(cJSON *table, const char *name, const double *values, size_t count)
{
    cJSON_AddItemToObject(table, name, cJSON_CreateDoubleArray(values, (int)count));
}

/* The indices of the holes; NULL when there are none. */
static cJSON *holes_of(const double *ns, size_t cells)
{
    cJSON *holes = NULL;
    for (size_t i = 0; i < cells; i++) {
        if (!isnan(ns[i]))
            continue;
        if (!holes)
            holes = cJSON_CreateArray();
        add_number(holes, (double)i);
    }
    return holes;
}

/* Two-axis table of the attention rows of one kind, by the fields `row` and `row` + 1. */
static int add_attention(cJSON *tables, const struct rows *rows, const char *op, row_filter wanted, size_t row_field,
                         struct error *err)
{
    double *axis[2] = {NULL, NULL}, *ns = NULL;
    size_t rows_count = distinct(rows, wanted, row_field, &axis[0]);
    size_t columns = distinct(rows, wanted, row_field + 1, &axis[1]), cells = rows_count * columns;
    int status = axis[0] && axis[1] && (ns = malloc((cells + 1) * sizeof *ns)) ? 0 : error_no_memory(err);
    for (size_t i = 0; status == 0 && i < cells; i++)
        ns[i] = NAN;
    for (size_t i = 0; status == 0 && i < rows->count; i++) {
        const double *v = rows->items[i].value;
        if (wanted(v))
            ns[index_of(axis[0], rows_count, v[row_field]) * columns + index_of(axis[1], columns, v[row_field + 1])] =
                v[4] * 1000;
    }
    if (status == 0 && cells == 0)
        status = error_set(err, ERROR_INPUT, "attention.csv: holds no %s points", op);
    cJSON *holes = status == 0 ? holes_of(ns, cells) : NULL;
    for (size_t i = 0; status == 0 && i < rows_count; i++)
        if (!fill_row(axis[1], ns + i * columns, columns))
            status = error_set(err, ERROR_INPUT, "attention.csv: %s of %g lacks a point at %g or %g", op, axis[0][i],
                               axis[1][0], axis[1][columns - 1]);
    if (status == 0) {
        cJSON *table = new_table(tables, op, 0, 1);
        add_numbers(table, "rows", axis[0], rows_count);
        add_numbers(table, "columns", axis[1], columns);
        add_numbers(table, "ns", ns, cells);
        if (holes)
            cJSON_AddItemToObject(table, "filled", holes);
    }
    if (status)
        cJSON_Delete(holes);
    free(axis[0]);
    free(axis[1]);
    free(ns);
    return status;
}

/* The axes of mixed launches, with the values that are still in the grid. */
struct grid {
    double *axis[4];
    size_t size[4];
};

static void drop_value(struct grid *g, size_t axis, size_t at)
{
    for (g->size[axis]--; at < g->size[axis]; at++)
        g->axis[axis][at] = g->axis[axis][at + 1];
}

/* Where a row lies in the grid; SIZE_MAX when one of its values has been dropped. */
static size_t grid_index(const struct grid *g, const double *v)
{
    size_t index = 0;
    for (size_t a = 0; a < 4; a++) {
        size_t at = index_of(g->axis[a], g->size[a], v[a]);
        if (at == SIZE_MAX)
            return SIZE_MAX;
        index = index * g->size[a] + at;
    }
    return index;
}

/* Drops the value that has the smallest share of its points, again and again, until every point of the grid was
 * measured. Bundles may lay a second, finer grid over parts of the first. Fills ns [cells]; false when memory is short.
 */
static bool find_full_grid(const struct rows *rows, struct grid *g, double **ns)
{
    for (;;) {
        size_t cells = g->size[0] * g->size[1] * g->size[2] * g->size[3], found = 0;
        double *grown = realloc(*ns, (cells + 1) * sizeof **ns);
        if (!grown)
            return false;
        *ns = grown;
        for (size_t i = 0; i < cells; i++)
            (*ns)[i] = NAN;
        for (size_t i = 0; i < rows->count; i++) {
            const double *v = rows->items[i].value;
            size_t index = is_mixed(v) ? grid_index(g, v) : SIZE_MAX;
            if (index == SIZE_MAX)
                continue;
            found += isnan((*ns)[index]) ? 1 : 0;
            (*ns)[index] = v[4] * 1000;
        }
        if (found == cells)
            return true;
        size_t worst_axis = 0, worst = 0, stride = cells;
        double worst_share = 2;
        for (size_t a = 0; a < 4; a++) {
            stride /= g->size[a];
            for (size_t at = 0; at < g->size[a]; at++) {
                size_t here = 0, all = cells / g->size[a];
                for (size_t i = 0; i < cells; i++)
                    here += i / stride % g->size[a] == at && !isnan((*ns)[i]) ? 1 : 0;
                if ((double)here < worst_share * (double)all) {
                    worst_share = (double)here / (double)all;
                    worst_axis = a;
                    worst = at;
                }
            }
        }
        drop_value(g, worst_axis, worst);
    }
}

/* Launches with a prompt chunk and decodes: [chunk][KV before][sequences][mean KV]. Bundles without them are fine. */
static int add_mixed_attention(cJSON *tables, const struct rows *rows, struct error *err)
{
    static const char *const names[4] = {"rows", "columns", "sequences", "kv"};
    struct grid g = {0};
    double *ns = NULL;
    bool memory = true;
    for (size_t a = 0; a < 4; a++) {
        g.size[a] = distinct(rows, is_mixed, a, &g.axis[a]);
        memory = memory && g.axis[a];
    }
    memory = memory && (g.size[0] == 0 || find_full_grid(rows, &g, &ns));
    size_t cells = g.size[0] * g.size[1] * g.size[2] * g.size[3];
    if (memory && cells > 0) {
        cJSON *table = new_table(tables, "mixed_attention", 0, 1);
        for (size_t a = 0; a < 4; a++)
            add_numbers(table, names[a], g.axis[a], g.size[a]);
        add_numbers(table, "ns", ns, cells);
        size_t points = 0;
        for (size_t i = 0; i < rows->count; i++)
            points += is_mixed(rows->items[i].value) ? 1 : 0;
        if (points > cells)
            cJSON_AddNumberToObject(table, "unused", (double)(points - cells));
    }
    for (size_t a = 0; a < 4; a++)
        free(g.axis[a]);
    free(ns);
    return memory ? 0 : error_no_memory(err);
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
    int status = read_csv(o->folder, "dense.csv", dense_columns, 3, &dense, err) ||
                 read_csv(o->folder, "per_sequence.csv", sequence_columns, 3, &sequences, err) ||
                 read_csv(o->folder, "attention.csv", attention_columns, 5, &attention, err);
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
        status = add_attention(tables, &attention, "prefill_attention", is_prefill, 0, err) ||
                 add_attention(tables, &attention, "decode_attention", is_decode, 2, err) ||
                 add_mixed_attention(tables, &attention, err);
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
