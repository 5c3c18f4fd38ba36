/* SPDX-License-Identifier: MIT */
/* LLMServingSim profiler bundles (casys-kaist/LLMServingSim, MIT), each time for one layer of one model on one GPU of a
 * tensor-parallel group: dense.csv (layer,tokens,time_us), per_sequence.csv (layer,sequences,time_us), attention.csv
 * (prefill_chunk,kv_prefill,n_decode,kv_decode,time_us); moe.csv (tokens,activated_experts,time_us) of mixtures of
 * experts, profiled next to TP 1 alone; skew.csv, or meta.yaml next to the TP folders, for decodes of uneven length. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/yaml.h"
#include "profiles/grid.h"
#include "profiles/import.h"
#include "profiles/model.h"

enum { LAYER_TEXT = 24 };

struct row {
    char layer[LAYER_TEXT];
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
        "layer", offsetof(struct row, layer), LAYER_TEXT, CSV_OPTIONAL                                                 \
    }

static const struct csv_column dense_columns[] = {LAYER, NUMBER("tokens", 0, REQUIRED), NUMBER("time_us", 1, REQUIRED)};
static const struct csv_column sequence_columns[] = {LAYER, NUMBER("sequences", 0, REQUIRED),
                                                     NUMBER("time_us", 1, REQUIRED)};
static const struct csv_column attention_columns[] = {NUMBER("prefill_chunk", 0, REQUIRED),
                                                      NUMBER("kv_prefill", 1, REQUIRED),
                                                      NUMBER("n_decode", 2, REQUIRED), NUMBER("kv_decode", 3, REQUIRED),
                                                      NUMBER("time_us", 4, REQUIRED)};
static const struct csv_column expert_columns[] = {NUMBER("tokens", 0, REQUIRED),
                                                   NUMBER("activated_experts", 1, REQUIRED),
                                                   NUMBER("time_us", 2, REQUIRED)};
static const struct csv_column skew_columns[] = {NUMBER("n", 0, REQUIRED), NUMBER("pc", 1, REQUIRED),
                                                 NUMBER("t_mean_us", 2, REQUIRED), NUMBER("t_max_us", 3, REQUIRED),
                                                 NUMBER("t_skew_us", 4, REQUIRED)};

static int read_csv(const char *folder, const char *name, const struct csv_column *columns, size_t count,
                    struct rows *rows, struct error *err)
{
    char file[1024];
    void *items = NULL;
    import_file(folder, name, file, sizeof file);
    int status = csv_read(file, columns, count, sizeof *rows->items, &items, &rows->count, err);
    rows->items = items;
    return status;
}

/* One-axis table of the rows whose layer is `layer`; none when there are none. */
static int add_operation(cJSON *tables, const struct rows *rows, const char *layer, const char *op, struct error *err)
{
    struct grid_points points = {0};
    struct cost_table table;
    int status = 0;
    for (size_t i = 0; status == 0 && i < rows->count; i++)
        if (strcmp(rows->items[i].layer, layer) == 0)
            status = grid_add(&points, (double[TABLE_AXES]){rows->items[i].value[0]}, rows->items[i].value[1] * 1000);
    if (status)
        status = error_no_memory(err);
    else if (points.count > 0)
        status = grid_table(op, 1, &points, layer, &table, err);
    if (status == 0 && points.count > 0)
        import_add(tables, &table);
    grid_release(&points);
    return status;
}

typedef bool (*row_filter)(const double *v);

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

static int collect(const struct rows *rows, row_filter wanted, size_t first, size_t axes, struct grid_points *out,
                   struct error *err)
{
    for (size_t i = 0; i < rows->count; i++) {
        const double *v = rows->items[i].value;
        double at[TABLE_AXES] = {0};
        if (!wanted(v))
            continue;
        for (size_t a = 0; a < axes; a++)
            at[a] = v[first + a];
        if (grid_add(out, at, v[4] * 1000))
            return error_no_memory(err);
    }
    return 0;
}

/* Two-axis table of the attention rows of one kind, by the fields `first` and the one after it. */
static int add_attention(cJSON *tables, const struct rows *rows, const char *op, row_filter wanted, size_t first,
                         struct error *err)
{
    struct grid_points points = {0};
    struct cost_table table;
    int status =
        collect(rows, wanted, first, 2, &points, err) || grid_table(op, 2, &points, "attention.csv", &table, err);
    if (status == 0)
        import_add(tables, &table);
    grid_release(&points);
    return status ? -1 : 0;
}

