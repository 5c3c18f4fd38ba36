/* SPDX-License-Identifier: MIT */
/* Which layers of a config.json have attention, a window, a state and an MLP, and which of these are experts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "profiles/model_config_parts.h"

/* How many elements of a list of words are `word`; a word that is none of the known ones is complained of. */
static int count_words(const struct json *list, const char *word, const char *known, uint32_t *out, struct error *err)
{
    const cJSON *item;
    int index = 0;
    cJSON_ArrayForEach(item, list->node)
    {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        const char *found = *text ? strstr(known, text) : NULL;
        if (!found) {
            struct json at = json_element(list, index);
            return json_complain(&at, known, err);
        }
        *out += strcmp(text, word) == 0;
        index++;
    }
    return 0;
}

/* The projections of gated delta nets (Qwen3-Next, arXiv 2412.06464): queries, keys, values, a gate, and two numbers a
 * head; their state is a matrix a head and the last inputs of a convolution. */
static int read_delta_net(struct model_config *c, uint32_t layers, struct error *err)
{
    uint32_t keys = 0, values = 0, key_dim = 0, value_dim = 0, kernel = 4;
    if (config_count(c, "linear_num_key_heads", true, 1, 10000, &keys, err) ||
        config_count(c, "linear_num_value_heads", true, 1, 10000, &values, err) ||
        config_count(c, "linear_key_head_dim", true, 1, 1000, &key_dim, err) ||
        config_count(c, "linear_value_head_dim", true, 1, 1000, &value_dim, err) ||
        config_count(c, "linear_conv_kernel_dim", false, 1, 100, &kernel, err))
        return -1;
    uint32_t key_width = keys * key_dim, value_width = values * value_dim;
    c->out->state =
        (struct state_layers){.layers = layers,
                              .in_width = 2 * key_width + 2 * value_width + 2 * values,
                              .out_width = value_width,
                              .values = values * key_dim * value_dim + (2 * key_width + value_width) * (kernel - 1)};
    return 0;
}

/* Mamba-2 (arXiv 2405.21060): gate, inputs, two vectors a group and a step a head. */
static int read_mamba(struct model_config *c, uint32_t layers, struct error *err)
{
    uint32_t heads = 0, head_dim = 0, groups = 1, size = 0, kernel = 4;
    if (config_count(c, "mamba_num_heads", true, 1, 10000, &heads, err) ||
        config_count(c, "mamba_head_dim", true, 1, 1000, &head_dim, err) ||
        config_count(c, "n_groups mamba_n_groups", false, 1, 1000, &groups, err) ||
        config_count(c, "ssm_state_size mamba_d_state", true, 1, 1000, &size, err) ||
        config_count(c, "conv_kernel mamba_d_conv", false, 1, 100, &kernel, err))
        return -1;
    uint32_t inner = heads * head_dim, convolved = inner + 2 * groups * size;
    c->out->state = (struct state_layers){.layers = layers,
                                          .in_width = inner + convolved + heads,
                                          .out_width = inner,
                                          .values = inner * size + convolved * (kernel - 1)};
    return 0;
}

/* Lightning attention (MiniMax-01, arXiv 2501.08313): queries, keys, values and a gate as wide as all heads. */
static void set_lightning(struct model_config *c, uint32_t layers)
{
    const struct model *m = c->out;
    uint32_t width = m->heads * m->head_dim;
    c->out->state = (struct state_layers){.layers = layers,
                                          .in_width = 4 * width,
                                          .out_width = width,
                                          .values = width * m->head_dim};
}

