/* SPDX-License-Identifier: MIT */
/* Models by their config.json: parameters as their makers publish them, formats, windows, and what is refused.
 *
 * Each row has the fields of that repository's config.json that sizes depend on, and the count of parameters that
 * Hugging Face shows for its weights (or the paper or model card that is named). Norms, biases and convolutions are
 * left out by the model: a thousandth at most. */
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiles/model_config.h"
#include "profiles/model_name.h"
#include "tests/harness.h"

struct published {
    const char *repository;
    double parameters, within; /* relative; 0.001 where weights were counted, more where a card rounds */
    const char *config;
};

#define COMMON(hidden, layers, heads, kv_heads, inter, vocab)                                                          \
    "\"hidden_size\": " #hidden ", \"num_hidden_layers\": " #layers ", \"num_attention_heads\": " #heads               \
    ", \"num_key_value_heads\": " #kv_heads ", \"intermediate_size\": " #inter ", \"vocab_size\": " #vocab
#define TYPE(name) "{\"model_type\": \"" name "\", "
#define TIED ", \"tie_word_embeddings\": true"
#define HEAD(dim) ", \"head_dim\": " #dim
#define MLA(q)                                                                                                         \
    ", \"kv_lora_rank\": 512, \"q_lora_rank\": " q ", \"qk_rope_head_dim\": 64, \"qk_nope_head_dim\": 128, "           \
    "\"v_head_dim\": 128"

