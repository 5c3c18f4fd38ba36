/* SPDX-License-Identifier: MIT */
/* Vidur's profiling data (microsoft/vidur, MIT; times in ms, medians taken): mlp.csv and attention.csv of one model at
 * several tensor-parallel degrees, all_reduce.csv and send_recv.csv of a node. Files that are absent are left out. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "profiles/grid.h"
#include "profiles/import.h"
#include "profiles/model.h"

enum { MLP_OPS = 10, FLAG_TEXT = 8 };

struct mlp_row {
    double tokens, degree, heads, hidden, intermediate;
    double ms[MLP_OPS];
};

#define MEDIAN(op, index)                                                                                              \
    {                                                                                                                  \
        "time_stats." op ".median", offsetof(struct mlp_row, ms[index]), 0, CSV_OPTIONAL                               \
    }

static const struct csv_column mlp_columns[] = {
    {"num_tokens", offsetof(struct mlp_row, tokens), 0, CSV_POSITIVE},
    {"num_tensor_parallel_workers", offsetof(struct mlp_row, degree), 0, CSV_POSITIVE},
    {"n_head", offsetof(struct mlp_row, heads), 0, CSV_POSITIVE},
    {"n_embd", offsetof(struct mlp_row, hidden), 0, CSV_POSITIVE},
    {"n_expanded_embd", offsetof(struct mlp_row, intermediate), 0, CSV_POSITIVE},
    MEDIAN("emb", 0),
    MEDIAN("attn_pre_proj", 1),
    MEDIAN("attn_rope", 2),
    MEDIAN("attn_post_proj", 3),
    MEDIAN("mlp_up_proj", 4),
    MEDIAN("mlp_act", 5),
    MEDIAN("mlp_down_proj", 6),
    MEDIAN("input_layernorm", 7),
    MEDIAN("post_attention_layernorm", 8),
    MEDIAN("add", 9),
};

/* Their operations by our names. A layer's two norms and its residual additions make two of ours. */
static const struct {
    const char *op;
    int columns[3]; /* summed; −1 ends them */
    double scale;
} mlp_ops[] = {
    {"embedding", {0, -1}, 1},    {"qkv_proj", {1, -1}, 1}, {"rotary_emb", {2, -1}, 1}, {"o_proj", {3, -1}, 1},
    {"gate_up_proj", {4, -1}, 1}, {"act_fn", {5, -1}, 1},   {"down_proj", {6, -1}, 1},  {"norm", {7, 8, 9}, 0.5},
};

static double sum_columns(const struct mlp_row *row, size_t op)
{
    double ms = 0;
    for (size_t i = 0; i < 3 && mlp_ops[op].columns[i] >= 0; i++)
        ms += row->ms[mlp_ops[op].columns[i]];
    return ms * mlp_ops[op].scale;
}

/* The file must be of the model that the profile is said to be of. */
static int check_model(const char *file, const struct mlp_row *row, const struct import_options *o, struct error *err)
{
    struct model m;
    if (model_load(o->model, &m, err))
        return -1;
    if (m.heads == row->heads && m.hidden == row->hidden && m.intermediate == row->intermediate)
        return 0;
    return error_set(err, ERROR_INPUT,
                     "%s: is of a model with %g heads, width %g and MLP width %g; %s has %u, %u and %u", file,
                     row->heads, row->hidden, row->intermediate, m.name, m.heads, m.hidden, m.intermediate);
}

static int finish(const char *op, size_t axes, struct grid_points *points, const char *file,
                  const struct table_shape *shape, cJSON *tables, struct error *err)
{
    struct cost_table table;
    int status = grid_table(op, axes, points, file, &table, err);
    if (status == 0) {
        if (shape)
            table.shape = *shape;
        import_add(tables, &table);
    }
    grid_release(points);
    return status;
}

static int add_mlp(const struct import_options *o, cJSON *tables, struct error *err)
{
    char file[1024];
    void *items = NULL;
    size_t count = 0;
    import_file(o->path, "mlp.csv", file, sizeof file);
    if (csv_read(file, mlp_columns, sizeof mlp_columns / sizeof *mlp_columns, sizeof(struct mlp_row), &items, &count,
                 err))
        return -1;
    const struct mlp_row *rows = items;
    int status = check_model(file, rows, o, err);
    for (size_t op = 0; status == 0 && op < sizeof mlp_ops / sizeof *mlp_ops; op++) {
        struct grid_points points = {0};
        for (size_t i = 0; i < count && status == 0; i++)
            if (rows[i].degree == o->tensor_parallel &&
                grid_add(&points, (double[TABLE_AXES]){rows[i].tokens}, sum_columns(&rows[i], op) * 1e6))
                status = error_no_memory(err);
        if (status == 0 && points.count == 0)
            status = error_set(err, ERROR_INPUT, "%s: holds no rows with %u tensor-parallel workers", file,
                               o->tensor_parallel);
        if (status == 0)
            status = finish(mlp_ops[op].op, 1, &points, file, NULL, tables, err);
        else
            grid_release(&points);
    }
    free(items);
    return status;
}

struct attention_row {
    double degree, sequences, chunk, before, prefill_ms, decode_ms;
    char is_prefill[FLAG_TEXT];
};

