/* SPDX-License-Identifier: MIT */
#include "profiles/model.h"

#include <stdio.h>

static int read_u32(const struct json *o, const char *key, bool required, long long max, uint32_t *out,
                    struct error *err)
{
    long long value = *out;
    if (json_read_integer(o, key, required, required ? 1 : 0, max, &value, err))
        return -1;
    *out = (uint32_t)value;
    return 0;
}

static int read_latent(const struct json *o, struct latent_attention *l, struct error *err)
{
    static const char *const keys[] = {"kv_rank", "q_rank", "rope_dim", "value_dim", NULL};
    if (!o->node)
        return 0;
    return json_check_keys(o, keys, err) || read_u32(o, "kv_rank", true, 100000, &l->kv_rank, err) ||
           read_u32(o, "q_rank", false, 100000, &l->q_rank, err) ||
           read_u32(o, "rope_dim", true, 100000, &l->rope_dim, err) ||
           read_u32(o, "value_dim", true, 100000, &l->value_dim, err);
}

static int read_experts(const struct json *o, struct model *m, struct error *err)
{
    static const char *const keys[] = {"experts",      "top_k",
                                       "intermediate", "shared_intermediate",
                                       "dense_layers", "bytes_per_weight",
                                       "dtype",        NULL};
    struct expert_layers *e = &m->moe;
    e->bytes_per_weight = m->bytes_per_weight;
    e->dtype = m->dtype;
    if (!o->node)
        return 0;
    if (json_check_keys(o, keys, err) || read_u32(o, "experts", true, 100000, &e->experts, err) ||
        read_u32(o, "top_k", true, e->experts, &e->top_k, err) ||
        read_u32(o, "intermediate", true, 10000000, &e->intermediate, err) ||
        read_u32(o, "shared_intermediate", false, 10000000, &e->shared_intermediate, err) ||
        read_u32(o, "dense_layers", false, m->layers, &e->dense_layers, err) ||
        json_read_number(o, "bytes_per_weight", false, 0.1, 8, &e->bytes_per_weight, err) ||
        dtype_read(o, "dtype", &e->dtype, err))
        return -1;
    return 0;
}

static int read_state(const struct json *o, struct state_layers *s, struct error *err)
{
    static const char *const keys[] = {"layers", "in_width", "out_width", "values", "bytes_per_value", NULL};
    if (!o->node)
        return 0;
    return json_check_keys(o, keys, err) || read_u32(o, "layers", true, 1000, &s->layers, err) ||
           read_u32(o, "in_width", true, 10000000, &s->in_width, err) ||
           read_u32(o, "out_width", true, 10000000, &s->out_width, err) ||
           read_u32(o, "values", true, 1000000000, &s->values, err) ||
           json_read_number(o, "bytes_per_value", true, 0.1, 8, &s->bytes_per_value, err);
}

/* Layers of each kind, where not every layer has attention and an MLP. */
static int read_kinds_of_layers(const struct json *o, struct model *m, struct error *err)
{
    struct json state = json_member(o, "state");
    m->attention_layers = m->mlp_layers = m->layers;
    return read_u32(o, "attention_layers", false, m->layers, &m->attention_layers, err) ||
           read_u32(o, "mlp_layers", false, m->layers, &m->mlp_layers, err) || read_state(&state, &m->state, err);
}

/* What the parts say of one another. */
static int check_model(const struct json *o, const struct model *m, struct error *err)
{
    struct json heads = json_member(o, "kv_heads"), window = json_member(o, "window");
    struct json attention = json_member(o, "attention_layers"), windowed = json_member(o, "windowed_layers");
    struct json moe = json_member(o, "moe"), dense = json_member(&moe, "dense_layers");
    if (m->heads % m->kv_heads != 0)
        return json_complain(&heads, "a divisor of \"heads\"", err);
    if ((m->window > 0) != (m->windowed_layers > 0))
        return json_complain(&window, "a window where \"windowed_layers\" is above 0, and none elsewhere", err);
    if (m->attention_layers == 0)
        return json_complain(&attention, "at least one layer with attention", err);
    if (m->windowed_layers > m->attention_layers)
        return json_complain(&windowed, "at most \"attention_layers\"", err);
    return m->moe.dense_layers > m->mlp_layers ? json_complain(&dense, "at most \"mlp_layers\"", err) : 0;
}

