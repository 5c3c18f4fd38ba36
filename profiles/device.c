/* SPDX-License-Identifier: MIT */
#include "profiles/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "profiles/shipped.h"

void device_release(struct device *device)
{
    for (size_t i = 0; i < device->table_count; i++)
        table_release(&device->tables[i]);
    free(device->tables);
    device->tables = NULL;
    device->table_count = 0;
}

const struct cost_table *device_table(const struct device *device, const char *op)
{
    for (size_t i = 0; i < device->table_count; i++)
        if (!device->tables[i].shape.any && strcmp(device->tables[i].op, op) == 0)
            return &device->tables[i];
    return NULL;
}

enum dtype device_arithmetic(const struct device *device, enum dtype dtype)
{
    static const enum dtype instead[DTYPE_COUNT][3] = {
        [DTYPE_BF16] = {DTYPE_BF16, DTYPE_FP16, DTYPE_FP32}, [DTYPE_FP16] = {DTYPE_FP16, DTYPE_BF16, DTYPE_FP32},
        [DTYPE_FP8] = {DTYPE_FP8, DTYPE_BF16, DTYPE_FP16},   [DTYPE_INT8] = {DTYPE_INT8, DTYPE_BF16, DTYPE_FP16},
        [DTYPE_FP32] = {DTYPE_FP32, DTYPE_BF16, DTYPE_FP16}, [DTYPE_FP4] = {DTYPE_FP4, DTYPE_BF16, DTYPE_FP16},
        [DTYPE_INT4] = {DTYPE_INT4, DTYPE_BF16, DTYPE_FP16},
    };
    for (int i = 0; i < 3; i++)
        if (device->peak_flops[instead[dtype][i]] > 0)
            return instead[dtype][i];
    return DTYPE_FP32;
}

double device_peak_flops(const struct device *device, enum dtype dtype)
{
    return device->peak_flops[device_arithmetic(device, dtype)];
}

/* Numbers by format: {"bf16": 989e12, "fp8": 1979e12}. */
static int read_by_format(const struct json *at, double least, double most, double *out, struct error *err)
{
    if (!cJSON_IsObject(at->node) || !at->node->child)
        return json_complain(at, "an object of numbers by format, like {\"bf16\": 989e12}", err);
    if (json_check_keys(at, dtype_names, err))
        return -1;
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (json_read_number(at, dtype_names[i], false, least, most, &out[i], err))
            return -1;
    return 0;
}

static int read_peaks(const struct json *o, struct device *d, struct error *err)
{
    struct json peaks = json_member(o, "peak_flops");
    return read_by_format(&peaks, 1, 1e18, d->peak_flops, err);
}

static int read_experts(const struct json *o, struct device *d, struct error *err)
{
    struct json efficiency = json_member(o, "expert_efficiency"), launch = json_member(o, "expert_launch_ns");
    struct json bandwidth = json_member(o, "expert_bandwidth_efficiency");
    if ((efficiency.node && read_by_format(&efficiency, 0.001, 1, d->expert_efficiency, err)) ||
        (bandwidth.node && read_by_format(&bandwidth, 0.01, 1, d->expert_bandwidth_efficiency, err)))
        return -1;
    return launch.node ? read_by_format(&launch, 0, 1e9, d->expert_launch_ns, err) : 0;
}