/* Launches with a prompt chunk and decodes: [chunk][KV before][sequences][mean KV]. Bundles may lay a second, finer
 * grid over parts of the first; those without mixed launches are fine. */
static int add_mixed_attention(cJSON *tables, const struct rows *rows, struct error *err)
{
    struct grid_points points = {0};
    struct cost_table table;
    int status = collect(rows, is_mixed, 0, 4, &points, err);
    if (status == 0 && points.count > 0)
        status = grid_full_table("mixed_attention", 4, &points, &table, err);
    if (status == 0 && points.count > 0 && table_cells(&table) > 0)
        import_add(tables, &table);
    grid_release(&points);
    return status;
}

/* By the tokens that a GPU's experts get, and how many of its experts they wake. */
static int add_experts(cJSON *tables, const char *folder, struct error *err)
{
    struct rows rows = {0};
    struct grid_points points = {0};
    struct cost_table table;
    int found = import_has(folder, "moe.csv", err);
    if (found != 1)
        return found;
    int status = read_csv(folder, "moe.csv", expert_columns, 3, &rows, err);
    for (size_t i = 0; status == 0 && i < rows.count; i++) {
        const double *v = rows.items[i].value;
        if (grid_add(&points, (double[TABLE_AXES]){v[0], v[1]}, v[2] * 1000))
            status = error_no_memory(err);
    }
    if (status == 0)
        status = grid_table("moe", 2, &points, "moe.csv", &table, err);
    if (status == 0)
        import_add(tables, &table);
    grid_release(&points);
    free(rows.items);
    return status;
}

/* A bundle may hold a sweep of uneven launches and say itself that it is not to be used. Returns 1, 0 or -1. */
static int spread_is_off(const struct import_options *o, struct error *err)
{
    char file[1024], text[16];
    snprintf(file, sizeof file, "%s/../meta.yaml", o->path);
    int got = yaml_text(file, "skew_fit.enabled", text, sizeof text, err);
    return got == 1 ? strcmp(text, "false") == 0 : got;
}

/* Least squares through 0 of what an uneven launch takes more than an even one, over what the longest would, for each
 * number of sequences: of decodes alone, or of those that share a launch with a prompt's chunk. */
static int add_spread_of(cJSON *tables, const char *op, const struct rows *rows, bool mixed, struct error *err)
{
    struct grid_points points = {0};
    struct cost_table table;
    int status = 0;
    for (size_t i = 0; status == 0 && i < rows->count; i++) {
        double n = rows->items[i].value[0], product = 0, square = 0;
        bool first = (rows->items[i].value[1] > 0) == mixed;
        for (size_t k = 0; first && k < rows->count; k++) {
            const double *v = rows->items[k].value;
            if (v[0] != n || (v[1] > 0) != mixed)
                continue;
            first = k >= i;
            product += (v[4] - v[2]) * (v[3] - v[2]);
            square += (v[3] - v[2]) * (v[3] - v[2]);
        }
        if (first && square > 0 && grid_add(&points, (double[TABLE_AXES]){n}, fmax(product / square, 0)))
            status = error_no_memory(err);
    }
    if (status == 0 && points.count > 0)
        status = grid_table(op, 1, &points, "skew.csv", &table, err);
    if (status == 0 && points.count > 0)
        import_add(tables, &table);
    grid_release(&points);
    return status;
}

static int add_measured_spread(cJSON *tables, const char *folder, struct error *err)
{
    struct rows rows = {0};
    int status = read_csv(folder, "skew.csv", skew_columns, 5, &rows, err) ||
                 add_spread_of(tables, "decode_spread", &rows, false, err) ||
                 add_spread_of(tables, "mixed_spread", &rows, true, err);
    free(rows.items);
    return status ? -1 : 0;
}

/* Where a bundle was swept but its points are not at hand: shares by thread blocks, which are sequences × KV heads of
 * one GPU, as in the sweeps that LLMServingSim publishes for the RTX PRO 6000 (three models, TP 1 and 2; they agree
 * when laid over blocks: up to 256 all run at once, and from there on the last wave of them counts for less and less).
 */
static const struct {
    double blocks, share;
} swept[] = {{256, 0}, {512, 0.087}, {1024, 0.036}, {2048, 0.0133}};