static const struct published models[] = {
    {"meta-llama/Llama-2-7b-hf", 6738415616, 0.001, TYPE("llama") COMMON(4096, 32, 32, 32, 11008, 32000) "}"},
    {"meta-llama/Llama-2-70b-hf", 68976648192, 0.001, TYPE("llama") COMMON(8192, 80, 64, 8, 28672, 32000) "}"},
    {"meta-llama/Llama-3.1-8B", 8030261248, 0.001, TYPE("llama") COMMON(4096, 32, 32, 8, 14336, 128256) "}"},
    {"meta-llama/Llama-3.1-70B", 70553706496, 0.001, TYPE("llama") COMMON(8192, 80, 64, 8, 28672, 128256) "}"},
    {"meta-llama/Llama-3.1-405B", 405853388800, 0.001, TYPE("llama") COMMON(16384, 126, 128, 8, 53248, 128256) "}"},
    {"meta-llama/Llama-3.2-1B", 1235814400, 0.001,
     TYPE("llama") COMMON(2048, 16, 32, 8, 8192, 128256) HEAD(64) TIED "}"},
    {"meta-llama/Llama-3.2-3B", 3212749824, 0.001,
     TYPE("llama") COMMON(3072, 28, 24, 8, 8192, 128256) HEAD(128) TIED "}"},
    /* Meta says 109 and 400 billion; 0.9 of them are the vision tower, which is left out. */
    {"meta-llama/Llama-4-Scout-17B-16E", 109e9, 0.012,
     "{\"model_type\": \"llama4\", \"text_config\": " TYPE("llama4_text") COMMON(5120, 48, 40, 8, 8192, 202048)
         HEAD(128) ", \"intermediate_size_mlp\": 16384, \"num_local_experts\": 16, "
                   "\"num_experts_per_tok\": 1, \"interleave_moe_layer_step\": 1}}"},
    {"meta-llama/Llama-4-Maverick-17B-128E", 400e9, 0.005,
     "{\"model_type\": \"llama4\", \"text_config\": " TYPE("llama4_text") COMMON(5120, 48, 40, 8, 8192, 202048)
         HEAD(128) ", \"intermediate_size_mlp\": 16384, \"num_local_experts\": 128, "
                   "\"num_experts_per_tok\": 1, \"interleave_moe_layer_step\": 2}}"},
    {"mistralai/Mistral-7B-v0.3", 7248023552, 0.001, TYPE("mistral") COMMON(4096, 32, 32, 8, 14336, 32768) "}"},
    {"mistralai/Mistral-Nemo-Base-2407", 12247782400, 0.001,
     TYPE("mistral") COMMON(5120, 40, 32, 8, 14336, 131072) HEAD(128) "}"},
    {"mistralai/Mistral-Small-24B-Base-2501", 23572403200, 0.001,
     TYPE("mistral") COMMON(5120, 40, 32, 8, 32768, 131072) HEAD(128) "}"},
    {"mistralai/Mistral-Large-Instruct-2407", 122610069504, 0.001,
     TYPE("mistral") COMMON(12288, 88, 96, 8, 28672, 32768) "}"},
    {"mistralai/Mixtral-8x7B-v0.1", 46702792704, 0.001,
     TYPE("mixtral") COMMON(4096, 32, 32, 8, 14336, 32000) ", \"num_local_experts\": 8, \"num_experts_per_tok\": 2}"},
    {"mistralai/Mixtral-8x22B-v0.1", 140620634112, 0.001,
     TYPE("mixtral") COMMON(6144, 56, 48, 8, 16384, 32000) ", \"num_local_experts\": 8, \"num_experts_per_tok\": 2}"},
    {"01-ai/Yi-34B", 34388917248, 0.001, TYPE("llama") COMMON(7168, 60, 56, 8, 20480, 64000) "}"},
    {"Qwen/Qwen2.5-0.5B", 494032768, 0.001, TYPE("qwen2") COMMON(896, 24, 14, 2, 4864, 151936) TIED "}"},
    {"Qwen/Qwen2.5-7B", 7615616512, 0.001, TYPE("qwen2") COMMON(3584, 28, 28, 4, 18944, 152064) "}"},
    {"Qwen/Qwen2.5-72B", 72706203648, 0.001, TYPE("qwen2") COMMON(8192, 80, 64, 8, 29568, 152064) "}"},
    {"Qwen/Qwen1.5-MoE-A2.7B", 14315784192, 0.001,
     TYPE("qwen2_moe") COMMON(2048, 24, 16, 16, 5632, 151936) ", \"num_experts\": 60, \"num_experts_per_tok\": 4, "
                                                              "\"moe_intermediate_size\": 1408, "
                                                              "\"shared_expert_intermediate_size\": 5632}"},
    {"Qwen/Qwen3-8B", 8190735360, 0.001, TYPE("qwen3") COMMON(4096, 36, 32, 8, 12288, 151936) HEAD(128) "}"},
    {"Qwen/Qwen3-32B", 32762123264, 0.001, TYPE("qwen3") COMMON(5120, 64, 64, 8, 25600, 151936) HEAD(128) "}"},
    {"Qwen/Qwen3-30B-A3B", 30532122624, 0.001,
     TYPE("qwen3_moe") COMMON(2048, 48, 32, 4, 6144, 151936)
         HEAD(128) ", \"num_experts\": 128, \"num_experts_per_tok\": 8, \"moe_intermediate_size\": 768, "
                   "\"mlp_only_layers\": [], \"decoder_sparse_step\": 1}"},
    {"Qwen/Qwen3-235B-A22B", 235093634560, 0.001,
     TYPE("qwen3_moe") COMMON(4096, 94, 64, 4, 12288, 151936)
         HEAD(128) ", \"num_experts\": 128, \"num_experts_per_tok\": 8, \"moe_intermediate_size\": 1536}"},
    /* Its card says 80 billion. Weights of 81 324 862 720 parameters have a layer that predicts a second token. */
    {"Qwen/Qwen3-Next-80B-A3B-Instruct", 80e9, 0.005,
     TYPE("qwen3_next") COMMON(2048, 48, 16, 2, 5120, 151936) HEAD(
         256) ", \"num_experts\": 512, \"num_experts_per_tok\": 10, \"moe_intermediate_size\": 512, "
              "\"shared_expert_intermediate_size\": 512, \"full_attention_interval\": 4, \"linear_num_key_heads\": 16, "
              "\"linear_num_value_heads\": 32, \"linear_key_head_dim\": 128, \"linear_value_head_dim\": 128, "
              "\"linear_conv_kernel_dim\": 4}"},
    {"google/gemma-7b", 8537680896, 0.001, TYPE("gemma") COMMON(3072, 28, 16, 16, 24576, 256000) HEAD(256) "}"},
    {"google/gemma-2-2b", 2614341888, 0.001, TYPE("gemma2") COMMON(2304, 26, 8, 4, 9216, 256000) HEAD(256) "}"},
    {"google/gemma-2-9b", 9241705984, 0.001, TYPE("gemma2") COMMON(3584, 42, 16, 8, 14336, 256000) HEAD(256) "}"},
    {"google/gemma-2-27b", 27227128320, 0.001, TYPE("gemma2") COMMON(4608, 46, 32, 16, 36864, 256000) HEAD(128) "}"},
    {"google/gemma-3-1b-pt", 999885952, 0.001, TYPE("gemma3_text") COMMON(1152, 26, 4, 1, 6912, 262144) HEAD(256) "}"},
    /* Gemma 3's report, table 1: what is not embedding, in millions; the embedding is of the configuration's size. */
    {"google/gemma-3-4b-pt", 3209e6 + 262208 * 2560.0, 0.001,
     "{\"model_type\": \"gemma3\", \"text_config\": " TYPE("gemma3_text") "\"hidden_size\": 2560, "
                                                                          "\"intermediate_size\": 10240, "
                                                                          "\"num_hidden_layers\": 34, "
                                                                          "\"sliding_window\": 1024}}"},
    {"google/gemma-3-27b-pt", 25600e6 + 262208 * 5376.0, 0.001,
     "{\"model_type\": \"gemma3\", \"text_config\": " TYPE("gemma3_text") COMMON(5376, 62, 32, 16, 21504, 262208)
         HEAD(128) "}}"},
    {"microsoft/phi-2", 2779683840, 0.001, TYPE("phi") COMMON(2560, 32, 32, 32, 10240, 51200) "}"},
    {"microsoft/Phi-3-mini-4k-instruct", 3821079552, 0.001, TYPE("phi3") COMMON(3072, 32, 32, 32, 8192, 32064) "}"},
    {"microsoft/phi-4", 14659507200, 0.001, TYPE("phi3") COMMON(5120, 40, 40, 10, 17920, 100352) "}"},
    {"microsoft/Phi-3.5-MoE-instruct", 41873153344, 0.001,
     TYPE("phimoe") COMMON(4096, 32, 32, 8, 6400, 32064) ", \"num_local_experts\": 16, \"num_experts_per_tok\": 2}"},
    {"deepseek-ai/DeepSeek-V2-Lite", 15706484224, 0.001,
     TYPE("deepseek_v2") COMMON(2048, 27, 16, 16, 10944, 102400) MLA("null") ", \"n_routed_experts\": 64, "
                                                                             "\"num_experts_per_tok\": 6, "
                                                                             "\"n_shared_experts\": 2, "
                                                                             "\"moe_intermediate_size\": 1408, "
                                                                             "\"first_k_dense_replace\": 1}"},
    {"deepseek-ai/DeepSeek-V2", 235741434880, 0.001,
     TYPE("deepseek_v2") COMMON(5120, 60, 128, 128, 12288, 102400) MLA("1536") ", \"n_routed_experts\": 160, "
                                                                               "\"num_experts_per_tok\": 6, "
                                                                               "\"n_shared_experts\": 2, "
                                                                               "\"moe_intermediate_size\": 1536, "
                                                                               "\"first_k_dense_replace\": 1}"},
    /* The main model's, DeepSeek-V3's README. */
    {"deepseek-ai/DeepSeek-V3", 671e9, 0.001,
     TYPE("deepseek_v3") COMMON(7168, 61, 128, 128, 18432, 129280) MLA("1536") ", \"n_routed_experts\": 256, "
                                                                               "\"num_experts_per_tok\": 8, "
                                                                               "\"n_shared_experts\": 1, "
                                                                               "\"moe_intermediate_size\": 2048, "
                                                                               "\"first_k_dense_replace\": 3}"},
    {"moonshotai/Kimi-K2-Instruct", 1026e9, 0.001,
     TYPE("kimi_k2") COMMON(7168, 61, 64, 64, 18432, 163840) MLA("1536") ", \"n_routed_experts\": 384, "
                                                                         "\"num_experts_per_tok\": 8, "
                                                                         "\"n_shared_experts\": 1, "
                                                                         "\"moe_intermediate_size\": 2048, "
                                                                         "\"first_k_dense_replace\": 1}"},
    {"moonshotai/Kimi-Linear-48B-A3B-Instruct", 49.1e9, 0.002,
     TYPE("kimi_linear") COMMON(2304, 27, 32, 32, 9216, 163840) MLA(
         "null") ", \"num_experts\": 256, \"num_experts_per_token\": 8, \"num_shared_experts\": 1, "
                 "\"moe_intermediate_size\": 1024, \"first_k_dense_replace\": 1, \"linear_attn_config\": "
                 "{\"num_heads\": "
                 "32, \"head_dim\": 128, \"short_conv_kernel_size\": 4, \"kda_layers\": [1, 2, 3, 5, 6, 7, 9, 10, 11, "
                 "13, 14, 15, 17, 18, 19, 21, 22, 23, 25, 26]}}"},
    /* gpt-oss' model card, table 1. */
    {"openai/gpt-oss-20b", 20.91e9, 0.001,
     TYPE("gpt_oss") COMMON(2880, 24, 64, 8, 2880, 201088)
         HEAD(64) ", \"num_local_experts\": 32, \"num_experts_per_tok\": 4}"},
    {"openai/gpt-oss-120b", 116.83e9, 0.001,
     TYPE("gpt_oss") COMMON(2880, 36, 64, 8, 2880, 201088)
         HEAD(64) ", \"num_local_experts\": 128, \"num_experts_per_tok\": 4}"},
    {"THUDM/glm-4-9b-chat", 9399951360, 0.001,
     TYPE("chatglm") "\"hidden_size\": 4096, \"num_layers\": 40, \"num_attention_heads\": 32, "
                     "\"multi_query_attention\": "
                     "true, \"multi_query_group_num\": 2, \"kv_channels\": 128, \"ffn_hidden_size\": 13696, "
                     "\"padded_vocab_size\": 151552, \"vocab_size\": 151552, \"seq_length\": 131072}"},
    /* Their cards say 106 and 355 billion. */
    {"zai-org/GLM-4.5-Air", 106e9, 0.01,
     TYPE("glm4_moe") COMMON(4096, 46, 96, 8, 10944, 151552)
         HEAD(128) ", \"n_routed_experts\": 128, \"num_experts_per_tok\": 8, \"n_shared_experts\": 1, "
                   "\"moe_intermediate_size\": 1408, \"first_k_dense_replace\": 1}"},
    {"zai-org/GLM-4.5", 355e9, 0.01,
     TYPE("glm4_moe") COMMON(5120, 92, 96, 8, 12288, 151552)
         HEAD(128) ", \"n_routed_experts\": 160, \"num_experts_per_tok\": 8, \"n_shared_experts\": 1, "
                   "\"moe_intermediate_size\": 1536, \"first_k_dense_replace\": 3}"},
    {"MiniMaxAI/MiniMax-M2", 228703644928, 0.001,
     TYPE("minimax_m2") COMMON(3072, 62, 48, 8, 1536, 200064)
         HEAD(128) ", \"num_local_experts\": 256, \"num_experts_per_tok\": 8}"},
    /* arXiv 2501.08313, section 2: 456 billion. */
    {"MiniMaxAI/MiniMax-Text-01", 456e9, 0.001,
     TYPE("minimax_text_01") COMMON(6144, 80, 64, 8, 9216, 200064)
         HEAD(128) ", \"num_local_experts\": 32, \"num_experts_per_tok\": 2, \"attn_type_list\": [0,0,0,0,0,0,0,1,"
                   "0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,"
                   "0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1]}"},
    {"nvidia/Minitron-4B-Base", 4.19e9, 0.002, TYPE("nemotron") COMMON(3072, 32, 24, 8, 9216, 256000) HEAD(128) "}"},
    {"nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 31.6e9, 0.002,
     TYPE("nemotron_h") COMMON(2688, 52, 32, 2, 1856, 131072)
         HEAD(128) ", \"hybrid_override_pattern\": \"MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME\", "
                   "\"mamba_num_heads\": 64, \"mamba_head_dim\": 64, \"n_groups\": 8, \"ssm_state_size\": 128, "
                   "\"conv_kernel\": 4, \"n_routed_experts\": 128, \"num_experts_per_tok\": 6, "
                   "\"moe_intermediate_size\": 1856, \"n_shared_experts\": 1, "
                   "\"moe_shared_expert_intermediate_size\": 3712}"},
};