/* Kimi delta attention (arXiv 2510.26692): two of its gates go through the width of one head. */
static int read_kimi_delta(struct model_config *c, const struct json *linear, uint32_t layers, struct error *err)
{
    struct model_config inner = *c;
    uint32_t heads = 0, dim = 0, kernel = 4;
    inner.at = *linear;
    if (config_count(&inner, "num_heads", true, 1, 10000, &heads, err) ||
        config_count(&inner, "head_dim", true, 1, 1000, &dim, err) ||
        config_count(&inner, "short_conv_kernel_size", false, 1, 100, &kernel, err))
        return -1;
    uint32_t width = heads * dim;
    double through = 2.0 * dim + 2.0 * dim * width / c->out->hidden;
    c->out->state = (struct state_layers){.layers = layers,
                                          .in_width = 3 * width + heads + (uint32_t)lround(through),
                                          .out_width = width,
                                          .values = width * dim + 3 * width * (kernel - 1)};
    return 0;
}

/* NVIDIA's search leaves attention or the MLP out of some layers, and the MLP's width differs: its mean is taken, which
 * keeps arithmetic and bytes. */
static int read_blocks(struct model_config *c, const struct json *blocks, struct error *err)
{
    struct model *m = c->out;
    double width = 0, groups = 0;
    m->attention_layers = m->mlp_layers = 0;
    for (int i = 0; i < cJSON_GetArraySize(blocks->node); i++) {
        struct json block = json_element(blocks, i), attention = json_member(&block, "attention"),
                    ffn = json_member(&block, "ffn"), group = json_member(&attention, "n_heads_in_group"),
                    multiple = json_member(&ffn, "ffn_mult"), own = json_member(&ffn, "intermediate_size");
        if (cJSON_IsTrue(json_member(&attention, "replace_with_linear").node) ||
            cJSON_IsTrue(json_member(&ffn, "replace_with_linear").node))
            return json_complain(&block, "attention and ffn that are whole, or no_op", err);
        if (cJSON_IsNumber(group.node)) {
            if (groups > 0 && groups != group.node->valuedouble)
                return json_complain(&group, "as many heads in a group as in the other layers", err);
            groups = group.node->valuedouble;
            m->attention_layers++;
        }
        if (cJSON_IsNumber(own.node) || cJSON_IsNumber(multiple.node)) {
            double wide = cJSON_IsNumber(own.node)
                              ? own.node->valuedouble
                              : ceil(floor(2 * multiple.node->valuedouble * m->hidden / 3) / 256) * 256;
            width += wide;
            m->mlp_layers++;
        }
    }
    if (m->attention_layers == 0 || m->mlp_layers == 0 || !(groups >= 1 && groups <= m->heads) ||
        !(width >= m->mlp_layers && width < 1e9) || fmod(m->heads, groups) != 0)
        return json_complain(blocks, "layers with attention (n_heads_in_group) and with an ffn (ffn_mult)", err);
    m->kv_heads = m->heads / (uint32_t)groups;
    m->intermediate = (uint32_t)lround(width / m->mlp_layers);
    config_leave_out(c, "that MLPs are not all of one width: the mean is taken");
    return 0;
}

/* "M*-E": Mamba, attention, MLP and experts, each a layer of its own. */
static int read_pattern(struct model_config *c, const struct json *pattern, struct error *err)
{
    struct model *m = c->out;
    uint32_t mamba = 0, dense = 0;
    const char *text = cJSON_IsString(pattern->node) ? pattern->node->valuestring : "?";
    m->attention_layers = m->mlp_layers = 0;
    for (const char *at = text; *at; at++) {
        if (!strchr("M*-E", *at))
            return json_complain(pattern, "the letters M, *, - and E", err);
        mamba += *at == 'M';
        m->attention_layers += *at == '*';
        m->mlp_layers += *at == '-' || *at == 'E';
        dense += *at == '-';
    }
    if (strlen(text) != m->layers || m->attention_layers == 0)
        return json_complain(pattern, "a letter for each layer, at least one of them *", err);
    m->moe.dense_layers = dense;
    return mamba ? read_mamba(c, mamba, err) : 0;
}