static int add_stated_spread(cJSON *tables, const struct import_options *o, struct error *err)
{
    char file[1024], path[64];
    double share = 0;
    struct grid_points points = {0};
    struct cost_table table;
    struct model m;
    snprintf(file, sizeof file, "%s/../meta.yaml", o->path);
    snprintf(path, sizeof path, "skew_fit.per_tp.%u.alpha_default", o->tensor_parallel);
    int got = yaml_number(file, path, &share, err);
    if (got != 1 || !(share > 0 && share < 1))
        return got < 0 ? -1 : 0;
    int status = model_load(o->model, &m, err);
    double heads = fmax(1, (double)m.kv_heads / o->tensor_parallel);
    for (size_t i = 0; status == 0 && i < sizeof swept / sizeof *swept; i++)
        if (grid_add(&points, (double[TABLE_AXES]){swept[i].blocks / heads}, swept[i].share))
            status = error_no_memory(err);
    if (status == 0)
        status = grid_table("decode_spread", 1, &points, file, &table, err);
    if (status == 0)
        import_add(tables, &table);
    grid_release(&points);
    return status;
}

static int add_spread(cJSON *tables, const struct import_options *o, struct error *err)
{
    int off = spread_is_off(o, err), measured = off ? 0 : import_has(o->path, "skew.csv", err);
    if (off < 0 || measured < 0)
        return -1;
    if (off)
        return 0;
    return measured ? add_measured_spread(tables, o->path, err) : add_stated_spread(tables, o, err);
}

static int add_operations(cJSON *tables, const struct rows *dense, const struct rows *sequences, struct error *err)
{
    static const char *const names[][2] = {
        {"qkv_proj", "qkv_proj"},
        {"o_proj", "o_proj"},
        {"gate_up_proj", "gate_up_proj"},
        {"down_proj", "down_proj"},
        {"act_fn", "act_fn"},
        {"rotary_emb", "rotary_emb"},
        {"qk_norm", "qk_norm"},
        {"layernorm", "norm"},
        {"embedding", "embedding"},
        {"final_layernorm", "final_norm"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (add_operation(tables, dense, names[i][0], names[i][1], err))
            return -1;
    return add_operation(tables, sequences, "lm_head", "lm_head", err) ||
           add_operation(tables, sequences, "sampler", "sampler", err);
}

static int add_source(const struct import_options *o, cJSON *profile, struct error *err)
{
    char file[1024], gpu[96] = "", vllm[32] = "", date[40] = "", text[256];
    snprintf(file, sizeof file, "%s/../meta.yaml", o->path);
    if (yaml_text(file, "gpu", gpu, sizeof gpu, err) < 0 ||
        yaml_text(file, "vllm_version", vllm, sizeof vllm, err) < 0 ||
        yaml_text(file, "profiled_at", date, sizeof date, err) < 0)
        return -1;
    if (*gpu)
        snprintf(text, sizeof text, "imported from an LLMServingSim profiler bundle: %s, vLLM %s, %s", gpu, vllm, date);
    else
        snprintf(text, sizeof text, "imported from an LLMServingSim profiler bundle");
    cJSON_AddStringToObject(profile, "source", text);
    return 0;
}

static int matches(const char *path, struct error *err)
{
    return import_has(path, "dense.csv", err);
}

static int import(const struct import_options *o, cJSON *profile, cJSON *tables, struct error *err)
{
    struct rows dense = {0}, sequences = {0}, attention = {0};
    int status = add_source(o, profile, err) || read_csv(o->path, "dense.csv", dense_columns, 3, &dense, err) ||
                 read_csv(o->path, "per_sequence.csv", sequence_columns, 3, &sequences, err) ||
                 read_csv(o->path, "attention.csv", attention_columns, 5, &attention, err) ||
                 add_operations(tables, &dense, &sequences, err) ||
                 add_attention(tables, &attention, "prefill_attention", is_prefill, 0, err) ||
                 add_attention(tables, &attention, "decode_attention", is_decode, 2, err) ||
                 add_mixed_attention(tables, &attention, err) || add_experts(tables, o->path, err) ||
                 add_spread(tables, o, err);
    free(dense.items);
    free(sequences.items);
    free(attention.items);
    return status ? -1 : 0;
}

const struct import_format import_llmservingsim = {
    .name = "LLMServingSim bundle", .usual_base = "rtx-4090", .by_model = true, .matches = matches, .import = import};