static void read_config(const char *text, const char *quantised, struct model *out)
{
    struct error err = {0};
    struct json root, other = {0};
    expect_ok(json_parse(text, "config.json", &root, &err), &err);
    if (quantised)
        expect_ok(json_parse(quantised, "hf_quant_config.json", &other, &err), &err);
    assert_true(model_is_config(&root));
    expect_ok(model_read_config(&root, &other, out, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    cJSON_Delete((cJSON *)(uintptr_t)other.node);
}

static void expect_refused(const char *text, const char *words)
{
    struct error err = {0};
    struct json root, none = {0};
    struct model m;
    expect_ok(json_parse(text, "config.json", &root, &err), &err);
    assert_int_equal(model_read_config(&root, &none, &m, &err), -1);
    if (!strstr(err.text, words))
        fail_msg("expected \"%s\" in: %s", words, err.text);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

static void test_parameters_come_out_as_published(void **state)
{
    (void)state;
    size_t count = sizeof models / sizeof *models;
    assert_true(count >= 30);
    for (size_t i = 0; i < count; i++) {
        struct model m;
        read_config(models[i].config, NULL, &m);
        double found = model_parameters(&m), expected = models[i].parameters;
        if (fabs(found - expected) > models[i].within * expected)
            fail_msg("%s: found %.0f parameters, published %.0f (%.3f %%)", models[i].repository, found, expected,
                     100 * (found / expected - 1));
    }
}

/* Written as a file of ours and read again it is the same model, to the parameter, byte and KV byte. */
static void test_import_keeps_the_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct model m, again = {.layers = 0};
        struct error err = {0};
        read_config(models[i].config, NULL, &m);
        snprintf(m.name, sizeof m.name, "m");
        struct json root = {.node = model_json(&m, "test"), .file = "test"};
        assert_non_null(root.node);
        expect_ok(model_read(&root, &again, &err), &err);
        assert_memory_equal(&m, &again, sizeof m);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
}
#define SMALL COMMON(64, 8, 8, 4, 128, 1000) ", \"max_position_embeddings\": 4096"

/* KV of 8 layers: 2·4 heads of 8 · 2 bytes = 128 a layer. */
static void test_windows(void **state)
{
    (void)state;
    struct model m;
    read_config(TYPE("mistral") SMALL ", \"sliding_window\": 1024}", NULL, &m);
    assert_int_equal(m.windowed_layers, 8);
    assert_int_equal(m.window, 1024);
    read_config(TYPE("mistral") SMALL ", \"sliding_window\": null}", NULL, &m);
    assert_int_equal(m.windowed_layers, 0);
    read_config(TYPE("qwen2") SMALL ", \"sliding_window\": 1024, \"use_sliding_window\": false}", NULL, &m);
    assert_int_equal(m.windowed_layers, 0);
    read_config(TYPE("qwen2") SMALL
                ", \"sliding_window\": 1024, \"use_sliding_window\": true, \"max_window_layers\": 6}",
                NULL, &m);
    assert_int_equal(m.windowed_layers, 2);
    read_config(TYPE("gemma2") SMALL ", \"sliding_window\": 1024}", NULL, &m);
    assert_int_equal(m.windowed_layers, 4);
    read_config(TYPE("gemma3_text") SMALL ", \"sliding_window\": 1024}", NULL, &m);
    assert_int_equal(m.windowed_layers, 7); /* layers 1 to 5, 7 and 8 */
    read_config(TYPE("gpt_oss") SMALL ", \"sliding_window\": 128, \"layer_types\": [\"sliding_attention\", "
                                      "\"full_attention\", \"sliding_attention\", \"full_attention\", "
                                      "\"sliding_attention\", \"full_attention\", \"sliding_attention\", "
                                      "\"full_attention\"]}",
                NULL, &m);
    assert_int_equal(m.windowed_layers, 4);
    assert_int_equal(m.window, 128);
    read_config(TYPE("llama4_text") SMALL ", \"attention_chunk_size\": 1024, \"no_rope_layers\": [1,1,1,0,1,1,1,0]}",
                NULL, &m);
    assert_int_equal(m.windowed_layers, 6);
    assert_non_null(strstr(m.left_out, "chunks"));
}

/* Two layers of eight have KV: 2·2·4·8·2 = 256 bytes a token. Six keep 4·16·16 + (2·2·16 + 4·16)·3 = 1 408 values, and
 * project 64 to 2·32 + 2·64 + 2·4 = 200 and 64 to 64. */
static void test_layers_with_a_state(void **state)
{
    (void)state;
    struct model m;
    struct error err = {0};
    struct work work;
    const struct parallel alone = {.tensor = 2, .data = 1, .expert = 1, .stages = 1};
    read_config(TYPE("qwen3_next") SMALL ", \"linear_num_key_heads\": 2, \"linear_num_value_heads\": 4, "
                                         "\"linear_key_head_dim\": 16, \"linear_value_head_dim\": 16, "
                                         "\"mamba_ssm_dtype\": \"float32\"}",
                NULL, &m);
    assert_int_equal(m.attention_layers, 2);
    assert_int_equal(m.state.layers, 6);
    assert_int_equal(m.state.in_width, 200);
    assert_int_equal(m.state.out_width, 64);
    assert_int_equal(m.state.values, 1408);
    assert_true(m.state.bytes_per_value == 4 && m.gated_attention);
    assert_true(model_kv_bytes_per_token(&m) == 256);
    expect_ok(work_of_model(&m, &alone, &work, &err), &err);
    assert_true(work.state_bytes == 6 * 1408 * 4 / 2.0);
    assert_true(work_find(&work, "state")->bytes_per_row == 2 * 1408 * 4 / 2.0);
    assert_true(work_find(&work, "state_in_proj")->n == 100);
    assert_true(work_find(&work, "qkv_proj")->times == 2);
    assert_true(work_find(&work, "qkv_proj")->n == (2 * 4 + 2 * 2) * 8); /* queries and their gate, on half the heads */
    assert_true(work_find(&work, "all_reduce")->times == 16);
    /* 100 sequences need 100 states next to what they needed anyway. */
    double with = work_activation_bytes(&work, 100, 100);
    work.state_bytes = 0;
    assert_true(with - work_activation_bytes(&work, 100, 100) == 100 * 6 * 1408 * 4 / 2.0);
}

/* Attention in six of eight layers, MLPs of 2·2·64/3 = 85 → 256 and 512 wide in two: their mean is 384. */
static void test_blocks_that_differ(void **state)
{
    (void)state;
#define BLOCK(attention, ffn) "{\"attention\": {" attention "}, \"ffn\": {" ffn "}}"
#define FULL "\"n_heads_in_group\": 4, \"no_op\": false"
#define NONE "\"n_heads_in_group\": null, \"no_op\": true"
#define NO_FFN "\"ffn_mult\": null, \"no_op\": true"
    struct model m;
    read_config(
        TYPE("nemotron-nas") "\"hidden_size\": 64, \"num_hidden_layers\": 3, \"num_attention_heads\": 8, "
                             "\"vocab_size\": 1000, \"block_configs\": [" BLOCK(FULL, "\"ffn_mult\": 2.0") ", " BLOCK(
                                 FULL, "\"intermediate_size\": 512") ", " BLOCK(NONE, NO_FFN) "]}",
        NULL, &m);
    assert_int_equal(m.attention_layers, 2);
    assert_int_equal(m.mlp_layers, 2);
    assert_int_equal(m.kv_heads, 2);
    assert_int_equal(m.intermediate, 384);
    assert_non_null(strstr(m.left_out, "mean"));
}

#define MOE ", \"num_local_experts\": 8, \"num_experts_per_tok\": 2"

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *says, *quantised;
        enum dtype rest, experts;
        double kv, bytes; /* of a narrow weight, with its part of its group's scale and zero point */
    } rows[] = {
        {"\"torch_dtype\": \"float16\"", NULL, DTYPE_FP16, DTYPE_FP16, 2, 2},
        {"\"dtype\": \"bfloat16\"", NULL, DTYPE_BF16, DTYPE_BF16, 2, 2},
        {"\"quantization_config\": {\"quant_method\": \"fp8\", \"fmt\": \"e4m3\"}", NULL, DTYPE_FP8, DTYPE_FP8, 2, 1},
        /* 4 + (16 + 4) / 128 bits */
        {"\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128}", NULL, DTYPE_INT4,
         DTYPE_INT4, 2, 0.51953125},
        {"\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 8}", NULL, DTYPE_INT8, DTYPE_INT8, 2, 1},
        {"\"quantization_config\": {\"quant_method\": \"mxfp4\", \"modules_to_not_convert\": "
         "[\"model.layers.*.self_attn\", \"lm_head\"]}",
         NULL, DTYPE_BF16, DTYPE_FP4, 2, 0.53125},
        {"\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\": "
         "{\"weights\": {\"num_bits\": 4, \"type\": \"int\", \"group_size\": 32, \"symmetric\": true}}}, \"ignore\": "
         "[\"lm_head\", \"re:.*self_attn.*\"]}",
         NULL, DTYPE_BF16, DTYPE_INT4, 2, 0.5625},
        {"\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"kv_cache_scheme\": {\"num_bits\": 8}, "
         "\"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 8, \"type\": \"float\"}}}, \"ignore\": "
         "[\"lm_head\"]}",
         NULL, DTYPE_FP8, DTYPE_FP8, 1, 1},
        {"\"quantization_config\": {\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true}", NULL, DTYPE_INT4,
         DTYPE_INT4, 2, 0.5625},
        {"\"dtype\": \"bfloat16\"",
         "{\"producer\": {\"name\": \"modelopt\"}, \"quantization\": {\"quant_algo\": \"NVFP4\", "
         "\"kv_cache_quant_algo\": \"FP8\", \"exclude_modules\": [\"lm_head\"]}}",
         DTYPE_FP4, DTYPE_FP4, 1, 0.5625},
        {"\"dtype\": \"bfloat16\"", "{\"quantization\": {\"quant_algo\": \"FP8\", \"kv_cache_quant_algo\": null}}",
         DTYPE_FP8, DTYPE_FP8, 2, 1},
        {"\"quantization_config\": {\"quant_method\": \"quark\", \"global_quant_config\": {\"weight\": {\"dtype\": "
         "\"fp4\"}}, \"exclude\": [\"lm_head\", \"model.layers.0.self_attn.q_proj\"]}",
         NULL, DTYPE_BF16, DTYPE_FP4, 2, 0.53125},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1500];
        struct model m;
        snprintf(text, sizeof text, "%s%s%s, %s}", TYPE("mixtral"), SMALL, MOE, rows[i].says);
        read_config(text, rows[i].quantised, &m);
        if (m.dtype != rows[i].rest || m.moe.dtype != rows[i].experts || m.bytes_per_kv != rows[i].kv)
            fail_msg("%s: found %s, experts %s, %g bytes of KV", rows[i].says, dtype_names[m.dtype],
                     dtype_names[m.moe.dtype], m.bytes_per_kv);
        assert_true(m.bytes_per_weight == (rows[i].rest == rows[i].experts ? rows[i].bytes : 2));
        assert_true(m.moe.bytes_per_weight == rows[i].bytes && m.bytes_per_embedding == 2);
    }
}