static int set_window(struct model_config *c, uint32_t layers, struct error *err)
{
    struct model *m = c->out;
    struct json use = config_find(c, "use_sliding_window");
    uint32_t window = 0, from = 0;
    if (cJSON_IsFalse(use.node) || (c->family && c->family->window_unused))
        return 0;
    if (config_count(c, "sliding_window attention_chunk_size", false, 0, 100000000, &window, err))
        return -1;
    if (window == 0 || window >= m->max_tokens || layers == 0)
        return 0;
    if (cJSON_IsTrue(use.node) && layers == m->layers) {
        if (config_count(c, "max_window_layers", false, 0, 1000, &from, err))
            return -1;
        layers -= from < layers ? from : layers;
    }
    m->windowed_layers = layers;
    m->window = layers ? window : 0;
    return 0;
}

/* A list says it of each layer; else every n-th layer sees everything. */
static uint32_t layers_with_window(const struct model_config *c, uint32_t layers)
{
    uint32_t pattern = 0;
    struct error ignored = {0};
    struct json full = config_find(c, "no_rope_layers");
    if (cJSON_GetArraySize(full.node) == (int)layers) {
        uint32_t chunked = 0;
        for (const cJSON *item = full.node->child; item; item = item->next)
            chunked += item->valuedouble != 0;
        return chunked;
    }
    if (full.node && config_find(c, "attention_chunk_size").node)
        pattern = 4;
    if (config_count(c, "sliding_window_pattern layer_pattern", false, 1, 1000, &pattern, &ignored))
        return layers;
    return pattern ? layers - layers / pattern : layers;
}

static int read_types(struct model_config *c, const struct json *types, struct error *err)
{
    static const char known[] = "full_attention, sliding_attention, chunked_attention, linear_attention or attention";
    struct model *m = c->out;
    uint32_t linear = 0, windowed = 0;
    if (cJSON_GetArraySize(types->node) != (int)m->layers)
        return json_complain(types, "a word for each layer", err);
    if (count_words(types, "linear_attention", known, &linear, err) ||
        count_words(types, "sliding_attention", known, &windowed, err) ||
        count_words(types, "chunked_attention", known, &windowed, err))
        return -1;
    m->attention_layers -= linear;
    if (linear && config_find(c, "linear_num_key_heads").node && read_delta_net(c, linear, err))
        return -1;
    if (linear && m->state.layers == 0)
        set_lightning(c, linear);
    return set_window(c, windowed, err);
}

/* MiniMax: 1 for attention, 0 for lightning attention. */
static int read_attention_types(struct model_config *c, const struct json *types, struct error *err)
{
    uint32_t lightning = 0;
    if (cJSON_GetArraySize(types->node) != (int)c->out->layers)
        return json_complain(types, "a number for each layer", err);
    for (const cJSON *item = types->node->child; item; item = item->next)
        lightning += item->valuedouble == 0;
    c->out->attention_layers -= lightning;
    if (lightning)
        set_lightning(c, lightning);
    return 0;
}

static int read_kinds(struct model_config *c, struct error *err)
{
    struct model *m = c->out;
    struct json pattern = config_find(c, "hybrid_override_pattern"), blocks = config_find(c, "block_configs"),
                types = config_find(c, "layer_types"), minimax = config_find(c, "attn_type_list"),
                kimi = config_find(c, "linear_attn_config"), kimi_layers = json_member(&kimi, "kda_layers");
    uint32_t interval = 0;
    if (pattern.node)
        return read_pattern(c, &pattern, err);
    if (blocks.node)
        return read_blocks(c, &blocks, err);
    if (cJSON_IsArray(types.node))
        return read_types(c, &types, err);
    if (cJSON_IsArray(minimax.node))
        return read_attention_types(c, &minimax, err);
    if (kimi_layers.node) {
        uint32_t count = (uint32_t)cJSON_GetArraySize(kimi_layers.node);
        m->attention_layers -= count < m->layers ? count : m->layers;
        return read_kimi_delta(c, &kimi, count, err);
    }
    if (config_count(c, "full_attention_interval", false, 1, 1000, &interval, err))
        return -1;
    if (interval > 1 && config_find(c, "linear_num_key_heads").node) {
        m->attention_layers = m->layers / interval;
        return read_delta_net(c, m->layers - m->attention_layers, err);
    }
    return set_window(c, layers_with_window(c, m->layers), err);
}