static const struct csv_column attention_columns[] = {
    {"num_tensor_parallel_workers", offsetof(struct attention_row, degree), 0, CSV_POSITIVE},
    {"batch_size", offsetof(struct attention_row, sequences), 0, CSV_POSITIVE},
    {"prefill_chunk_size", offsetof(struct attention_row, chunk), 0, CSV_OPTIONAL},
    {"kv_cache_size", offsetof(struct attention_row, before), 0, CSV_OPTIONAL},
    {"time_stats.attn_prefill.median", offsetof(struct attention_row, prefill_ms), 0, CSV_OPTIONAL},
    {"time_stats.attn_decode.median", offsetof(struct attention_row, decode_ms), 0, CSV_OPTIONAL},
    {"is_prefill", offsetof(struct attention_row, is_prefill), FLAG_TEXT, CSV_OPTIONAL},
};

static int add_attention(const struct import_options *o, cJSON *tables, struct error *err)
{
    char file[1024];
    void *items = NULL;
    size_t count = 0;
    struct grid_points prefill = {0}, decode = {0};
    import_file(o->path, "attention.csv", file, sizeof file);
    int status = csv_read(file, attention_columns, sizeof attention_columns / sizeof *attention_columns,
                          sizeof(struct attention_row), &items, &count, err);
    const struct attention_row *rows = items;
    for (size_t i = 0; i < count && status == 0; i++) {
        const struct attention_row *r = &rows[i];
        if (r->degree != o->tensor_parallel)
            continue;
        bool is_prefill = strcmp(r->is_prefill, "True") == 0;
        if (is_prefill && r->sequences == 1 && r->prefill_ms > 0)
            status = grid_add(&prefill, (double[TABLE_AXES]){r->chunk, r->before}, r->prefill_ms * 1e6);
        else if (!is_prefill && r->decode_ms > 0)
            status = grid_add(&decode, (double[TABLE_AXES]){r->sequences, r->before + 1}, r->decode_ms * 1e6);
        if (status)
            error_no_memory(err);
    }
    if (status == 0)
        status = finish("prefill_attention", 2, &prefill, file, NULL, tables, err);
    if (status == 0)
        status = finish("decode_attention", 2, &decode, file, NULL, tables, err);
    grid_release(&prefill);
    grid_release(&decode);
    free(items);
    return status;
}

struct network_row {
    double gpus, per_node, bytes, ms;
};

/* Rows whose GPUs all sit in one node. */
static int add_network(const struct import_options *o, const char *op, cJSON *tables, struct error *err)
{
    bool reduces = strcmp(op, "all_reduce") == 0;
    const struct csv_column columns[] = {
        {"num_workers", offsetof(struct network_row, gpus), 0, CSV_POSITIVE},
        {"devices_per_node", offsetof(struct network_row, per_node), 0, CSV_POSITIVE},
        {"size", offsetof(struct network_row, bytes), 0, CSV_POSITIVE},
        {reduces ? "time_stats.all_reduce.median" : "time_stats.send_recv.median", offsetof(struct network_row, ms), 0,
         CSV_POSITIVE},
    };
    char name[32], file[1024];
    void *items = NULL;
    size_t count = 0;
    snprintf(name, sizeof name, "%s.csv", op);
    import_file(o->path, name, file, sizeof file);
    int status = csv_read(file, columns, 4, sizeof(struct network_row), &items, &count, err);
    const struct network_row *rows = items;
    for (double gpus = 2; status == 0 && gpus <= 64; gpus++) {
        struct grid_points points = {0};
        for (size_t i = 0; i < count && status == 0; i++)
            if (rows[i].gpus == gpus && rows[i].per_node == gpus)
                status = grid_add(&points, (double[TABLE_AXES]){rows[i].bytes}, rows[i].ms * 1e6);
        if (status)
            error_no_memory(err);
        else if (points.count > 0)
            status = finish(op, 1, &points, file, &(struct table_shape){.any = true, .gpus = gpus}, tables, err);
        grid_release(&points);
    }
    free(items);
    return status;
}

static int matches(const char *path, struct error *err)
{
    static const char *const any[] = {"mlp.csv", "all_reduce.csv", "send_recv.csv"};
    int found = 0;
    for (size_t i = 0; i < sizeof any / sizeof *any && found == 0; i++)
        found = import_has(path, any[i], err);
    return found;
}

static int add_all_reduce(const struct import_options *o, cJSON *tables, struct error *err)
{
    return add_network(o, "all_reduce", tables, err);
}

static int add_send_recv(const struct import_options *o, cJSON *tables, struct error *err)
{
    return add_network(o, "send_recv", tables, err);
}

static int import(const struct import_options *o, cJSON *profile, cJSON *tables, struct error *err)
{
    cJSON_AddStringToObject(profile, "source", "imported from Vidur's profiling data");
    static const struct {
        const char *file;
        int (*add)(const struct import_options *o, cJSON *tables, struct error *err);
    } parts[] = {{"mlp.csv", add_mlp},
                 {"attention.csv", add_attention},
                 {"all_reduce.csv", add_all_reduce},
                 {"send_recv.csv", add_send_recv}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int found = import_has(o->path, parts[i].file, err);
        if (found < 0 || (found == 1 && parts[i].add(o, tables, err)))
            return -1;
    }
    return 0;
}

const struct import_format import_vidur = {
    .name = "Vidur profiling data", .usual_base = "a100-80gb", .by_model = true, .matches = matches, .import = import};