int model_read(const struct json *o, struct model *m, struct error *err)
{
    static const char *const keys[] = {"name",
                                       "layers",
                                       "hidden",
                                       "intermediate",
                                       "heads",
                                       "kv_heads",
                                       "head_dim",
                                       "vocab",
                                       "max_tokens",
                                       "gated_mlp",
                                       "tied_head",
                                       "source",
                                       "dtype",
                                       "qk_norm",
                                       "latent",
                                       "bytes_per_weight",
                                       "bytes_per_kv",
                                       "moe",
                                       "window",
                                       "windowed_layers",
                                       "gated_attention",
                                       "state",
                                       "attention_layers",
                                       "mlp_layers",
                                       "left_out",
                                       "bytes_per_embedding",
                                       NULL};
    const char *name = NULL, *left_out = "";
    if (json_check_keys(o, keys, err) || json_read_string(o, "name", true, &name, err) ||
        read_u32(o, "layers", true, 1000, &m->layers, err) || read_u32(o, "hidden", true, 1000000, &m->hidden, err) ||
        read_u32(o, "intermediate", true, 10000000, &m->intermediate, err) ||
        read_u32(o, "heads", true, 10000, &m->heads, err) || read_u32(o, "kv_heads", true, 10000, &m->kv_heads, err) ||
        read_u32(o, "head_dim", true, 10000, &m->head_dim, err) ||
        read_u32(o, "vocab", true, 10000000, &m->vocab, err) ||
        read_u32(o, "max_tokens", true, 100000000, &m->max_tokens, err) ||
        json_read_number(o, "bytes_per_weight", true, 0.1, 8, &m->bytes_per_weight, err) ||
        json_read_number(o, "bytes_per_kv", true, 0.1, 8, &m->bytes_per_kv, err) ||
        json_read_bool(o, "gated_mlp", &m->gated_mlp, err) || json_read_bool(o, "tied_head", &m->tied_head, err) ||
        json_read_bool(o, "qk_norm", &m->qk_norm, err) ||
        json_read_bool(o, "gated_attention", &m->gated_attention, err) ||
        json_read_string(o, "left_out", false, &left_out, err) || read_kinds_of_layers(o, m, err) ||
        read_u32(o, "window", false, 100000000, &m->window, err) ||
        read_u32(o, "windowed_layers", false, m->layers, &m->windowed_layers, err))
        return -1;
    m->dtype = m->bytes_per_weight == 1 ? DTYPE_FP8 : m->bytes_per_weight == 4 ? DTYPE_FP32 : DTYPE_BF16;
    m->bytes_per_embedding = m->bytes_per_weight;
    if (json_read_number(o, "bytes_per_embedding", false, 0.1, 8, &m->bytes_per_embedding, err))
        return -1;
    struct json latent = json_member(o, "latent"), moe = json_member(o, "moe");
    if (dtype_read(o, "dtype", &m->dtype, err) || read_latent(&latent, &m->latent, err) || read_experts(&moe, m, err))
        return -1;
    snprintf(m->name, sizeof m->name, "%s", name);
    snprintf(m->left_out, sizeof m->left_out, "%s", left_out);
    return check_model(o, m, err);
}

/* Of one layer: query, key, value and output projections; with latent attention down and up. */
static double attention_parameters(const struct model *m)
{
    double hidden = m->hidden, head_dim = m->head_dim, heads = m->heads;
    const struct latent_attention *l = &m->latent;
    if (l->kv_rank == 0)
        return hidden * head_dim * ((m->gated_attention ? 3.0 : 2.0) * m->heads + 2.0 * m->kv_heads);
    double query_dim = head_dim + l->rope_dim, rank = l->q_rank;
    double queries = rank > 0 ? hidden * rank + rank * heads * query_dim : hidden * heads * query_dim;
    return queries + hidden * ((double)l->kv_rank + l->rope_dim) + l->kv_rank * heads * (head_dim + l->value_dim) +
           heads * l->value_dim * hidden;
}

double model_expert_parameters(const struct model *m)
{
    const struct expert_layers *e = &m->moe;
    double layers = m->mlp_layers - (double)e->dense_layers;
    return e->experts ? layers * e->experts * (double)m->hidden * e->intermediate * (m->gated_mlp ? 3 : 2) : 0;
}

double model_embedding_parameters(const struct model *m)
{
    return (double)m->hidden * m->vocab * (m->tied_head ? 1 : 2);
}

double model_parameters(const struct model *m)
{
    const struct expert_layers *e = &m->moe;
    double hidden = m->hidden, matrices = m->gated_mlp ? 3 : 2;
    double mlp = hidden * m->intermediate * matrices;
    double head = model_embedding_parameters(m);
    double mixers = m->attention_layers * attention_parameters(m) +
                    m->state.layers * hidden * ((double)m->state.in_width + m->state.out_width);
    if (e->experts == 0)
        return mixers + m->mlp_layers * mlp + head;
    double sparse = m->mlp_layers - (double)e->dense_layers;
    return mixers + e->dense_layers * mlp + sparse * hidden * (e->experts + matrices * e->shared_intermediate) +
           model_expert_parameters(m) + head;
}

double model_weight_bytes(const struct model *m)
{
    double experts = model_expert_parameters(m), tables = model_embedding_parameters(m);
    return (model_parameters(m) - experts - tables) * m->bytes_per_weight + tables * m->bytes_per_embedding +
           experts * m->moe.bytes_per_weight;
}

double model_kv_bytes_per_token(const struct model *m)
{
    if (m->latent.kv_rank)
        return (double)m->attention_layers * (m->latent.kv_rank + (double)m->latent.rope_dim) * m->bytes_per_kv;
    return 2.0 * m->attention_layers * m->kv_heads * m->head_dim * m->bytes_per_kv;
}

struct kv_groups model_kv_groups(const struct model *m, uint32_t *layers)
{
    uint32_t windowed = m->uniform_kv ? 0 : m->windowed_layers, full = m->attention_layers - windowed;
    uint32_t least = full < windowed ? full : windowed, most = full < windowed ? windowed : full;
    *layers = least == 0 || 2 * most < 3 * least ? most : least;
    return (struct kv_groups){.full = (full + *layers - 1) / *layers,
                              .windowed = (windowed + *layers - 1) / *layers,
                              .window = windowed > 0 ? m->window : 0};
}

void model_quantise(struct model *m, enum dtype dtype)
{
    double bytes = dtype_bytes(dtype);
    if (bytes < m->bytes_per_weight || !m->moe.experts) {
        m->dtype = dtype;
        m->bytes_per_weight = bytes;
    }
    if (bytes < m->moe.bytes_per_weight) {
        m->moe.dtype = dtype;
        m->moe.bytes_per_weight = bytes;
    }
}

int model_quantise_experts(struct model *m, enum dtype dtype, struct error *err)
{
    if (!m->moe.experts)
        return error_set(err, ERROR_INPUT, "engine.expert_dtype: %s has no experts", m->name);
    m->moe.dtype = dtype;
    m->moe.bytes_per_weight = dtype_bytes(dtype);
    return 0;
}