static int read_roofline(const struct json *o, struct device *d, struct error *err)
{
    static const char *const keys[] = {"name",
                                       "kind",
                                       "system",
                                       "memory_bytes",
                                       "bandwidth_bytes_per_s",
                                       "peak_flops",
                                       "gemm_efficiency",
                                       "attention_efficiency",
                                       "bandwidth_efficiency",
                                       "gemm_tile_rows",
                                       "roofline_corner",
                                       "launch_ns",
                                       "gemm_launch_ns",
                                       "attention_bandwidth_efficiency",
                                       "attention_launch_ns",
                                       "gemm_efficiency_8bit",
                                       "gemm_launch_ns_8bit",
                                       "expert_efficiency",
                                       "expert_launch_ns",
                                       "expert_bandwidth_efficiency",
                                       "host_ns",
                                       "host_ns_per_sequence",
                                       "eager_layer_ns",
                                       "link_bytes_per_s",
                                       "link_latency_ns",
                                       "memory_utilization",
                                       "reserved_bytes",
                                       "price_per_hour",
                                       "power_w",
                                       "gpus_per_node",
                                       "link_gpus",
                                       "node_power_w",
                                       "prices",
                                       "source",
                                       NULL};
    return json_check_keys(o, keys, err) || purchase_read(o, &d->purchase, err) ||
           json_read_number(o, "memory_bytes", true, 1, 1e15, &d->memory_bytes, err) ||
           json_read_number(o, "bandwidth_bytes_per_s", true, 1, 1e15, &d->bandwidth_bytes_per_s, err) ||
           read_peaks(o, d, err) || read_experts(o, d, err) ||
           json_read_number(o, "gemm_efficiency", false, 0.01, 1, &d->gemm_efficiency, err) ||
           json_read_number(o, "attention_efficiency", false, 0.01, 1, &d->attention_efficiency, err) ||
           json_read_number(o, "bandwidth_efficiency", false, 0.01, 1, &d->bandwidth_efficiency, err) ||
           json_read_number(o, "gemm_tile_rows", false, 1, 256, &d->gemm_tile_rows, err) ||
           json_read_number(o, "roofline_corner", false, 1, 100, &d->roofline_corner, err) ||
           json_read_number(o, "launch_ns", false, 0, 1e9, &d->launch_ns, err) ||
           json_read_number(o, "gemm_launch_ns", false, 0, 1e9, &d->gemm_launch_ns, err) ||
           json_read_number(o, "attention_bandwidth_efficiency", false, 0.01, 1, &d->attention_bandwidth_efficiency,
                            err) ||
           json_read_number(o, "attention_launch_ns", false, 0, 1e9, &d->attention_launch_ns, err) ||
           json_read_number(o, "gemm_efficiency_8bit", false, 0.01, 1, &d->gemm_efficiency_8bit, err) ||
           json_read_number(o, "gemm_launch_ns_8bit", false, 0, 1e9, &d->gemm_launch_ns_8bit, err) ||
           json_read_number(o, "host_ns", false, 0, 1e12, &d->host_ns, err) ||
           json_read_number(o, "host_ns_per_sequence", false, 0, 1e12, &d->host_ns_per_sequence, err) ||
           json_read_number(o, "eager_layer_ns", false, 0, 1e9, &d->eager_layer_ns, err) ||
           json_read_number(o, "link_bytes_per_s", false, 1, 1e15, &d->link_bytes_per_s, err) ||
           json_read_number(o, "link_latency_ns", false, 0, 1e12, &d->link_latency_ns, err) ||
           json_read_number(o, "memory_utilization", false, 0.01, 1, &d->memory_utilization, err) ||
           json_read_number(o, "reserved_bytes", false, 0, 1e15, &d->reserved_bytes, err) ||
           json_read_number(o, "price_per_hour", false, 0, 1e6, &d->price_per_hour, err) ||
           json_read_number(o, "power_w", false, 0, 1e6, &d->power_w, err);
}

/* Another line for decodes from so many sequences on. */
static int read_many_decodes(const struct json *o, struct device *d, struct error *err)
{
    static const char *const keys[] = {"sequences", "decode_base_ns", "ns_per_decode_sequence", "ns_per_kv_token",
                                       NULL};
    struct json many = json_member(o, "many_decodes");
    if (!many.node)
        return 0;
    return json_check_keys(&many, keys, err) ||
           json_read_number(&many, "sequences", true, 1, 1e9, &d->many_from, err) ||
           json_read_number(&many, "decode_base_ns", false, -1e12, 1e12, &d->many_decodes.base_ns, err) ||
           json_read_number(&many, "ns_per_decode_sequence", false, 0, 1e9, &d->many_decodes.ns_per_decode_sequence,
                            err) ||
           json_read_number(&many, "ns_per_kv_token", false, 0, 1e9, &d->many_decodes.ns_per_kv_token, err);
}

