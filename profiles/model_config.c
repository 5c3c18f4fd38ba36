/* SPDX-License-Identifier: MIT */
#include "profiles/model_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "profiles/model_config_parts.h"

bool model_is_config(const struct json *root)
{
    return cJSON_IsObject(root->node) &&
           (cJSON_HasObjectItem(root->node, "model_type") || cJSON_HasObjectItem(root->node, "architectures"));
}

static struct json find_in(const struct json *object, const char *names)
{
    struct json found = {0};
    for (const char *at = names; *at && !found.node;) {
        char name[64];
        size_t length = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        found = json_member(object, name);
        if (cJSON_IsNull(found.node))
            found.node = NULL;
        at += length + (at[length] == ' ');
    }
    return found;
}

struct json config_find(const struct model_config *c, const char *names)
{
    return find_in(&c->at, names);
}

int config_count(const struct model_config *c, const char *names, bool required, long long least, long long most,
                 uint32_t *out, struct error *err)
{
    struct json found = find_in(&c->at, names);
    char expected[100];
    if (!found.node && required)
        return error_set(err, ERROR_INPUT, "%s: expected %s%s of a model_type \"%s\", found none", c->at.file,
                         strchr(names, ' ') ? "one of " : "", names, PRINTABLE(c->type));
    if (!found.node)
        return 0;
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", least, most);
    double value = found.node->valuedouble;
    if (!cJSON_IsNumber(found.node) || !(value >= (double)least && value <= (double)most) ||
        value != (double)(uint32_t)value)
        return json_complain(&found, expected, err);
    *out = (uint32_t)value;
    return 0;
}

bool config_says(const struct model_config *c, const char *names)
{
    return cJSON_IsTrue(find_in(&c->at, names).node);
}

void config_leave_out(struct model_config *c, const char *format, ...)
{
    char *text = c->out->left_out;
    size_t used = strlen(text), room = sizeof c->out->left_out - used;
    va_list arguments;
    if (used > 0 && room > 2) {
        used += (size_t)snprintf(text + used, room, "; ");
        room = sizeof c->out->left_out - used;
    }
    va_start(arguments, format);
    vsnprintf(text + used, room, format, arguments);
    va_end(arguments);
}

/* A model that sees and hears has its decoder in a part of the document. */
static int find_decoder(const struct json *document, struct model_config *c, struct error *err)
{
    struct json part = find_in(document, "text_config llm_config language_config thinker_config"), inner;
    const char *type = "";
    c->at = *document;
    if (cJSON_IsObject(part.node)) {
        inner = find_in(&part, "text_config");
        c->at = cJSON_IsObject(inner.node) ? inner : part;
    }
    struct json named = json_member(cJSON_HasObjectItem(c->at.node, "model_type") ? &c->at : document, "model_type");
    if (named.node && !cJSON_IsString(named.node))
        return json_complain(&named, "text", err);
    type = named.node ? named.node->valuestring : "";
    c->type = type;
    c->family = model_family_of(type);
    if (c->at.node != document->node)
        config_leave_out(c, "everything but the text decoder (vision, audio)");
    if (!c->family)
        config_leave_out(c, "whatever a model_type \"%.40s\", which Tandem does not know, has beyond its keys",
                         PRINTABLE(type));
    return 0;
}

/* Keys that the family has a usual value for are put into the document, where it leaves them out. */
static int add_usual(struct model_config *c, struct error *err)
{
    if (!c->family || !c->family->usual)
        return 0;
    cJSON *usual = cJSON_Parse(c->family->usual), *object = (cJSON *)(uintptr_t)c->at.node;
    while (usual && usual->child) {
        cJSON *item = cJSON_DetachItemViaPointer(usual, usual->child);
        if (cJSON_HasObjectItem(object, item->string))
            cJSON_Delete(item);
        else
            cJSON_AddItemToObject(object, item->string, item);
    }
    cJSON_Delete(usual);
    return usual ? 0 : error_no_memory(err);
}

static int read_latent(struct model_config *c, struct error *err)
{
    struct latent_attention *l = &c->out->latent;
    if (config_count(c, "kv_lora_rank", false, 1, 100000, &l->kv_rank, err) || l->kv_rank == 0)
        return l->kv_rank ? -1 : 0;
    c->out->kv_heads = c->out->heads;
    return config_count(c, "q_lora_rank", false, 1, 100000, &l->q_rank, err) ||
           config_count(c, "qk_rope_head_dim", true, 1, 10000, &l->rope_dim, err) ||
           config_count(c, "v_head_dim", true, 1, 10000, &l->value_dim, err) ||
           config_count(c, "qk_nope_head_dim", true, 1, 10000, &c->out->head_dim, err);
}

