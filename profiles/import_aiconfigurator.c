/* SPDX-License-Identifier: MIT */
/* AIConfigurator's tables of one system and engine: kernels by shape, for every model. Files that are absent are left
 * out; nccl_perf.csv and system.yaml may lie one folder up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/yaml.h"
#include "profiles/aiconfigurator.h"
#include "profiles/grid.h"
#include "profiles/import.h"

/* A table to be made of the kernels of one shape. */
struct family {
    const char *op;
    size_t axes;
    struct table_shape shape;
    struct grid_points points;
};

/* What a file's kernels are grouped by, and where each lies on its table's axes; false leaves a kernel out. */
typedef bool (*place_fn)(const struct kernel *k, struct family *of, double at[TABLE_AXES]);

static bool place_gemm(const struct kernel *k, struct family *of, double at[TABLE_AXES])
{
    of->op = "gemm";
    of->axes = 3;
    at[0] = k->m, at[1] = k->n, at[2] = k->k;
    return k->m >= 1 && kernel_dtype(k->dtype, &of->shape.dtype);
}

static bool attention_shape(const struct kernel *k, struct table_shape *s)
{
    s->heads = k->heads;
    s->kv_heads = k->kv_heads;
    s->head_dim = k->head_dim;
    return k->window == 0 && kernel_dtype(k->dtype, &s->dtype) && kernel_dtype(k->kv_dtype, &s->kv_dtype);
}

/* Prompts one at a time: what several in a launch take is their sum less launches. */
static bool place_context(const struct kernel *k, struct family *of, double at[TABLE_AXES])
{
    of->op = "prefill_attention";
    of->axes = 1;
    at[0] = k->isl;
    return k->sequences == 1 && k->step == 0 && attention_shape(k, &of->shape);
}

static bool place_generation(const struct kernel *k, struct family *of, double at[TABLE_AXES])
{
    of->op = "decode_attention";
    of->axes = 2;
    at[0] = k->sequences, at[1] = k->step + 1;
    return attention_shape(k, &of->shape);
}

/* Sizes are counts of 16-bit values here, and bytes in NCCL's file. Kernels outside CUDA graphs are left out. */
static bool place_all_reduce(const struct kernel *k, struct family *of, double at[TABLE_AXES])
{
    of->op = "all_reduce";
    of->axes = 1;
    of->shape.gpus = k->gpus;
    at[0] = 2 * k->size;
    return k->gpus > 1 && !strstr(k->source, "eager");
}

static bool place_nccl(const struct kernel *k, struct family *of, double at[TABLE_AXES])
{
    static const char *const names[][2] = {{"all_gather", "all_gather"},
                                           {"reduce_scatter", "reduce_scatter"},
                                           {"alltoall", "all_to_all"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(k->op, names[i][0]) == 0)
            of->op = names[i][1];
    of->axes = 1;
    of->shape.gpus = k->gpus;
    at[0] = 2 * k->size;
    return of->op && strcmp(k->dtype, "half") == 0;
}

/* Popularity of experts by a power law of 1.2, the most uneven of the distributions measured, is what tokens of real
 * text come closest to; a shape that lacks it has no table. */
static bool place_moe(const struct kernel *k, struct family *of, double at[TABLE_AXES])
{
    of->op = "moe";
    of->axes = 1;
    at[0] = k->tokens;
    struct table_shape *s = &of->shape;
    s->hidden = k->hidden;
    s->intermediate = k->intermediate;
    s->experts = k->experts;
    s->top_k = k->top_k;
    s->tensor = k->tensor;
    s->expert = k->expert;
    return strcmp(k->distribution, "power_law_1.2") == 0 && kernel_dtype(k->dtype, &s->dtype);
}

static const struct {
    place_fn place;
    bool one_up; /* may lie in the folder above */
} placing[KERNEL_FILES] = {
    [KERNELS_GEMM] = {place_gemm, false},
    [KERNELS_CONTEXT] = {place_context, false},
    [KERNELS_GENERATION] = {place_generation, false},
    [KERNELS_ALL_REDUCE] = {place_all_reduce, false},
    [KERNELS_NCCL] = {place_nccl, true},
    [KERNELS_MOE] = {place_moe, false},
};

struct families {
    struct family *items;
    size_t count, capacity;
};

static struct family *find_family(struct families *f, const struct family *like)
{
    for (size_t i = f->count; i-- > 0;) /* lines of a shape stand together */
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding is zero */
        if (strcmp(f->items[i].op, like->op) == 0 && memcmp(&f->items[i].shape, &like->shape, sizeof like->shape) == 0)
            return &f->items[i];
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 64;
        struct family *grown = realloc(f->items, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        f->items = grown;
        f->capacity = capacity;
    }
    f->items[f->count] = *like;
    return &f->items[f->count++];
}

/* Sorts a file's kernels into families. */
static int sort_kernels(const struct kernel *items, size_t count, place_fn place, struct families *out,
                        struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct family like;
        double at[TABLE_AXES] = {0};
        memset(&like, 0, sizeof like); /* padding too: shapes are compared as bytes */
        like.shape.any = true;
        if (!place(&items[i], &like, at))
            continue;
        struct family *family = find_family(out, &like);
        if (!family || grid_add(&family->points, at, items[i].ms * 1e6))
            return error_no_memory(err);
    }
    return 0;
}

