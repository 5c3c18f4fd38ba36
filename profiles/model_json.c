/* SPDX-License-Identifier: MIT */
#include "profiles/model.h"

static bool add(cJSON *object, const char *key, double value)
{
    return cJSON_AddNumberToObject(object, key, value) != NULL;
}

static bool add_latent(cJSON *object, const struct latent_attention *l)
{
    cJSON *at = l->kv_rank ? cJSON_AddObjectToObject(object, "latent") : NULL;
    if (!at)
        return l->kv_rank == 0;
    return add(at, "kv_rank", l->kv_rank) && (l->q_rank == 0 || add(at, "q_rank", l->q_rank)) &&
           add(at, "rope_dim", l->rope_dim) && add(at, "value_dim", l->value_dim);
}

static bool add_experts(cJSON *object, const struct expert_layers *e)
{
    cJSON *at = e->experts ? cJSON_AddObjectToObject(object, "moe") : NULL;
    if (!at)
        return e->experts == 0;
    return add(at, "experts", e->experts) && add(at, "top_k", e->top_k) && add(at, "intermediate", e->intermediate) &&
           (e->shared_intermediate == 0 || add(at, "shared_intermediate", e->shared_intermediate)) &&
           (e->dense_layers == 0 || add(at, "dense_layers", e->dense_layers)) &&
           add(at, "bytes_per_weight", e->bytes_per_weight) &&
           cJSON_AddStringToObject(at, "dtype", dtype_names[e->dtype]);
}

static bool add_state(cJSON *object, const struct state_layers *s)
{
    cJSON *at = s->layers ? cJSON_AddObjectToObject(object, "state") : NULL;
    if (!at)
        return s->layers == 0;
    return add(at, "layers", s->layers) && add(at, "in_width", s->in_width) && add(at, "out_width", s->out_width) &&
           add(at, "values", s->values) && add(at, "bytes_per_value", s->bytes_per_value);
}

static bool add_sizes(cJSON *o, const struct model *m)
{
    return add(o, "layers", m->layers) &&
           (m->attention_layers == m->layers || add(o, "attention_layers", m->attention_layers)) &&
           (m->mlp_layers == m->layers || add(o, "mlp_layers", m->mlp_layers)) && add(o, "hidden", m->hidden) &&
           add(o, "intermediate", m->intermediate) && add(o, "heads", m->heads) && add(o, "kv_heads", m->kv_heads) &&
           add(o, "head_dim", m->head_dim) && add(o, "vocab", m->vocab) && add(o, "max_tokens", m->max_tokens) &&
           cJSON_AddBoolToObject(o, "gated_mlp", m->gated_mlp) && cJSON_AddBoolToObject(o, "tied_head", m->tied_head) &&
           (!m->qk_norm || cJSON_AddTrueToObject(o, "qk_norm")) &&
           (!m->gated_attention || cJSON_AddTrueToObject(o, "gated_attention")) &&
           (m->windowed_layers == 0 || (add(o, "window", m->window) && add(o, "windowed_layers", m->windowed_layers)));
}

cJSON *model_json(const struct model *m, const char *source)
{
    cJSON *o = cJSON_CreateObject();
    if (o && cJSON_AddStringToObject(o, "name", m->name) && cJSON_AddStringToObject(o, "source", source) &&
        (!m->left_out[0] || cJSON_AddStringToObject(o, "left_out", m->left_out)) && add_sizes(o, m) &&
        add(o, "bytes_per_weight", m->bytes_per_weight) &&
        (m->bytes_per_embedding == m->bytes_per_weight || add(o, "bytes_per_embedding", m->bytes_per_embedding)) &&
        add(o, "bytes_per_kv", m->bytes_per_kv) && cJSON_AddStringToObject(o, "dtype", dtype_names[m->dtype]) &&
        add_latent(o, &m->latent) && add_experts(o, &m->moe) && add_state(o, &m->state))
        return o;
    cJSON_Delete(o);
    return NULL;
}
