/* SPDX-License-Identifier: MIT */
/* A model's work, and what techniques make of it, by hand. */
#include <math.h>

#include "profiles/cost.h"
#include "profiles/roofline.h"
#include "tests/harness.h"

static void assert_near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("expected %.12g, found %.12g", expected, found);
}

static void work_of(const char *name, const struct parallel *p, struct work *w)
{
    struct model m;
    struct error err = {0};
    expect_ok(model_load(name, &m, &err), &err);
    expect_ok(work_of_model(&m, p, w, &err), &err);
}

static int create(const char *techniques, struct cost_model *out, struct error *err)
{
    struct json root;
    struct techniques t;
    struct parallel p = tensor_parallel(1);
    const struct engine engine = {.name = "none"};
    expect_ok(json_parse(techniques, "techniques", &root, err), err);
    int status = techniques_read(&root, &t, err);
    if (status == 0)
        status = cost_model_create(out, "llama-3.1-8b", "h100-sxm", &p, &engine, &t, err);
    techniques_release(&t);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

static double decode_ns(const struct cost_model *cm, uint32_t sequences, uint64_t kv_each)
{
    struct batch b = {.decodes = sequences, .decode_kv = sequences * kv_each};
    struct iteration_cost cost = {0};
    cost_model_iteration(cm, &b, &cost);
    return fine_to_ns(cost.total);
}

static double prompt_ns(const struct cost_model *cm, uint32_t tokens)
{
    struct request r = {.prompt_tokens = tokens};
    struct batch_item item = {.req = &r, .new_tokens = tokens, .decode = false};
    struct batch b = {.items = &item, .count = 1};
    struct iteration_cost cost = {0};
    cost_model_iteration(cm, &b, &cost);
    return fine_to_ns(cost.total);
}

/* Mixtral: 32 layers of 8 experts of 3·4096·14336 weights = 45.1e9 of 46.7e9. DeepSeek-V3: 671e9; a token's KV is
 * (512 + 64) values a layer, 61 layers, 2 bytes. gpt-oss: each of its 36 layers has 2·8·64 values a token. */
static void test_sizes_of_experts_and_latent_attention(void **state)
{
    (void)state;
    struct model m;
    struct error err = {0};
    expect_ok(model_load("mixtral-8x7b", &m, &err), &err);
    assert_near(model_expert_parameters(&m), 32.0 * 8 * 3 * 4096 * 14336, 1e-12);
    assert_near(model_parameters(&m), 46.7e9, 0.001);
    expect_ok(model_load("deepseek-v3", &m, &err), &err);
    assert_near(model_parameters(&m), 671e9, 0.001);
    assert_near(model_kv_bytes_per_token(&m), 61.0 * 576 * 2, 1e-12);
    expect_ok(model_load("gpt-oss-120b", &m, &err), &err);
    assert_near(model_parameters(&m), 117e9, 0.005);
    assert_near(model_kv_bytes_per_token(&m), 36.0 * 2 * 8 * 64 * 2, 1e-12);
}

/* 128 experts, 8 a token: one token wakes 8; two wake 8 + 8 · 120/128 = 15.5; on one of four GPUs a quarter. */
static void test_awake_experts_by_hand(void **state)
{
    (void)state;
    struct experts e = {.experts = 128, .top_k = 8, .expert = 1};
    assert_near(experts_awake(&e, 1), 8, 1e-12);
    assert_near(experts_awake(&e, 2), 15.5, 1e-12);
    e.expert = 4;
    assert_near(experts_awake(&e, 2), 15.5 / 4, 1e-12);
}

/* Two attention ranks of two GPUs: heads over two, experts over four, tokens of both ranks gathered and scattered; the
 * sum of attention's shards is still taken within a rank. */
static void test_work_of_ranks_that_share_experts(void **state)
{
    (void)state;
    struct parallel p = tensor_parallel(2);
    struct work w;
    p.data = 2;
    p.expert = 4;
    work_of("qwen3-30b-a3b", &p, &w);
    const struct operation *experts = work_find(&w, "moe"), *gather = work_find(&w, "all_gather"),
                           *reduce = work_find(&w, "all_reduce");
    assert_near(work_find(&w, "qkv_proj")->n, (32 / 2 + 2 * 4 / 2) * 128.0, 1e-12);
    assert_true(experts->rows_scale == 2 && experts->experts.expert == 4 && experts->experts.tensor == 1);
    assert_true(gather->gpus == 4 && gather->rows_scale == 2 && gather->times == 48);
    assert_true(reduce->gpus == 2 && reduce->times == 48);
    assert_near(w.weight_bytes, 2 * (1.54e9 / 2 + 28.99e9 / 4), 0.01);
    struct error err = {0};
    struct model m;
    expect_ok(model_load("llama-3.1-8b", &m, &err), &err);
    assert_int_equal(work_of_model(&m, &p, &w, &err), -1);
    assert_non_null(strstr(err.text, "has no experts to share; raise cluster.replicas instead"));
}

/* A window of 128: a chunk of 64 after 96 sees 32 queries with 97 … 128 keys and 32 with 128; decodes stop growing at
 * 128 keys each. */
static void test_windowed_attention_by_hand(void **state)
{
    (void)state;
    struct attention_work a = {.window = 128};
    struct attention_rates r = {
        .prefill_score_ns = 1, .decode_score_ns = 0, .kv_token_ns = 1e-3, .launch_ns = 5, .work = &a};
    struct attention_line line = roofline_prefill(&r, 64, 96);
    assert_near(line.ns + line.slope * 96, 5 + 32 * (96 + 33.0 / 2) + 32 * 128, 1e-12);
    line = roofline_decode(&r, 4, 4 * 100);
    assert_true(line.until == 512 && line.slope == 1e-3);
    line = roofline_decode(&r, 4, 4 * 1000);
    assert_near(line.ns, 5 + 0.512, 1e-12);
    assert_true(line.slope == 0);
}

/* α 0.7 and 4 tokens: 1 + 0.7 + 0.49 + 0.343 + 0.2401 = 2.7731 a pass. A pass drafts four times and checks 5 rows. */
static void test_speculation_by_hand(void **state)
{
    (void)state;
    struct speculation s = {.draft_tokens = 4, .acceptance = 0.7};
    assert_near(speculation_tokens(&s), 2.7731, 1e-12);
    struct error err = {0};
    struct cost_model plain, draft, both;
    const struct engine engine = {.name = "none"};
    struct parallel p = tensor_parallel(1);
    expect_ok(create("[]", &plain, &err), &err);
    expect_ok(cost_model_create(&draft, "llama-3.2-1b", "h100-sxm", &p, &engine, NULL, &err), &err);
    expect_ok(create("[\"speculative\"]", &both, &err), &err);
    double by[COST_SOURCES] = {0}, attention = decode_ns(&plain, 1, 999) -
                                               plain.backend.token_ns(plain.backend.self, 1, by) -
                                               plain.backend.head_ns(plain.backend.self, 1, by);
    /* Five queries move more bytes, of 32·2·2·4096 each at 3.35 TB/s · 0.85: 4 · 184 ns more. */
    double queries = 4 * 32 * 2.0 * 2 * 4096 / (3.35e3 * 0.85);
    double pass = plain.backend.token_ns(plain.backend.self, 5, by) + plain.backend.head_ns(plain.backend.self, 5, by) +
                  attention + queries + 4 * decode_ns(&draft, 1, 999);
    assert_near(decode_ns(&both, 1, 999), pass / 2.7731, 1e-6);
    /* A prompt takes its way through both models, and its last row through the head of the larger one. */
    double prompt = prompt_ns(&plain, 512) + draft.backend.token_ns(draft.backend.self, 512, by) +
                    draft.backend.prefill_piece(draft.backend.self, 512, 0).ns;
    assert_near(prompt_ns(&both, 512), prompt, 1e-6);
    double fewer = (double)cost_model_kv_tokens(&plain, 1, 1) / (double)cost_model_kv_tokens(&both, 1, 1);
    assert_true(fewer > 1.25); /* 131 072 + 32 768 bytes a token, and the draft's weights */
    cost_model_release(&plain);
    cost_model_release(&draft);
    cost_model_release(&both);
    assert_int_equal(create("[\"speculative\", \"speculative\"]", &both, &err), -1);
    assert_non_null(strstr(err.text, "two of them propose tokens"));
}

/* Prompts run through 16 of 32 layers and compute keys and values for the others; decodes cost what they did. */
/* Times that an operation of this name runs on rows of a kind. */
static double times_on(const struct work *w, const char *name, enum work_rows rows)
{
    double times = 0;
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->ops[i].name, name) == 0 && w->ops[i].rows == rows)
            times += w->ops[i].times;
    return times;
}