static int read_linear(const struct json *o, struct device *d, struct error *err)
{
    static const char *const keys[] = {"name",
                                       "kind",
                                       "system",
                                       "memory_bytes",
                                       "base_ns",
                                       "ns_per_prefill_token",
                                       "ns_per_prefill_token_squared",
                                       "decode_base_ns",
                                       "many_decodes",
                                       "ns_per_decode_sequence",
                                       "ns_per_kv_token",
                                       "source",
                                       NULL};
    d->memory_bytes = 1e15;
    return json_check_keys(o, keys, err) ||
           json_read_number(o, "memory_bytes", false, 1, 1e18, &d->memory_bytes, err) ||
           json_read_number(o, "base_ns", false, 0, 1e12, &d->base_ns, err) ||
           json_read_number(o, "ns_per_prefill_token", false, 0, 1e9, &d->ns_per_prefill_token, err) ||
           json_read_number(o, "ns_per_prefill_token_squared", false, 0, 1e9, &d->ns_per_prefill_token_squared, err) ||
           json_read_number(o, "decode_base_ns", false, -1e12, 1e12, &d->decodes.base_ns, err) ||
           json_read_number(o, "ns_per_decode_sequence", false, 0, 1e9, &d->decodes.ns_per_decode_sequence, err) ||
           json_read_number(o, "ns_per_kv_token", false, 0, 1e9, &d->decodes.ns_per_kv_token, err) ||
           read_many_decodes(o, d, err);
}

static int read_device(const struct json *root, struct device *d, struct error *err);

enum { BASES_MAX = 8 };

/* A shipped device or a path, or a device written out, which may have a base, too. */
static int read_base(const struct json *at, struct device *d, struct error *err)
{
    static _Thread_local int above; /* bases that are being read */
    if (above == BASES_MAX)
        return json_complain(at, "at most 8 bases in a row, none of which leads back to itself", err);
    above++;
    int status = cJSON_IsString(at->node)   ? device_load(at->node->valuestring, d, err)
                 : cJSON_IsObject(at->node) ? read_device(at, d, err)
                                            : json_complain(at, "a device's name or path, or a device", err);
    above--;
    return status;
}

static void reverse(struct cost_table *tables, size_t first, size_t end)
{
    for (; first + 1 < end; first++, end--) {
        struct cost_table kept = tables[first];
        tables[first] = tables[end - 1];
        tables[end - 1] = kept;
    }
}

/* A profile's own tables, from `own` on, go before its base's: the first one with a shape is used. */
static void put_first(struct cost_table *tables, size_t own, size_t count)
{
    reverse(tables, 0, own);
    reverse(tables, own, count);
    reverse(tables, 0, count);
}

static int read_tables(const struct json *o, struct device *d, struct error *err)
{
    static const char *const keys[] = {"name",
                                       "kind",
                                       "system",
                                       "base",
                                       "model",
                                       "tensor_parallel",
                                       "source",
                                       "tables",
                                       "host_ns",
                                       "host_ns_per_sequence",
                                       "eager_layer_ns",
                                       "cold_decode_ns",
                                       NULL};
    const char *model = "", *source = "measured tables, source not stated";
    long long tp = 1;
    if (json_check_keys(o, keys, err) || json_read_string(o, "model", false, &model, err) ||
        json_read_string(o, "source", false, &source, err) ||
        json_read_integer(o, "tensor_parallel", false, 1, 64, &tp, err))
        return -1;
    char name[sizeof d->name];
    snprintf(name, sizeof name, "%s", d->name);
    struct json at = json_member(o, "base");
    if (read_base(&at, d, err))
        return -1;
    if (d->kind == DEVICE_LINEAR || d->model[0])
        return json_complain(&at, "a roofline device, or a profile whose tables all have shapes", err);
    size_t of_base = d->table_count;
    d->kind = DEVICE_TABLES;
    d->tensor_parallel = (uint32_t)tp;
    d->host_ns = d->host_ns_per_sequence = d->eager_layer_ns = d->cold_decode_ns = 0;
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->model, sizeof d->model, "%s", model);
    snprintf(d->source, sizeof d->source, "%s", source);
    struct json tables = json_member(o, "tables");
    if (!cJSON_IsArray(tables.node))
        return json_complain(&tables, "a list of tables", err);
    if (json_read_number(o, "host_ns", false, 0, 1e12, &d->host_ns, err) ||
        json_read_number(o, "host_ns_per_sequence", false, 0, 1e12, &d->host_ns_per_sequence, err) ||
        json_read_number(o, "eager_layer_ns", false, 0, 1e9, &d->eager_layer_ns, err) ||
        json_read_number(o, "cold_decode_ns", false, 0, 1e9, &d->cold_decode_ns, err))
        return -1;
    for (struct json table = json_first(&tables); table.node; table = json_next(&table)) {
        struct cost_table *grown = array_grow(d->tables, &d->table_capacity, d->table_count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        d->tables = grown;
        struct cost_table *t = &d->tables[d->table_count++];
        *t = (struct cost_table){0};
        if (table_read(&table, t, err))
            return -1;
        if (!t->shape.any && !d->model[0])
            return json_complain(&table, "a table with a \"shape\", since the profile names no \"model\"", err);
    }
    put_first(d->tables, of_base, d->table_count);
    return 0;
}