/* What the repositories' weights take: hugging-quants' Llama-3.1-8B in AWQ 5.73 GB, moonshotai's Kimi-K2-Thinking 594
 * GB, openai's gpt-oss-120b 65.2 GB. Embedding and output head stay in 16 bits: of Llama-3.1-8B 2 · 128 256 · 4 096
 * weights in 2 bytes, and 6 979 321 856 in 0.51953125. */
static void test_weights_take_what_their_files_do(void **state)
{
    (void)state;
    struct model m;
    struct work work;
    struct error err = {0};
    const struct parallel alone = {.tensor = 1, .data = 1, .expert = 1, .stages = 1};
    read_config(TYPE("llama") COMMON(4096, 32, 32, 8, 14336, 128256) ", \"quantization_config\": {\"quant_method\": "
                                                                     "\"awq\", \"bits\": 4, \"group_size\": 128}}",
                NULL, &m);
    assert_true(fabs(model_weight_bytes(&m) - (2 * 2.0 * 128256 * 4096 + 0.51953125 * 6979321856.0)) < 1);
    assert_true(fabs(model_weight_bytes(&m) / 5.73e9 - 1) < 0.002);
    expect_ok(work_of_model(&m, &alone, &work, &err), &err);
    assert_true(work_find(&work, "lm_head")->weight_bytes == 2 && work_find(&work, "lm_head")->dtype == DTYPE_BF16);
    assert_true(work_find(&work, "qkv_proj")->weight_bytes == 0.51953125);
    read_config(
        TYPE("kimi_k2") COMMON(7168, 61, 64, 64, 18432, 163840) MLA(
            "1536") ", \"n_routed_experts\": 384, "
                    "\"num_experts_per_tok\": 8, \"n_shared_experts\": 1, \"moe_intermediate_size\": 2048, "
                    "\"first_k_dense_replace\": 1, \"quantization_config\": {\"quant_method\": \"compressed-tensors\", "
                    "\"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 4, \"type\": \"int\", "
                    "\"group_size\": 32, "
                    "\"symmetric\": true}}}, \"ignore\": [\"lm_head\", \"re:.*self_attn.*\"]}}",
        NULL, &m);
    assert_true(fabs(model_weight_bytes(&m) / 594e9 - 1) < 0.002);
    read_config(TYPE("gpt_oss") COMMON(2880, 36, 64, 8, 2880, 201088)
                    HEAD(64) ", \"num_local_experts\": 128, "
                             "\"num_experts_per_tok\": 4, \"quantization_config\": {\"quant_method\": \"mxfp4\", "
                             "\"modules_to_not_convert\": [\"model.layers.*.self_attn\"]}}",
                NULL, &m);
    assert_true(fabs(model_weight_bytes(&m) / 65.2e9 - 1) < 0.002);
}

