/* SPDX-License-Identifier: MIT */
#include "profiles/model.h"

#include <stdio.h>

#include "profiles/shipped.h"

static int read_u32(const struct json *o, const char *key, long long max, uint32_t *out, struct error *err)
{
    long long value = 0;
    if (json_read_integer(o, key, true, 1, max, &value, err))
        return -1;
    *out = (uint32_t)value;
    return 0;
}

static int read_model(const struct json *o, struct model *m, struct error *err)
{
    static const char *const keys[] = {
        "name",  "layers",     "hidden",    "intermediate", "heads",  "kv_heads",         "head_dim",
        "vocab", "max_tokens", "gated_mlp", "tied_head",    "source", "bytes_per_weight", "bytes_per_kv",
        "dtype", NULL};
    const char *name = NULL;
    if (json_check_keys(o, keys, err) || json_read_string(o, "name", true, &name, err) ||
        read_u32(o, "layers", 1000, &m->layers, err) || read_u32(o, "hidden", 1000000, &m->hidden, err) ||
        read_u32(o, "intermediate", 10000000, &m->intermediate, err) || read_u32(o, "heads", 10000, &m->heads, err) ||
        read_u32(o, "kv_heads", 10000, &m->kv_heads, err) || read_u32(o, "head_dim", 10000, &m->head_dim, err) ||
        read_u32(o, "vocab", 10000000, &m->vocab, err) || read_u32(o, "max_tokens", 100000000, &m->max_tokens, err) ||
        read_u32(o, "bytes_per_weight", 8, &m->bytes_per_weight, err) ||
        read_u32(o, "bytes_per_kv", 8, &m->bytes_per_kv, err) || json_read_bool(o, "gated_mlp", &m->gated_mlp, err) ||
        json_read_bool(o, "tied_head", &m->tied_head, err))
        return -1;
    m->dtype = m->bytes_per_weight == 1 ? DTYPE_FP8 : m->bytes_per_weight == 4 ? DTYPE_FP32 : DTYPE_BF16;
    if (dtype_read(o, "dtype", &m->dtype, err))
        return -1;
    snprintf(m->name, sizeof m->name, "%s", name);
    struct json heads = json_member(o, "kv_heads");
    if (m->heads % m->kv_heads != 0)
        return json_complain(&heads, "a divisor of \"heads\"", err);
    return 0;
}

int model_load(const char *name_or_path, struct model *out, struct error *err)
{
    struct json root;
    *out = (struct model){0};
    if (shipped_load("model", name_or_path, &root, err))
        return -1;
    int status = read_model(&root, out, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

double model_parameters(const struct model *m)
{
    double hidden = m->hidden, head_dim = m->head_dim;
    double attention = hidden * head_dim * (2.0 * m->heads + 2.0 * m->kv_heads);
    double mlp = hidden * m->intermediate * (m->gated_mlp ? 3 : 2);
    return m->layers * (attention + mlp) + hidden * m->vocab * (m->tied_head ? 1 : 2);
}

double model_kv_bytes_per_token(const struct model *m)
{
    return 2.0 * m->layers * m->kv_heads * m->head_dim * m->bytes_per_kv;
}