static int read_kind(const struct json *root, struct device *d, struct error *err)
{
    const char *name = NULL, *kind = "roofline";
    struct json at = json_member(root, "kind");
    if (!cJSON_IsObject(root->node))
        return json_complain(root, "an object that describes a device", err);
    if (json_read_string(root, "name", true, &name, err) || json_read_string(root, "kind", false, &kind, err))
        return -1;
    snprintf(d->name, sizeof d->name, "%s", name);
    if (strcmp(kind, "tables") == 0)
        return read_tables(root, d, err);
    const char *source = NULL;
    if (json_read_string(root, "source", false, &source, err))
        return -1;
    snprintf(d->source, sizeof d->source, "%s", source ? source : "");
    if (strcmp(kind, "roofline") == 0) {
        d->kind = DEVICE_ROOFLINE;
        return read_roofline(root, d, err);
    }
    if (strcmp(kind, "linear") == 0) {
        d->kind = DEVICE_LINEAR;
        return read_linear(root, d, err);
    }
    return json_complain(&at, "one of roofline, tables, linear", err);
}

/* What a device says that it is of goes before what its base is of. */
static int read_device(const struct json *root, struct device *d, struct error *err)
{
    const char *system = NULL;
    if (read_kind(root, d, err) || json_read_string(root, "system", false, &system, err))
        return -1;
    if (system)
        snprintf(d->system, sizeof d->system, "%s", system);
    return 0;
}

static const struct shipped_file *shipped_device(const char *name)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, "device") == 0 && strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

/* A device that does not say how it is bought is bought as what it is a device of. */
static int take_purchase(struct device *d, const struct json *root, struct error *err)
{
    const struct shipped_file *of = shipped_device(d->system);
    struct json said;
    if (of && !purchase_is_said(root) && !purchase_is_known(&d->purchase)) {
        if (json_parse(of->text, of->name, &said, err))
            return -1;
        int status = purchase_read(&said, &d->purchase, err);
        cJSON_Delete((cJSON *)(uintptr_t)said.node);
        if (status)
            return -1;
    }
    if (d->price_per_hour == 0)
        d->price_per_hour = d->purchase.prices[PRICE_ON_DEMAND].per_h;
    return 0;
}

int device_take(const struct json *root, const char *name_or_path, struct device *out, struct error *err)
{
    /* Defaults of a roofline: what well-tuned kernels reach on data-centre GPUs; each device file may say better. */
    *out = (struct device){.gemm_efficiency = 0.75,
                           .attention_efficiency = 0.5,
                           .bandwidth_efficiency = 0.85,
                           .gemm_tile_rows = 16,
                           .roofline_corner = 2,
                           .launch_ns = 2000,
                           .host_ns = 500000,
                           .host_ns_per_sequence = 5000,
                           .link_bytes_per_s = 25e9,
                           .link_latency_ns = 10000,
                           .memory_utilization = 0.9,
                           .reserved_bytes = 2e9,
                           .tensor_parallel = 1};
    int status = read_device(root, out, err);
    bool shipped = !strchr(name_or_path, '/') && !strstr(name_or_path, ".json");
    if (!out->system[0])
        snprintf(out->system, sizeof out->system, "%s", shipped ? name_or_path : out->name);
    if (status == 0)
        status = take_purchase(out, root, err);
    if (status)
        device_release(out);
    return status;
}

int device_load(const char *name_or_path, struct device *out, struct error *err)
{
    struct json root;
    *out = (struct device){0};
    if (shipped_load("device", name_or_path, &root, err))
        return -1;
    int status = device_take(&root, name_or_path, out, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}