/* Falcon-7B says 71 KV heads and has one (modeling_falcon.py): 2 · 64 values of 2 bytes in 32 layers. Falcon-40B has
 * the eight that it says. */
static void test_falcons_kv_heads(void **state)
{
    (void)state;
#define FALCON(hidden, layers, heads, kv_heads, is_new)                                                                \
    TYPE("falcon")                                                                                                     \
    "\"hidden_size\": " #hidden ", \"num_hidden_layers\": " #layers ", \"num_attention_heads\": " #heads               \
    ", \"num_kv_heads\": " #kv_heads ", \"multi_query\": true, \"new_decoder_architecture\": " #is_new                 \
    ", \"vocab_size\": 65024}"
    struct model m;
    read_config(FALCON(4544, 32, 71, 71, false), NULL, &m);
    assert_true(model_kv_bytes_per_token(&m) == 32 * 2 * 64 * 2);
    assert_true(fabs(model_parameters(&m) / 6921720704.0 - 1) < 0.001);
    read_config(FALCON(8192, 60, 128, 8, true), NULL, &m);
    assert_true(model_kv_bytes_per_token(&m) == 60 * 2 * 8 * 64 * 2);
}

static void test_what_is_left_out_is_named(void **state)
{
    (void)state;
    struct model m;
    read_config(TYPE("llama") SMALL "}", NULL, &m);
    assert_string_equal(m.left_out, "");
    read_config(TYPE("glm_moe_dsa") SMALL MLA("null") ", \"index_topk\": 2048, \"num_nextn_predict_layers\": 1}", NULL,
                &m);
    assert_string_equal(m.left_out, "sparse attention (an indexer picks 2048 tokens): every token is read instead; "
                                    "layers that predict several tokens (the technique speculation stands for them)");
    read_config("{\"model_type\": \"somethingvl\", \"text_config\": " TYPE("llama") SMALL "}}", NULL, &m);
    assert_string_equal(m.left_out, "everything but the text decoder (vision, audio)");
    read_config(TYPE("brandnew") SMALL "}", NULL, &m);
    assert_non_null(strstr(m.left_out, "\"brandnew\", which Tandem does not know"));
}