static int add_file(const char *file, enum kernel_file kind, cJSON *tables, struct error *err)
{
    struct kernel *items = NULL;
    struct families families = {0};
    size_t count = 0;
    int status = kernels_read(file, kind, &items, &count, err) ||
                 sort_kernels(items, count, placing[kind].place, &families, err);
    for (size_t i = 0; i < families.count; i++) {
        struct family *f = &families.items[i];
        struct cost_table table;
        if (status == 0)
            status = grid_table(f->op, f->axes, &f->points, file, &table, err);
        if (status == 0) {
            table.shape = f->shape;
            import_add(tables, &table);
        }
        grid_release(&f->points);
    }
    free(families.items);
    free(items);
    return status ? -1 : 0;
}

static int find_file(const char *folder, enum kernel_file kind, char *out, size_t size, struct error *err)
{
    char above[1024];
    snprintf(above, sizeof above, "%s/..", folder);
    int found = kernels_find(folder, kind, out, size, err);
    return found || !placing[kind].one_up ? found : kernels_find(above, kind, out, size, err);
}

/* What the tables were measured under, from the first line of one of them; its date is not given. */
static int add_source(const struct import_options *o, cJSON *profile, struct error *err)
{
    char file[1024], text[320], framework[64] = "", version[64] = "", gpu[96] = "";
    struct line line;
    if (kernels_find(o->path, KERNELS_GEMM, file, sizeof file, err) < 0)
        return -1;
    struct lines *in = lines_open(file, err);
    if (!in)
        return -1;
    int got = lines_next(in, &line, err);
    if (got == 1 && strncmp(line.text, "framework,version,device,", 25) == 0 && (got = lines_next(in, &line, err)) == 1)
        sscanf(line.text, "%63[^,],%63[^,],%95[^,]", framework, version, gpu);
    lines_close(in);
    snprintf(text, sizeof text, "imported from AIConfigurator's kernel tables: %s, %s %s",
             *gpu ? gpu : "GPU not stated", *framework ? framework : "engine not stated", version);
    cJSON_AddStringToObject(profile, "source", text);
    return got < 0 ? -1 : 0;
}

/* Numbers of system.yaml by the names of a device file. */
static const struct {
    const char *path, *key;
    double scale;
} system_numbers[] = {
    {"gpu.mem_capacity", "memory_bytes", 1},
    {"gpu.mem_bw", "bandwidth_bytes_per_s", 1},
    {"gpu.mem_bw_empirical_scaling_factor", "bandwidth_efficiency", 1},
    {"gpu.mem_empirical_constant_latency", "launch_ns", 1e9},
    {"gpu.power", "power_w", 1},
    {"node.intra_node_bw", "link_bytes_per_s", 1},
    {"node.p2p_latency", "link_latency_ns", 1e9},
    {"misc.other_mem", "reserved_bytes", 1},
};

static const char *const system_peaks[][2] = {{"gpu.bfloat16_tc_flops", "bf16"},
                                              {"gpu.fp8_tc_flops", "fp8"},
                                              {"gpu.int8_tc_flops", "int8"}};

/* Adds a number of system.yaml to an object where it is there. */
static int add_number(cJSON *to, const char *key, const char *file, const char *path, double scale, struct error *err)
{
    double value = 0;
    int got = yaml_number(file, path, &value, err);
    if (got == 1)
        cJSON_AddNumberToObject(to, key, value * scale);
    return got < 0 ? -1 : 0;
}

static int add_system(cJSON *base, const char *file, struct error *err)
{
    cJSON_AddStringToObject(base, "name", "system.yaml");
    cJSON_AddStringToObject(base, "source", "AIConfigurator's system.yaml");
    for (size_t i = 0; i < sizeof system_numbers / sizeof *system_numbers; i++)
        if (add_number(base, system_numbers[i].key, file, system_numbers[i].path, system_numbers[i].scale, err))
            return -1;
    cJSON *peaks = cJSON_AddObjectToObject(base, "peak_flops");
    for (size_t i = 0; i < sizeof system_peaks / sizeof *system_peaks; i++)
        if (add_number(peaks, system_peaks[i][1], file, system_peaks[i][0], 1, err))
            return -1;
    return 0;
}

/* Where no base device was named, the system that the tables describe. */
static int add_base(const struct import_options *o, cJSON *profile, struct error *err)
{
    char file[1024];
    double value = 0;
    int here = import_has(o->path, "system.yaml", err);
    snprintf(file, sizeof file, "%s/%s", o->path, here ? "system.yaml" : "../system.yaml");
    int known = here < 0 ? -1 : o->base_device ? 0 : yaml_number(file, "gpu.mem_capacity", &value, err);
    if (known != 1)
        return known;
    cJSON *base = cJSON_CreateObject();
    int status = add_system(base, file, err);
    cJSON_DeleteItemFromObjectCaseSensitive(profile, "base");
    cJSON_AddItemToObject(profile, "base", base);
    return status;
}

static int matches(const char *path, struct error *err)
{
    char file[1024];
    return kernels_find(path, KERNELS_GEMM, file, sizeof file, err);
}

static int import(const struct import_options *o, cJSON *profile, cJSON *tables, struct error *err)
{
    char file[1024];
    if (add_source(o, profile, err) || add_base(o, profile, err))
        return -1;
    for (enum kernel_file kind = 0; kind < KERNEL_FILES; kind++) {
        int found = find_file(o->path, kind, file, sizeof file, err);
        if (found < 0 || (found == 1 && add_file(file, kind, tables, err)))
            return -1;
    }
    return 0;
}

const struct import_format import_aiconfigurator = {
    .name = "AIConfigurator tables", .usual_base = "h100-sxm", .by_model = false, .matches = matches, .import = import};