static int read_attention(struct model_config *c, struct error *err)
{
    struct model *m = c->out;
    struct json falcon = config_find(c, "multi_query");
    if (config_count(c, "num_attention_heads n_head n_heads", true, 1, 10000, &m->heads, err))
        return -1;
    m->kv_heads = cJSON_IsTrue(falcon.node) && !config_says(c, "new_decoder_architecture") ? 1 : m->heads;
    const char *kv_heads = cJSON_IsFalse(config_find(c, "multi_query_attention").node)
                               ? "num_key_value_heads"
                               : "num_key_value_heads multi_query_group_num num_kv_heads n_head_kv";
    bool one = m->kv_heads == 1; /* Falcon-7B writes num_kv_heads 71, and has one (modeling_falcon.py) */
    if (!one && config_count(c, kv_heads, false, 1, 10000, &m->kv_heads, err))
        return -1;
    m->head_dim = m->hidden / m->heads;
    if (config_count(c, "head_dim kv_channels attention_head_dim", false, 1, 10000, &m->head_dim, err) ||
        read_latent(c, err))
        return -1;
    if (m->head_dim == 0)
        return error_set(err, ERROR_INPUT, "%s: found %u attention heads, expected at most the hidden size, %u",
                         c->at.file, m->heads, m->hidden);
    if (m->heads % m->kv_heads != 0)
        return error_set(err, ERROR_INPUT, "%s: found %u KV heads, expected a divisor of the %u attention heads",
                         c->at.file, m->kv_heads, m->heads);
    struct json qk_norm = config_find(c, "use_qk_norm qk_layernorm"), gate = config_find(c, "attn_output_gate");
    m->qk_norm = cJSON_IsBool(qk_norm.node) ? cJSON_IsTrue(qk_norm.node) : c->family && c->family->qk_norm;
    m->gated_attention = cJSON_IsBool(gate.node) ? cJSON_IsTrue(gate.node) : c->family && c->family->gated_attention;
    return 0;
}

static int read_sizes(struct model_config *c, const struct json *document, struct error *err)
{
    struct model *m = c->out;
    struct json tied = config_find(c, "tie_word_embeddings");
    if (!tied.node)
        tied = find_in(document, "tie_word_embeddings");
    m->tied_head = cJSON_IsBool(tied.node) ? cJSON_IsTrue(tied.node) : c->family && c->family->tied;
    m->gated_mlp = !c->family || !c->family->plain_mlp;
    if (config_count(c, "hidden_size n_embd d_model", true, 1, 1000000, &m->hidden, err) ||
        config_count(c, "num_hidden_layers n_layer num_layers n_layers", true, 1, 1000, &m->layers, err) ||
        config_count(c, "padded_vocab_size vocab_size", true, 1, 10000000, &m->vocab, err))
        return -1;
    m->max_tokens = 2048;
    m->intermediate = 4 * m->hidden;
    return config_count(c, "max_position_embeddings seq_length n_positions model_max_length", false, 1, 100000000,
                        &m->max_tokens, err) ||
           config_count(c, "ffn_hidden_size ffn_dim intermediate_size_mlp intermediate_size n_inner", false, 1,
                        10000000, &m->intermediate, err);
}

/* What is named, but changes no size that is read here. */
static void name_what_is_left_out(struct model_config *c)
{
    uint32_t count = 0;
    struct error ignored = {0};
    if (config_count(c, "index_topk", false, 1, 1000000, &count, &ignored) == 0 && count)
        config_leave_out(c, "sparse attention (an indexer picks %u tokens): every token is read instead", count);
    count = 0;
    if (config_count(c, "num_nextn_predict_layers mtp_num_hidden_layers num_mtp_modules", false, 0, 100, &count,
                     &ignored) == 0 &&
        count)
        config_leave_out(c, "layers that predict several tokens (the technique speculation stands for them)");
    count = 0;
    if (config_count(c, "hidden_size_per_layer_input", false, 0, 100000, &count, &ignored) == 0 && count)
        config_leave_out(c, "embeddings of single layers");
    count = 0;
    if (config_count(c, "moe_latent_size", false, 0, 100000, &count, &ignored) == 0 && count)
        config_leave_out(c, "the narrower space that experts work in: they are taken as wide as the model");
    if (config_find(c, "attention_chunk_size").node)
        config_leave_out(c, "attention in chunks: a window of a chunk's tokens is taken");
}

int model_read_config(const struct json *config, const struct json *quantised, struct model *out, struct error *err)
{
    struct model_config c = {.out = out};
    *out = (struct model){.bytes_per_kv = 2, .bytes_per_embedding = 2};
    if (find_decoder(config, &c, err) || add_usual(&c, err) || read_sizes(&c, config, err) || read_attention(&c, err) ||
        config_read_layers(&c, err) || config_read_experts(&c, err) || config_read_formats(&c, config, quantised, err))
        return -1;
    name_what_is_left_out(&c);
    return 0;
}