static void test_what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    expect_refused(TYPE("llama") "\"num_hidden_layers\": 3}", "expected one of hidden_size n_embd d_model");
    expect_refused(TYPE("llama") COMMON(64, 8, 8, 3, 128, 1000) "}",
                   "found 3 KV heads, expected a divisor of the 8 attention heads");
    expect_refused(TYPE("llama") COMMON(64, 1.5, 8, 4, 128, 1000) "}",
                   "num_hidden_layers: expected a whole number from 1 to 1000");
    expect_refused(TYPE("lfm2") SMALL ", \"layer_types\": [\"conv\"]}", "layer_types: expected a word for each layer");
    expect_refused(TYPE("lfm2") SMALL ", \"layer_types\": [\"conv\", \"conv\", \"conv\", \"conv\", \"conv\", \"conv\", "
                                      "\"conv\", \"conv\"]}",
                   "layer_types[0]: expected full_attention, sliding_attention");
    expect_refused(TYPE("nemotron_h") SMALL ", \"hybrid_override_pattern\": \"M*X-----\"}",
                   "expected the letters M, *, - and E");
    expect_refused(TYPE("llama") SMALL ", \"quantization_config\": {\"quant_method\": \"aqlm\"}}",
                   "quant_method: expected a method that Tandem knows");
    expect_refused(TYPE("mixtral") SMALL ", \"num_local_experts\": 8}", "num_experts_per_tok");
    expect_refused(TYPE("mixtral") SMALL ", \"num_local_experts\": 8, \"num_experts_per_tok\": 9}", "from 1 to 8");
}