int config_read_layers(struct model_config *c, struct error *err)
{
    struct model *m = c->out;
    struct json state_format = config_find(c, "mamba_ssm_dtype");
    m->attention_layers = m->mlp_layers = m->layers;
    if (read_kinds(c, err))
        return -1;
    if (m->attention_layers == 0 || m->attention_layers > m->layers)
        return error_set(err, ERROR_INPUT, "%s: expected at least one layer with attention, found none", c->at.file);
    bool wide = cJSON_IsString(state_format.node) && strcmp(state_format.node->valuestring, "float32") == 0;
    if (m->state.layers)
        m->state.bytes_per_value = wide ? 4 : 2;
    return 0;
}

/* Layers without experts that a list names, or that every n-th layer leaves. */
static int read_dense_layers(struct model_config *c, struct error *err)
{
    struct model *m = c->out;
    struct json lists[] = {config_find(c, "mlp_only_layers"), config_find(c, "moe_layer_freq"),
                           config_find(c, "moe_layers"), config_find(c, "mlp_layer_types")};
    uint32_t *dense = &m->moe.dense_layers, step = 1;
    if (config_find(c, "hybrid_override_pattern").node)
        return 0;
    if (config_count(c, "first_k_dense_replace num_dense_layers", false, 0, m->layers, dense, err))
        return -1;
    if (cJSON_IsArray(lists[0].node))
        *dense = (uint32_t)cJSON_GetArraySize(lists[0].node);
    if (cJSON_IsArray(lists[1].node)) {
        *dense = 0;
        for (const cJSON *item = lists[1].node->child; item; item = item->next)
            *dense += item->valuedouble == 0;
    }
    if (cJSON_IsArray(lists[2].node) && cJSON_GetArraySize(lists[2].node) > 0)
        *dense = m->layers - (uint32_t)cJSON_GetArraySize(lists[2].node);
    else if (cJSON_IsArray(lists[3].node)) {
        *dense = 0;
        if (count_words(&lists[3], "dense", "dense or sparse", dense, err))
            return -1;
    } else if (config_count(c, "decoder_sparse_step interleave_moe_layer_step", false, 1, 1000, &step, err))
        return -1;
    if (step > 1)
        *dense = m->layers - m->layers / step;
    return *dense <= m->mlp_layers
               ? 0
               : error_set(err, ERROR_INPUT, "%s: found %u layers without experts, expected at most %u", c->at.file,
                           *dense, m->mlp_layers);
}

static int read_shared(struct model_config *c, struct error *err)
{
    struct expert_layers *e = &c->out->moe;
    uint32_t shared = 0;
    if (config_find(c, "interleave_moe_layer_step").node) /* Llama 4: one, as wide as a routed one */
        e->shared_intermediate = e->intermediate;
    if (config_count(c, "n_shared_experts num_shared_experts moe_num_shared_experts", false, 0, 1000, &shared, err))
        return -1;
    if (shared)
        e->shared_intermediate = shared * e->intermediate;
    return config_count(c, "shared_expert_intermediate_size moe_shared_expert_intermediate_size", false, 0, 10000000,
                        &e->shared_intermediate, err);
}

int config_read_experts(struct model_config *c, struct error *err)
{
    struct expert_layers *e = &c->out->moe;
    if (config_count(c, "num_local_experts n_routed_experts num_experts moe_num_experts", false, 0, 100000, &e->experts,
                     err))
        return -1;
    if (e->experts < 2) { /* some dense models say 0 or 1 */
        *e = (struct expert_layers){0};
        return 0;
    }
    e->top_k = 1;
    return config_count(c, "num_experts_per_tok num_experts_per_token experts_per_token moe_topk moe_k", true, 1,
                        e->experts, &e->top_k, err) ||
           config_count(c, "moe_intermediate_size expert_dim intermediate_size", true, 1, 10000000, &e->intermediate,
                        err) ||
           read_shared(c, err) || read_dense_layers(c, err);
}
