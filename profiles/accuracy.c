/* SPDX-License-Identifier: MIT */
#include "profiles/accuracy.h"

#include <stdio.h>
#include <string.h>

#include "profiles/shipped.h"

/* h100-sxm-vllm-0.19 has constants of its own for GEMMs; a datasheet has not. */
static bool is_fitted(const struct device *d)
{
    return d->kind == DEVICE_TABLES || d->gemm_launch_ns > 0;
}

void accuracy_key_of(const struct device *device, const struct engine *engine, const struct model *model,
                     struct accuracy_key *out)
{
    *out = (struct accuracy_key){.fitted = is_fitted(device),
                                 .experts = model->moe.experts > 0,
                                 .weights = model->moe.experts > 0 ? model->moe.dtype : model->dtype};
    snprintf(out->system, sizeof out->system, "%s", device->system);
    snprintf(out->engine, sizeof out->engine, "%.*s", (int)strcspn(engine->name, "-"), engine->name);
}

/* What a row says of the points it is of; NULL: of all. */
struct row_key {
    const char *system, *engine, *models, *weights, *device;
};

static int read_key(const struct json *row, struct row_key *k, struct error *err)
{
    return json_read_string(row, "system", false, &k->system, err) ||
                   json_read_string(row, "engine", false, &k->engine, err) ||
                   json_read_string(row, "models", false, &k->models, err) ||
                   json_read_string(row, "weights", false, &k->weights, err) ||
                   json_read_string(row, "device", false, &k->device, err)
               ? -1
               : 0;
}

static bool agrees(const char *said, const char *is)
{
    return !said || strcmp(said, is) == 0;
}

static bool fits(const struct row_key *r, const struct accuracy_key *k)
{
    return agrees(r->system, k->system) && agrees(r->engine, k->engine) &&
           agrees(r->models, k->experts ? "experts" : "dense") && agrees(r->weights, dtype_names[k->weights]) &&
           agrees(r->device, k->fitted ? "fitted" : "datasheet");
}

static int read_error(const struct json *row, const char *name, struct log_error *out, struct error *err)
{
    static const char *const keys[] = {"bias", "spread", NULL};
    struct json at = json_member(row, name);
    if (!cJSON_IsObject(at.node))
        return json_complain(&at, "an object with \"bias\" and \"spread\"", err);
    return json_check_keys(&at, keys, err) || json_read_number(&at, "bias", true, -10, 10, &out->bias, err) ||
                   json_read_number(&at, "spread", true, 0, 10, &out->spread, err)
               ? -1
               : 0;
}

static void describe(const struct row_key *r, char *out, size_t size)
{
    const char *const parts[] = {r->system, r->engine, r->models, r->weights,
                                 r->device && strcmp(r->device, "datasheet") == 0 ? "datasheet alone" : NULL};
    snprintf(out, size, "all");
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i] && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", parts[i]);
}

static int read_row(const struct json *row, const struct row_key *key, struct accuracy *out, struct error *err)
{
    static const char *const keys[] = {"system", "engine",  "models", "weights", "device",
                                       "points", "servers", "tpot",   "ttft",    NULL};
    double points = 0, servers = 0;
    *out = (struct accuracy){0};
    if (json_check_keys(row, keys, err) || json_read_number(row, "points", true, 0, 1e6, &points, err) ||
        json_read_number(row, "servers", true, 0, 1e6, &servers, err) || read_error(row, "tpot", &out->tpot, err) ||
        read_error(row, "ttft", &out->ttft, err))
        return -1;
    out->points = (unsigned)points;
    out->servers = (unsigned)servers;
    describe(key, out->of, sizeof out->of);
    return 0;
}

int accuracy_find_in(const struct json *file, const struct accuracy_key *key, struct accuracy *out, struct error *err)
{
    struct json rows = json_member(file, "rows");
    int count = cJSON_IsArray(rows.node) ? cJSON_GetArraySize(rows.node) : 0;
    for (int i = 0; i < count; i++) {
        struct json row = json_element(&rows, i);
        struct row_key said = {0};
        if (read_key(&row, &said, err))
            return -1;
        if (fits(&said, key))
            return read_row(&row, &said, out, err);
    }
    return json_complain(&rows, "a list of rows, of which the last one fits everything", err);
}

int accuracy_find(const struct accuracy_key *key, struct accuracy *out, struct error *err)
{
    struct json root;
    if (shipped_load("accuracy", "points", &root, err))
        return -1;
    int status = accuracy_find_in(&root, key, out, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}