/* A folder is its config.json, with what lies next to it. */
static void test_folders_and_files(void **state)
{
    (void)state;
    struct model m;
    struct error err = {0};
    char folder[] = "/tmp/tandem_model_XXXXXX", path[100];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *out = fopen(path, "w");
    fputs(TYPE("llama") SMALL "}", out);
    fclose(out);
    expect_ok(model_load(path, &m, &err), &err);
    assert_string_equal(m.name, folder + 5);
    assert_int_equal(m.dtype, DTYPE_BF16);
    snprintf(path, sizeof path, "%s/hf_quant_config.json", folder);
    out = fopen(path, "w");
    fputs("{\"quantization\": {\"quant_algo\": \"FP8\"}}", out);
    fclose(out);
    snprintf(path, sizeof path, "%s/", folder);
    expect_ok(model_load(path, &m, &err), &err);
    assert_string_equal(m.name, folder + 5);
    assert_int_equal(m.dtype, DTYPE_FP8);
    snprintf(path, sizeof path, "%s/hf_quant_config.json", folder);
    remove(path);
    snprintf(path, sizeof path, "%s/config.json", folder);
    remove(path);
    assert_int_equal(model_load(folder, &m, &err), -1);
    assert_non_null(strstr(err.text, "config.json"));
    rmdir(folder);
}