/* 48 layers of which 8 have a dense MLP and 40 experts, 12 attention and 36 a state: half of each kind runs on prompt
 * tokens, and half of the layers with attention still project keys and values. */
static void test_prefill_layers_halve_every_kind_of_layer(void **state)
{
    (void)state;
    struct model m;
    struct work w;
    struct json root;
    struct techniques t;
    struct error err = {0};
    const struct parallel p = tensor_parallel(1);
    expect_ok(model_load("qwen3-30b-a3b", &m, &err), &err);
    m.moe.dense_layers = 8;
    m.attention_layers = 12;
    m.state = (struct state_layers){.layers = 36, .in_width = 100, .out_width = 50, .values = 10, .bytes_per_value = 2};
    expect_ok(work_of_model(&m, &p, &w, &err), &err);
    expect_ok(json_parse("[{\"name\": \"half\", \"paper\": \"none\", \"changes\": [{\"name\": \"prefill_layers\"}]}]",
                         "techniques", &root, &err),
              &err);
    expect_ok(techniques_read(&root, &t, &err), &err);
    expect_ok(techniques_apply(&t, &w, &err), &err);
    static const struct {
        const char *name;
        double of_prompts;
    } rows[] = {{"moe", 20},     {"router", 20},    {"gate_up_proj", 4}, {"down_proj", 4},      {"act_fn", 4},
                {"qkv_proj", 6}, {"o_proj", 6},     {"kv_proj", 6},      {"state_in_proj", 18}, {"state_scan", 18},
                {"norm", 48},    {"rotary_emb", 6}, {"embedding", 1},    {"final_norm", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (times_on(&w, rows[i].name, PER_TOKEN) != rows[i].of_prompts)
            fail_msg("%s: %g times on prompts, expected %g", rows[i].name, times_on(&w, rows[i].name, PER_TOKEN),
                     rows[i].of_prompts);
    assert_true(times_on(&w, "moe", PER_SEQUENCE) == 20 && times_on(&w, "embedding", PER_SEQUENCE) == 0);
    techniques_release(&t);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

static void test_prefill_layers_by_hand(void **state)
{
    (void)state;
    struct error err = {0};
    struct cost_model plain, half;
    expect_ok(create("[]", &plain, &err), &err);
    expect_ok(create("[{\"name\": \"half\", \"paper\": \"none\", \"changes\": [{\"name\": \"prefill_layers\"}]}]",
                     &half, &err),
              &err);
    double kv = 16 * roofline_gemm_ns(&plain.device, DTYPE_BF16, 4, 2 * 8 * 128, 4096);
    assert_near(decode_ns(&half, 4, 999), decode_ns(&plain, 4, 999) + kv, 1e-9);
    double ratio = prompt_ns(&half, 8192) / prompt_ns(&plain, 8192);
    assert_true(ratio > 0.5 && ratio < 0.56);
    cost_model_release(&plain);
    cost_model_release(&half);
}

/* Four keys for every one up to which all scores are computed, power 0.5: half of the scores; decodes do not change.
 * Launches and the chunk's own 2·2·32·128 + 2·2·8·128 bytes a token and layer, at 3.35 TB/s · 0.85, stay. */
static void test_attention_density_by_hand(void **state)
{
    (void)state;
    struct error err = {0};
    struct cost_model plain, thin;
    expect_ok(create("[]", &plain, &err), &err);
    expect_ok(create("[{\"name\": \"thin\", \"paper\": \"none\", \"changes\": [{\"name\": \"attention_density\", "
                     "\"from_tokens\": 1024, \"power\": 0.5, \"ns_per_token\": 3}]}]",
                     &thin, &err),
              &err);
    struct attention_piece all = plain.backend.prefill_piece(plain.backend.self, 8191, 0);
    double own = 32 * (plain.device.launch_ns + 20480 * 8191 / (3.35e3 * 0.85));
    struct attention_piece some = thin.backend.prefill_piece(thin.backend.self, 8191, 0);
    assert_near(some.ns, own + (all.ns - own) / 2 + 32 * 3.0 * 8191, 1e-9);
    assert_near(thin.backend.prefill_piece(thin.backend.self, 512, 0).ns,
                plain.backend.prefill_piece(plain.backend.self, 512, 0).ns + 32 * 3.0 * 512, 1e-9);
    assert_near(decode_ns(&thin, 8, 5000), decode_ns(&plain, 8, 5000), 0);
    cost_model_release(&plain);
    cost_model_release(&thin);
}

/* A prompt further on never costs less, though the share of scores that is computed falls with the keys there are. */
static void test_attention_density_never_makes_longer_contexts_cheaper(void **state)
{
    (void)state;
    struct error err = {0};
    struct cost_model thin;
    expect_ok(create("[{\"name\": \"thin\", \"paper\": \"none\", \"changes\": [{\"name\": \"attention_density\", "
                     "\"from_tokens\": 1024, \"power\": 1}]}]",
                     &thin, &err),
              &err);
    for (double chunk = 1; chunk < 1e5; chunk *= 8)
        for (double kv = 0, before = 0; kv < 1e6; kv = 1.3 * kv + 100) {
            struct attention_piece p = thin.backend.prefill_piece(thin.backend.self, chunk, kv);
            if (p.ns + p.slope * kv < before)
                fail_msg("a chunk of %g costs %.17g ns and %.17g after %g tokens", chunk, before, p.ns + p.slope * kv,
                         kv);
            before = p.ns + p.slope * kv;
        }
    cost_model_release(&thin);
}

/* Three bits a value instead of sixteen: KV bytes and the pool change by 16/3. */
static void test_quantised_kv_by_hand(void **state)
{
    (void)state;
    struct error err = {0};
    struct cost_model plain, narrow;
    expect_ok(create("[]", &plain, &err), &err);
    expect_ok(create("[\"kivi-2bit\"]", &narrow, &err), &err);
    double tokens = (double)cost_model_kv_tokens(&plain, 1, 1);
    assert_near((double)cost_model_kv_tokens(&narrow, 1, 1), tokens * 16 / 3, 1e-5);
    double more = decode_ns(&plain, 8, 9000) - decode_ns(&plain, 8, 8000);
    assert_near(decode_ns(&narrow, 8, 9000) - decode_ns(&narrow, 8, 8000), more * 3 / 16, 1e-3);
    cost_model_release(&plain);
    cost_model_release(&narrow);
}

static void test_bad_techniques_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[5]", "[0]: expected a technique's name, a path, or an object"},
        {"[{\"name\": \"x\", \"paper\": \"y\", \"changes\": []}]", "changes: expected a list of changes"},
        {"[{\"name\": \"x\", \"changes\": [{\"name\": \"kv_cache\"}]}]", "paper"},
        {"[{\"name\": \"x\", \"paper\": \"y\", \"changes\": [{\"name\": \"magic\"}]}]",
         "expected one of attention_density, prefill_layers, kv_cache, speculation"},
        {"[\"swiftkv\", \"swiftkv\"]", "techniques: two of them choose the layers that prompts run through"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct cost_model cm;
        assert_int_equal(create(cases[i][0], &cm, &err), -1);
        if (!strstr(err.text, cases[i][1]))
            fail_msg("expected \"%s\" in \"%s\"", cases[i][1], err.text);
    }
}

/* Decodes, prompts and host work alike: each is rounded to 1/65 536 ns a part. */
static void test_time_scales_everything(void **state)
{
    (void)state;
    struct cost_model plain, slow;
    struct error err = {0};
    expect_ok(create("[]", &plain, &err), &err);
    expect_ok(create("[{\"name\": \"slow\", \"paper\": \"none\", \"changes\": [{\"name\": \"time\", "
                     "\"factor\": 1.5}]}]",
                     &slow, &err),
              &err);
    assert_near(decode_ns(&slow, 16, 1000), 1.5 * decode_ns(&plain, 16, 1000), 1e-9);
    assert_near(prompt_ns(&slow, 700), 1.5 * prompt_ns(&plain, 700), 1e-9);
    cost_model_release(&plain);
    cost_model_release(&slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_scales_everything),
        cmocka_unit_test(test_sizes_of_experts_and_latent_attention),
        cmocka_unit_test(test_awake_experts_by_hand),
        cmocka_unit_test(test_work_of_ranks_that_share_experts),
        cmocka_unit_test(test_windowed_attention_by_hand),
        cmocka_unit_test(test_speculation_by_hand),
        cmocka_unit_test(test_prefill_layers_by_hand),
        cmocka_unit_test(test_prefill_layers_halve_every_kind_of_layer),
        cmocka_unit_test(test_attention_density_by_hand),
        cmocka_unit_test(test_attention_density_never_makes_longer_contexts_cheaper),
        cmocka_unit_test(test_quantised_kv_by_hand),
        cmocka_unit_test(test_bad_techniques_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
