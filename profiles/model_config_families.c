/* SPDX-License-Identifier: MIT */
/* What model_types leave unsaid: defaults of their configuration classes (transformers, models/NAME/configuration_*.py)
 * and what their layers are made of (vLLM, model_executor/models). */
#include <string.h>

#include "profiles/model_config_parts.h"

static const struct model_family families[] = {
    {.types =
         "llama mistral mixtral ministral ministral3 yi deepseek qwen2 qwen2_moe qwen2_vl qwen2_5_vl qwen2_5_vl_text "
         "glm glm4 chatglm granite olmo internlm2 internlm3 baichuan exaone seed_oss"},
    {.types = "phi3 phi4 phimoe phi4mm", .window_unused = true},
    {.types = "deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 kimi_k25 kimi_linear glm4_moe_lite glm_moe_dsa"},
    {.types = "qwen3 qwen3_moe qwen3_vl_text qwen3_vl_moe_text qwen3_omni_moe_text olmo2 olmo3 minimax_m2",
     .qk_norm = true},
    {.types = "qwen3_next qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text",
     .qk_norm = true,
     .gated_attention = true,
     .usual = "{\"full_attention_interval\": 4}"},
    {.types = "minimax minimax_text_01 minimax_m1"},
    {.types = "glm4_moe glm4v_moe_text llama4 llama4_text"},
    {.types = "gpt_oss"},
    {.types = "gemma", .tied = true},
    {.types = "gemma2", .tied = true, .usual = "{\"layer_pattern\": 2}"},
    {.types = "gemma3 gemma3_text",
     .tied = true,
     .qk_norm = true,
     .usual = "{\"num_attention_heads\": 8, \"num_key_value_heads\": 4, \"head_dim\": 256, \"vocab_size\": 262208, "
              "\"max_position_embeddings\": 131072, \"layer_pattern\": 6}"},
    {.types = "gemma4 gemma4_text", .tied = true, .qk_norm = true, .usual = "{\"layer_pattern\": 6}"},
    {.types = "phi phi-msft gpt_neox starcoder2 nemotron nemotron_h", .plain_mlp = true},
    {.types = "opt bloom falcon gpt2 gpt_bigcode", .plain_mlp = true, .tied = true},
    {.types = "nemotron-nas deci"},
    {0}};

static bool is_in(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; *at;) {
        size_t own = strcspn(at, " ");
        if (own == length && strncmp(at, word, own) == 0)
            return true;
        at += own + (at[own] == ' ');
    }
    return false;
}

const struct model_family *model_family_of(const char *type)
{
    for (const struct model_family *f = families; f->types; f++)
        if (is_in(f->types, type))
            return f;
    return NULL;
}