static void test_names_that_people_type(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *name;
        enum dtype dtype;
    } rows[] = {{"meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b", DTYPE_BF16},
                {"meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b", DTYPE_BF16},
                {"meta-llama/Llama-3.3-70B-Instruct", "llama-3.1-70b", DTYPE_BF16},
                {"RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b", DTYPE_FP8},
                {"RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", "llama-3.1-70b", DTYPE_INT4},
                {"nvidia/Llama-3.1-70B-Instruct-NVFP4", "llama-3.1-70b", DTYPE_FP4},
                {"TheBloke/Llama-2-7B-Chat-AWQ", "llama-2-7b", DTYPE_INT4},
                {"mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b", DTYPE_BF16},
                {"Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b", DTYPE_BF16},
                {"Qwen/Qwen3-32B-FP8", "qwen3-32b", DTYPE_FP8},
                {"deepseek-ai/DeepSeek-R1-0528", "deepseek-r1", DTYPE_FP8}};
    struct model m;
    struct error err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_ok(model_load(rows[i].typed, &m, &err), &err);
        assert_string_equal(m.name, rows[i].name);
        assert_int_equal(m.dtype, rows[i].dtype);
    }
    /* Another model's layers under a name that begins alike. */
    assert_int_equal(model_load("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", &m, &err), -1);
    assert_non_null(strstr(err.text, "deepseek-r1 is, but \"distill\" may make it another model"));
    assert_int_equal(model_load("meta-llama/Llama-3.1-8B-Vision", &m, &err), -1);
    assert_int_equal(model_load("who/knows-it", &m, &err), -1);
    assert_non_null(strstr(err.text, "model \"who/knows-it\": expected a file or folder"));
    assert_int_equal(model_load("llama-3./-1b", &m, &err),
                     -1); /* its name begins with a dash, and has no word before it */
    assert_non_null(strstr(err.text, "model \"llama-3./-1b\": expected a file or folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_come_out_as_published),
        cmocka_unit_test(test_import_keeps_the_model),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_layers_with_a_state),
        cmocka_unit_test(test_blocks_that_differ),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_weights_take_what_their_files_do),
        cmocka_unit_test(test_falcons_kv_heads),
        cmocka_unit_test(test_what_is_left_out_is_named),
        cmocka_unit_test(test_what_cannot_be_read_is_refused),
        cmocka_unit_test(test_folders_and_files),
        cmocka_unit_test(test_names_that_people_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
