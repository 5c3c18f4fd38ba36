/* SPDX-License-Identifier: MIT */
/* Changes that put something next to the model's own work, by hand. */
#include <math.h>

#include "profiles/cost.h"
#include "profiles/roofline.h"
#include "tests/harness.h"

static void assert_near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("expected %.12g, found %.12g", expected, found);
}

/* Host work of an iteration, of all models that are made. */
static double host_ns;
static bool ahead;

/* The stage of how many that all models are. */
static uint32_t stages = 1, stage;

static int create_on(const char *model, uint32_t tensor, const char *changes, struct cost_model *out, struct error *err)
{
    char text[1000];
    struct json root;
    struct techniques t;
    struct parallel p = tensor_parallel(tensor);
    const struct engine engine = {.name = "none", .host_ns = host_ns, .schedule_ahead = ahead};
    p.stages = stages;
    p.stage = stage;
    snprintf(text, sizeof text, "[{\"name\": \"a\", \"paper\": \"b\", \"changes\": [%s]}]", changes);
    expect_ok(json_parse(*changes ? text : "[]", "techniques", &root, err), err);
    int status = techniques_read(&root, &t, err);
    if (status == 0)
        status = cost_model_create(out, model, "h100-sxm", &p, &engine, &t, err);
    techniques_release(&t);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

/* Models point into themselves, so they stay where they are made. */
static struct cost_model *made_on(const char *model, uint32_t tensor, const char *changes)
{
    struct cost_model *cm = calloc(1, sizeof *cm);
    struct error err = {0};
    assert_non_null(cm);
    expect_ok(create_on(model, tensor, changes, cm, &err), &err);
    return cm;
}

static struct cost_model *made(const char *changes)
{
    return made_on("llama-3.1-8b", 1, changes);
}

static void drop(struct cost_model *cm)
{
    cost_model_release(cm);
    free(cm);
}

static double decode_ns(const struct cost_model *cm, uint32_t sequences, uint64_t kv_each)
{
    struct batch b = {.decodes = sequences, .decode_kv = sequences * kv_each};
    struct iteration_cost cost = {0};
    cost_model_iteration(cm, &b, &cost);
    return fine_to_ns(cost.total);
}

/* The first `tokens` of a prompt, with `sequences` decodes in the same iteration. */
static double mixed_ns(const struct cost_model *cm, uint32_t tokens, uint32_t sequences, uint64_t kv_each)
{
    struct request r = {.prompt_tokens = tokens};
    struct batch_item item = {.req = &r, .new_tokens = tokens, .decode = false};
    struct batch b = {.items = &item, .count = 1, .decodes = sequences, .decode_kv = sequences * kv_each};
    struct iteration_cost cost = {0};
    cost_model_iteration(cm, &b, &cost);
    return fine_to_ns(cost.total);
}

static double prompt_ns(const struct cost_model *cm, uint32_t tokens)
{
    return mixed_ns(cm, tokens, 0, 0);
}

static double tokens_ns(const struct cost_model *cm, double tokens)
{
    double by[COST_SOURCES] = {0};
    return cm->backend.token_ns(cm->backend.self, tokens, by);
}

static double heads_ns(const struct cost_model *cm, double sequences)
{
    double by[COST_SOURCES] = {0};
    return cm->backend.head_ns(cm->backend.self, sequences, by);
}

/* Reading a token's KV in all 32 layers of Llama-3.1-8B: 4 096 bytes each at 85 % of 3.35 TB/s. */
static const double kv_ns = 32 * 4096 / (3.35e3 * 0.85);

/* Of four times 1 000 tokens half are read: as many decodes of 500, and a tenth of all bytes to find out which. Of
 * 100 000 half would be 50 000, and 4 096 are read. */
static void test_a_part_of_the_kv_is_read(void **state)
{
    (void)state;
    struct cost_model *plain = made(""),
                      *part = made("{\"name\": \"kv_read\", \"share\": 0.5, \"tokens\": 4096, \"select_share\": 0.1}");
    assert_near(decode_ns(part, 4, 999), decode_ns(plain, 4, 499) + 4 * 100 * kv_ns, 1e-6);
    assert_near(decode_ns(part, 4, 99999), decode_ns(plain, 4, 4095) + 4 * 10000 * kv_ns, 1e-6);
    assert_near(prompt_ns(part, 512), prompt_ns(plain, 512), 1e-9);
    assert_true(cost_model_kv_tokens(part, 512, 4) == cost_model_kv_tokens(plain, 512, 4)); /* all of it is kept */
    drop(plain);
    drop(part);
}

/* Eight sequences with 1 024 tokens in common and 100 of their own: decodes of 100, one reading of 1 024 tokens, and
 * one launch a layer more; of 4 096 sequences the prefix is bound by its 4·32·128·1 024 operations a query. */
static void test_a_shared_prefix_is_read_once(void **state)
{
    (void)state;
    struct cost_model *plain = made(""),
                      *shared = made("{\"name\": \"shared_prefix_attention\", \"tokens\": 1024, \"groups\": 1}");
    const struct device *d = &plain->device;
    double launch = 32 * (d->attention_launch_ns > 0 ? d->attention_launch_ns : d->launch_ns);
    assert_near(decode_ns(shared, 8, 1123), decode_ns(plain, 8, 99) + 1024 * kv_ns + launch, 1e-6);
    double score_ns = 32 * 4.0 * 32 * 128 / (device_peak_flops(d, DTYPE_BF16) * d->attention_efficiency * 1e-9);
    assert_near(decode_ns(shared, 4096, 1123), decode_ns(plain, 4096, 99) + 4096.0 * 1024 * score_ns + launch, 1e-6);
    assert_near(decode_ns(shared, 8, 500), decode_ns(plain, 8, 500), 1e-9); /* before the prefix is whole */
    drop(plain);
    drop(shared);
}

/* A quarter of 4 096 tokens in every layer is a prompt of 1 024. In half of the layers: the mean of both. Where half of
 * the layers choose 1 024 tokens that then run through all: half of the whole prompt, less its head, and a prompt of
 * 1 024. Falling in a line from all to none, sixteen groups of layers: about a half on average. */
static void test_prompt_tokens_that_go_on(void **state)
{
    (void)state;
    struct cost_model *plain = made(""),
                      *quarter = made("{\"name\": \"prompt_keep\", \"share\": 0.25, \"falls\": \"step\"}"),
                      *half = made(
                          "{\"name\": \"prompt_keep\", \"full_layers\": 0.5, \"share\": 0.25, \"falls\": \"step\"}"),
                      *again =
                          made("{\"name\": \"prompt_keep\", \"full_layers\": 0.5, \"share\": 1, \"budget_tokens\": "
                               "1024, \"again\": true}");
    assert_near(prompt_ns(quarter, 4096), prompt_ns(plain, 1024), 1e-6);
    assert_near(prompt_ns(half, 4096), (prompt_ns(plain, 4096) + prompt_ns(plain, 1024)) / 2, 1e-6);
    assert_near(prompt_ns(again, 4096), (prompt_ns(plain, 4096) - heads_ns(plain, 1)) / 2 + prompt_ns(plain, 1024),
                1e-6);
    assert_near(prompt_ns(again, 512), (prompt_ns(plain, 512) - heads_ns(plain, 1)) / 2 + prompt_ns(plain, 512), 1e-6);
    /* Half of the layers keep all tokens, the others a quarter: 5/8 of the KV. */
    assert_near((double)cost_model_kv_tokens(half, 1, 1), (double)cost_model_kv_tokens(plain, 1, 1) / 0.625, 1e-4);
    drop(quarter);
    drop(half);
    drop(again);
    struct cost_model *scored =
        made("{\"name\": \"prompt_keep\", \"share\": 0.25, \"falls\": \"step\", \"scorer_model\": \"llama-3.2-1b\"}");
    const struct cost_model *s = scored->scorer;
    double scoring = tokens_ns(s, 4096) + s->backend.prefill_piece(s->backend.self, 4096, 0).ns;
    assert_near(prompt_ns(scored, 4096), prompt_ns(plain, 1024) + scoring, 1e-6);
    drop(plain);
    drop(scored);
}

/* Decodes of the small model, prompts of the large one, and both one after the other; the pool holds the small one's KV
 * (16 layers of 8 heads of 64, 32 768 bytes a token) next to both's weights. */
static void test_a_model_for_each_phase(void **state)
{
    (void)state;
    struct cost_model *plain = made(""), *small = made_on("llama-3.2-1b", 1, "");
    struct cost_model *both = made("{\"name\": \"phase_model\", \"decodes\": \"llama-3.2-1b\"}");
    assert_near(decode_ns(both, 8, 999), decode_ns(small, 8, 999), 1e-9);
    assert_near(prompt_ns(both, 512), prompt_ns(plain, 512), 1e-9);
    assert_near(mixed_ns(both, 512, 8, 999), prompt_ns(plain, 512) + decode_ns(small, 8, 999), 1e-9);
    assert_near(both->work.kv_bytes_per_token, small->work.kv_bytes_per_token, 1e-12);
    assert_near(both->work.weight_bytes, plain->work.weight_bytes + small->work.weight_bytes, 1e-12);
    drop(both);
    both = made("{\"name\": \"phase_model\", \"prompts\": \"llama-3.2-1b\"}");
    assert_near(decode_ns(both, 8, 999), decode_ns(plain, 8, 999), 1e-9);
    assert_near(prompt_ns(both, 512), prompt_ns(small, 512) - heads_ns(small, 1) + heads_ns(plain, 1), 1e-6);
    drop(both);
    both = made("{\"name\": \"phase_model\", \"decodes\": \"llama-3.2-1b\", \"part\": true}");
    assert_near(both->work.weight_bytes, plain->work.weight_bytes, 1e-12);
    assert_near(both->work.kv_bytes_per_token, plain->work.kv_bytes_per_token, 1e-12);
    drop(plain);
    drop(both);
    drop(small);
}

/* GEMMs of 2 048 rows compute for longer than their 14 GB take to read, which are 32 layers of 2·4 096·(4 096 + 1 024)
 * + 3·4 096·14 336 weights, and neither embedding nor output head: in what is left half of the shorter one hides, on
 * either side of where attention takes as long. GEMMs of one row leave nothing. */
static void test_attention_next_to_gemms(void **state)
{
    (void)state;
    struct cost_model *plain = made(""), *over = made("{\"name\": \"overlap\", \"kernels\": 0.5}");
    double read = 32 * 2 * (2 * 4096.0 * (4096 + 1024) + 3 * 4096.0 * 14336) / (3.35e3 * 0.85);
    const uint64_t kv[] = {10, 100, 1000, 10000};
    for (size_t i = 0; i < sizeof kv / sizeof *kv; i++) {
        enum cost_source ignored;
        double gemms = tokens_ns(plain, 512), idle = fmax(0, gemms - read);
        double attention = cost_model_decode_attention_ns(plain, 512, 512.0 * ((double)kv[i] + 1), &ignored);
        assert_near(decode_ns(over, 512, kv[i]), decode_ns(plain, 512, kv[i]) - 0.5 * fmin(idle, attention), 1e-6);
        gemms = tokens_ns(plain, 2048 + 512) + plain->backend.prefill_piece(plain->backend.self, 2048, 0).ns;
        assert_near(mixed_ns(over, 2048, 512, kv[i]),
                    mixed_ns(plain, 2048, 512, kv[i]) - 0.5 * fmin(gemms - read, attention), 1e-3);
    }
    assert_near(decode_ns(over, 1, 1000), decode_ns(plain, 1, 1000), 0.01);
    drop(plain);
    drop(over);
}

/* Two halves of 4 096 rows over two GPUs: kernels of twice 2 048 rows, and all-reduces of 4 096 rows next to them, 64
 * of 4 096·4 096·2 bytes. Batches below the limit are not cut. */
static void test_communication_next_to_kernels(void **state)
{
    (void)state;
    struct cost_model *plain = made_on("llama-3.1-8b", 2, "");
    struct cost_model *over =
        made_on("llama-3.1-8b", 2, "{\"name\": \"overlap\", \"communication\": 0.75, \"from_tokens\": 1000}");
    double half = 64 * roofline_all_reduce_ns(&plain->device, 2, 2048.0 * 4096 * 2);
    double whole = 64 * roofline_all_reduce_ns(&plain->device, 2, 4096.0 * 4096 * 2);
    double compute = 2 * (tokens_ns(plain, 2048) - half);
    assert_near(tokens_ns(over, 4096), compute + whole - 0.75 * fmin(compute, whole), 1e-9);
    assert_near(tokens_ns(over, 999), tokens_ns(plain, 999), 1e-12);
    drop(plain);
    drop(over);
}

/* Half of 16 GB at 25 GB/s for every iteration, of which as much hides as there is to compute; memory has the other
 * half for KV. Of experts those that are awake: one row wakes two of eight in every layer of Mixtral. */
static void test_weights_that_are_loaded(void **state)
{
    (void)state;
    struct cost_model *plain = made(""), *half = made("{\"name\": \"weights_source\", \"resident_share\": 0.5}"),
                      *hidden = made("{\"name\": \"weights_source\", \"resident_share\": 0.5, \"overlap\": 1}");
    double loads = plain->work.weight_bytes / 2 / 25;
    assert_near(decode_ns(half, 1, 99), decode_ns(plain, 1, 99) + loads, 1e-6);
    assert_near(decode_ns(hidden, 1, 99), decode_ns(plain, 1, 99) + loads - tokens_ns(plain, 1), 1e-6);
    double more = plain->work.weight_bytes / 2 / plain->work.kv_bytes_per_token;
    assert_near((double)cost_model_kv_tokens(half, 1, 1), (double)cost_model_kv_tokens(plain, 1, 1) + more, 1e-5);
    drop(half);
    drop(hidden);
    drop(plain);
    plain = made_on("mixtral-8x7b", 2, "");
    struct cost_model *experts =
        made_on("mixtral-8x7b", 2,
                "{\"name\": \"weights_source\", \"resident_share\": 0.1, \"loaded_share\": 1, \"experts\": true}");
    double bytes = 32 * 2.0 * 3 * 4096 * 14336 / 2 * 2;
    assert_near(tokens_ns(experts, 1), tokens_ns(plain, 1) + bytes / 25, 1e-9);
    drop(plain);
    drop(experts);
}

/* Four ranks: a quarter of a prompt's rows and of its attention, whose messages are shorter; decodes read a quarter of
 * the KV each and put together 32 layers' results: two latencies, and 2·3/4 of two 16-bit vectors of 4 096. */
static void test_ranks_that_share_a_sequence(void **state)
{
    (void)state;
    struct cost_model *plain = made(""),
                      *ranks =
                          made("{\"name\": \"sequence_ranks\", \"ranks\": 4, \"bytes_per_s\": 50e9, \"latency_ns\": "
                               "1000}");
    double attention = plain->backend.prefill_piece(plain->backend.self, 65536, 0).ns;
    assert_near(prompt_ns(ranks, 65536), tokens_ns(plain, 16384) + heads_ns(plain, 1) + attention / 4, 1e-6);
    enum cost_source ignored;
    double all = cost_model_decode_attention_ns(plain, 8, 8 * 100000.0, &ignored);
    double none = cost_model_decode_attention_ns(plain, 8, 0, &ignored);
    double together = 32 * (2 * 1000 + 2 * 0.75 * 8 * (2 * 2 * 4096) / 50);
    assert_near(cost_model_decode_attention_ns(ranks, 8, 8 * 100000.0, &ignored), none + (all - none) / 4 + together,
                1e-9);
    assert_near((double)cost_model_kv_tokens(ranks, 1, 1), 4.0 * (double)cost_model_kv_tokens(plain, 1, 1), 1e-4);
    drop(plain);
    drop(ranks);
}

/* A pass that checks 21 rows and yields 4 tokens, proposed for nothing. Two sequences that go on together accept a
 * token with a chance of 0.49: 1.49 tokens a pass of one. */
static void test_speculation_of_trees_and_batches(void **state)
{
    (void)state;
    struct cost_model *plain = made(""),
                      *tree = made("{\"name\": \"speculation\", \"draft_model\": \"none\", \"draft_tokens\": 5, "
                                   "\"checked_rows\": 21, \"tokens_per_pass\": 4}"),
                      *together = made("{\"name\": \"speculation\", \"draft_tokens\": 1, \"acceptance\": 0.7, "
                                       "\"together\": true}"),
                      *ragged = made("{\"name\": \"speculation\", \"draft_tokens\": 1, \"acceptance\": 0.7}");
    enum cost_source ignored;
    double attention = cost_model_decode_attention_ns(tree, 1, 1000, &ignored);
    assert_near(decode_ns(tree, 1, 999), (tokens_ns(plain, 21) + heads_ns(plain, 21) + attention) / 4, 1e-6);
    assert_true(tree->draft == NULL && tree->work.weight_bytes == plain->work.weight_bytes);
    assert_near(decode_ns(together, 2, 999) * 1.49, decode_ns(ragged, 2, 999) * 1.7, 1e-6);
    assert_near(decode_ns(together, 1, 999), decode_ns(ragged, 1, 999), 1e-9);
    drop(plain);
    drop(tree);
    drop(together);
    drop(ragged);
}

/* Of 4 096 tokens 1 024 are computed and attend to all; 3 072 of 131 072 bytes come at 4 GB/s in 100.7 ms, next to what
 * there is to compute. */
static void test_kv_that_is_loaded(void **state)
{
    (void)state;
    struct cost_model *plain = made(""),
                      *reuse = made("{\"name\": \"kv_reuse\", \"loaded_share\": 0.75, \"bytes_per_s\": 4e9}");
    double attention = plain->backend.prefill_piece(plain->backend.self, 4096, 0).ns / 4, loads = 3072 * 131072.0 / 4;
    double computes = attention + tokens_ns(plain, 1024);
    assert_near(prompt_ns(reuse, 4096), computes + heads_ns(plain, 1) + loads - fmin(computes, loads), 1e-6);
    assert_near(decode_ns(reuse, 8, 999), decode_ns(plain, 8, 999), 1e-9);
    drop(plain);
    drop(reuse);
}

/* An adapter of rank 16 has 2·16·(6 144 + 3·4 096 + 4 096 + 4 096) bytes in each of 32 layers: 27 MB. Of two adapters
 * one request has one, two requests have 1.5 on average. */
static void test_adapters(void **state)
{
    (void)state;
    struct cost_model *plain = made(""), *adapters = made("{\"name\": \"adapters\", \"count\": 2, \"rank\": 16}");
    double bytes = 32 * 2.0 * 16 * (6144 + 3 * 4096 + 4096 + 4096), each = bytes / (3.35e3 * 0.85);
    double launches = 8 * 32 * plain->device.launch_ns;
    assert_near(decode_ns(adapters, 1, 999), decode_ns(plain, 1, 999) + each + launches, 1e-6);
    assert_near(decode_ns(adapters, 2, 999), decode_ns(plain, 2, 999) + 1.5 * each + launches, 1e-6);
    assert_near(adapters->work.weight_bytes, plain->work.weight_bytes + 2 * bytes, 1e-12);
    drop(plain);
    drop(adapters);
}

/* Five rows are checked of each of two sequences, which have an adapter each: 1.5 on average, not those of ten. */
static void test_adapters_of_checked_rows(void **state)
{
    (void)state;
#define CHECKED "{\"name\": \"speculation\", \"draft_model\": \"none\", \"draft_tokens\": 4, \"acceptance\": 0.7}"
    struct cost_model *plain = made(CHECKED),
                      *adapters = made(CHECKED ", {\"name\": \"adapters\", \"count\": 2, \"rank\": 16}");
    double by[COST_SOURCES] = {0}, bytes = 32 * 2.0 * 16 * (6144 + 3 * 4096 + 4096 + 4096);
    double more = 1.5 * bytes / (3.35e3 * 0.85) + 8 * 32 * plain->device.launch_ns;
    assert_near(adapters->backend.head_ns(adapters->backend.self, 10, by),
                plain->backend.head_ns(plain->backend.self, 10, by) + more, 1e-9);
    drop(plain);
    drop(adapters);
}

/* A pass yields (1 − 0.7^5) / 0.3 = 2.7731 tokens, each of which has its part of the second that the host takes. */
static void test_the_host_works_once_a_pass(void **state)
{
    (void)state;
    host_ns = 1e9;
    ahead = true;
    struct cost_model *plain = made(""), *checked = made(CHECKED);
    assert_near(decode_ns(plain, 1, 99), 1e9 + plain->device.host_ns_per_sequence, 1e-9);
    assert_near(decode_ns(checked, 1, 99), (1e9 + checked->device.host_ns_per_sequence) / 2.7731, 1e-9);
    host_ns = 0;
    ahead = false;
    drop(plain);
    drop(checked);
}

/* Each of two stages loads its own half of the weights, and reads its layers' part of the adapters; which change is
 * made first does not matter. */
static void test_stages_load_and_read_their_own(void **state)
{
    (void)state;
#define LOADED "{\"name\": \"weights_source\", \"resident_share\": 0.5}"
#define ADAPTED "{\"name\": \"adapters\", \"count\": 2, \"rank\": 16}"
    double loads = 0, weights = 0, adapters = 0, bytes = 32 * 2.0 * 16 * (6144 + 3 * 4096 + 4096 + 4096);
    struct cost_model *whole = made("");
    stages = 2;
    for (stage = 0; stage < 2; stage++) {
        struct cost_model *plain = made(""), *loaded = made(LOADED ", " ADAPTED), *again = made(ADAPTED ", " LOADED);
        loads += (tokens_ns(loaded, 1) - tokens_ns(plain, 1)) * 25;
        weights += loaded->work.weight_bytes;
        adapters += loaded->work.adapters.bytes;
        assert_near(loaded->work.weight_bytes, plain->work.weight_bytes / 2 + bytes, 1e-12);
        assert_near(again->work.weight_bytes, loaded->work.weight_bytes, 1e-12);
        assert_near(tokens_ns(again, 1), tokens_ns(loaded, 1), 1e-12);
        drop(plain);
        drop(loaded);
        drop(again);
    }
    stages = 1;
    stage = 0;
    assert_near(loads, whole->work.weight_bytes / 2, 1e-9);
    assert_near(weights, whole->work.weight_bytes / 2 + 2 * bytes, 1e-12);
    assert_near(adapters, bytes, 1e-12);
    drop(whole);
}

/* Two replicas on a GPU, 10 ms of host work: 8 short decodes take less than that on the GPU, and nothing changes; 64 of
 * 20 000 tokens more, and so does a prompt of 16 384: each waits for the kernels of both. Half of the memory. */
static void test_replicas_that_share_a_gpu(void **state)
{
    (void)state;
    host_ns = 1e7;
    struct cost_model *plain = made(""), *shared = made("{\"name\": \"shared_gpu\", \"replicas\": 2}");
    assert_near(decode_ns(shared, 8, 999), decode_ns(plain, 8, 999), 1e-9);
    assert_near(decode_ns(shared, 64, 20000), 2 * (decode_ns(plain, 64, 20000) - host_ns), 1e-9);
    assert_near(prompt_ns(shared, 16384), 2 * (prompt_ns(plain, 16384) - host_ns), 1e-9);
    assert_near(prompt_ns(shared, 16), prompt_ns(plain, 16), 1e-9);
    uint64_t whole = cost_model_kv_tokens(plain, 1, 1), part = cost_model_kv_tokens(shared, 1, 1);
    double less = plain->device.memory_bytes / 2 * plain->device.memory_utilization / plain->work.kv_bytes_per_token;
    assert_near((double)part, (double)whole - less, 1e-4);
    host_ns = 0;
    drop(plain);
    drop(shared);
}

/* Eight decodes are filled up to 64 tokens, each of the 56 others worth three: 8 + 168 rows. Of 64 and more nothing is
 * filled. */
static void test_background_work(void **state)
{
    (void)state;
    struct cost_model *plain = made(""), *filled = made("{\"name\": \"background\", \"tokens\": 64, \"cost\": 3}");
    assert_near(decode_ns(filled, 8, 999), decode_ns(plain, 8, 999) + tokens_ns(plain, 176) - tokens_ns(plain, 8),
                1e-6);
    assert_near(decode_ns(filled, 64, 999), decode_ns(plain, 64, 999), 1e-9);
    assert_near(prompt_ns(filled, 512), prompt_ns(plain, 512), 1e-9);
    drop(plain);
    drop(filled);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *changes, *text;
    } wrong[] = {
        {"{\"name\": \"kv_read\"}, {\"name\": \"kv_read\"}", "two of them choose the KV that decodes read"},
        {"{\"name\": \"prompt_keep\"}, {\"name\": \"prompt_keep\"}", "two of them choose the prompt tokens that go on"},
        {"{\"name\": \"phase_model\"}", "expected a model for prompts or for decodes, found none"},
        {"{\"name\": \"phase_model\", \"prompts\": \"llama-3.2-1b\", \"decodes\": \"llama-3.2-1b\"}",
         "found one for each"},
        {"{\"name\": \"phase_model\", \"decodes\": \"llama-3.2-1b\"}, {\"name\": \"speculation\"}",
         "phase_model and speculation both choose what decodes run through"},
        {"{\"name\": \"phase_model\", \"prompts\": \"llama-3.2-1b\"}, {\"name\": \"prompt_keep\"}",
         "phase_model and prompt_keep both choose what prompts run through"},
        {"{\"name\": \"prompt_keep\"}, {\"name\": \"speculation\"}",
         "speculation together with prompt_keep is not costed"},
        {"{\"name\": \"kv_reuse\"}, {\"name\": \"prompt_keep\"}",
         "kv_reuse together with prompt_keep or sequence_ranks is not costed"},
        {"{\"name\": \"shared_gpu\"}, {\"name\": \"speculation\"}",
         "shared_gpu together with speculation, phase_model or data_parallel is not costed"},
        {"{\"name\": \"phase_model\", \"decodes\": \"llama-3.2-1b\"}, {\"name\": \"kv_read\", \"share\": 0.1}",
         "phase_model together with a change of the KV that decodes read is not costed"},
        {"{\"name\": \"kv_cache\", \"bytes_per_value\": 0.5}, {\"name\": \"phase_model\", \"decodes\": "
         "\"llama-3.2-1b\"}",
         "phase_model together with a change of the KV that decodes read is not costed"},
        {"{\"name\": \"phase_model\", \"prompts\": \"llama-3.2-1b\"}, {\"name\": \"attention_density\"}",
         "phase_model together with attention_density is not costed"},
        {"{\"name\": \"prefill_layers\"}, {\"name\": \"phase_model\", \"prompts\": \"llama-3.2-1b\"}",
         "phase_model together with prefill_layers is not costed"},
        {"{\"name\": \"weights_source\"}, {\"name\": \"phase_model\", \"prompts\": \"llama-3.2-1b\"}",
         "phase_model together with weights_source is not costed"},
        {"{\"name\": \"phase_model\", \"decodes\": \"llama-3.2-1b\"}, {\"name\": \"adapters\"}",
         "phase_model together with adapters is not costed"},
        {"{\"name\": \"speculation\"}, {\"name\": \"background\"}",
         "speculation together with background is not costed"},
        {"{\"name\": \"speculation\"}, {\"name\": \"overlap\", \"kernels\": 0.5}",
         "speculation together with overlapped kernels is not costed"},
        {"{\"name\": \"adapters\"}, {\"name\": \"adapters\"}", "two of them give requests adapters"},
        {"{\"name\": \"weights_source\", \"experts\": true}", "the model has no experts to load"},
        {"{\"name\": \"speculation\", \"tokens_per_pass\": 0.5}", "expected 0 or at least 1, found 0.5"},
        {"{\"name\": \"prefill_layers\", \"attention\": \"windowed\"}", "the model has no layers with a window"},
        {"{\"name\": \"kv_raed\"}", "found \"kv_raed\"; did you mean \"kv_read\"?"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct cost_model cm;
        struct error err = {0};
        assert_int_equal(create_on("llama-3.1-8b", 1, wrong[i].changes, &cm, &err), -1);
        if (!strstr(err.text, wrong[i].text))
            fail_msg("expected \"%s\", found \"%s\"", wrong[i].text, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_of_the_kv_is_read),
        cmocka_unit_test(test_a_shared_prefix_is_read_once),
        cmocka_unit_test(test_prompt_tokens_that_go_on),
        cmocka_unit_test(test_a_model_for_each_phase),
        cmocka_unit_test(test_attention_next_to_gemms),
        cmocka_unit_test(test_communication_next_to_kernels),
        cmocka_unit_test(test_weights_that_are_loaded),
        cmocka_unit_test(test_ranks_that_share_a_sequence),
        cmocka_unit_test(test_speculation_of_trees_and_batches),
        cmocka_unit_test(test_kv_that_is_loaded),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_adapters_of_checked_rows),
        cmocka_unit_test(test_the_host_works_once_a_pass),
        cmocka_unit_test(test_stages_load_and_read_their_own),
        cmocka_unit_test(test_replicas_that_share_a_gpu),
        cmocka_unit_test(test_background_work),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
