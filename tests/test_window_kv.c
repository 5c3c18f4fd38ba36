/* SPDX-License-Identifier: MIT */
/* Layers with a window keep KV of their window alone, in groups that share one pool (workloads/kv_layout.h). The tiny
 * model has one group that keeps every token and five that see 8 tokens; blocks hold 4. */
#include "tests/harness.h"

static struct bench_replica b;

static const struct kv_groups tiny = {.full = 1, .windowed = 5, .window = 8};

static void begin(const char *policy, uint64_t blocks, bool prefix_caching)
{
    b.kv_groups = tiny;
    b.prefix_caching = prefix_caching;
    bench_init(&b, policy, blocks);
    b.prefix_caching = false;
}

static void end(void)
{
    assert_int_equal(b.replica->running.count, 0);
    assert_int_equal(b.replica->kv->free_blocks, b.replica->kv->total_blocks);
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    replica_destroy(b.replica);
    b.kv_groups = (struct kv_groups){0};
}

/* Runs one iteration; returns the blocks that were taken while it ran. */
static uint64_t blocks_of_a_step(void)
{
    sim_time next = replica_start(b.replica, b.now);
    uint64_t taken = b.replica->kv->total_blocks - b.replica->kv->free_blocks;
    assert_true(b.replica->busy);
    b.now = next;
    replica_finish(b.replica, next);
    return taken;
}

/* While token t is computed, the group that keeps every token has ⌈t/4⌉ blocks and each windowed one
 * ⌈t/4⌉ − ⌊max(0, t − 8)/4⌋: from the 13th token on a block that is taken (t = 13, 17) finds one given back before
 * (t = 12, 16, 20). */
static void test_blocks_at_every_token_count(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        1 + 5,  1 + 5,  1 + 5,  1 + 5,   /* 1 … 4 */
        2 + 10, 2 + 10, 2 + 10, 2 + 10,  /* 5 … 8 */
        3 + 15, 3 + 15, 3 + 15, 3 + 10,  /* 9 … 11: the first block is half in the window; 12: it is out */
        4 + 15, 4 + 15, 4 + 15, 4 + 10,  /* 13 … 16 */
        5 + 15, 5 + 15, 5 + 15, 5 + 10}; /* 17 … 20 */
    begin("{\"name\": \"unified_budget\"}", 100, false);
    bench_arrive(&b, 0, 1, 20);
    for (size_t t = 0; t < 20; t++)
        assert_int_equal(blocks_of_a_step(), expected[t]);
    end();
}

/* A prompt of 20 in chunks of 6. After c tokens the next one sees c − 7 and later, so ⌊(c + 1 − 8)/4⌋ blocks go:
 * 2 blocks; 3; 5 less 1 (c = 12); 5 less 2 (c = 18); then token 21: 6 less 3 (c = 20). Whole, it needs all its blocks
 * while it is computed: 5 in 6 groups. */
static void test_a_prompt_in_chunks(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\", \"token_budget\": 6}", 100, false);
    bench_arrive(&b, 0, 20, 2);
    assert_int_equal(blocks_of_a_step(), 2 + 10);
    assert_int_equal(blocks_of_a_step(), 3 + 15);
    assert_int_equal(blocks_of_a_step(), 5 + 20);
    assert_int_equal(blocks_of_a_step(), 5 + 15);
    assert_int_equal(blocks_of_a_step(), 6 + 15);
    end();
    begin("{\"name\": \"unified_budget\"}", 100, false);
    bench_arrive(&b, 0, 20, 2);
    assert_int_equal(blocks_of_a_step(), 30);
    assert_int_equal(blocks_of_a_step(), 6 + 15);
    end();
}

/* 4 + 17 tokens reserved: 6 blocks in the full group. A windowed one reserves what its next iteration can need: 7
 * tokens before 4 new ones, ⌈11/4⌉ + 1 = 4 blocks, then 7 before 1, ⌈8/4⌉ + 1 = 3, which it uses again and again. */
static void test_what_is_reserved_ahead_is_used_again(void **state)
{
    (void)state;
    begin("{\"name\": \"continuous\"}", 100, false);
    bench_arrive(&b, 0, 4, 17);
    assert_int_equal(blocks_of_a_step(), 6 + 20);
    for (int t = 5; t <= 20; t++)
        assert_int_equal(blocks_of_a_step(), 6 + 15);
    end();
}

/* 26 blocks: two prompts of 4 take 12, and 5 … 8 tokens each 24. For their 9th tokens 12 more are needed, so the second
 * one goes; the first one takes up to 20 blocks (17 … 19 tokens), and the second comes back when 12 are free. */
static void test_preemption_gives_all_groups_blocks_back(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 26, false);
    bench_arrive(&b, 0, 4, 16);
    bench_arrive(&b, 1, 4, 16);
    assert_int_equal(blocks_of_a_step(), 12);
    for (int t = 5; t <= 8; t++)
        assert_int_equal(blocks_of_a_step(), 24);
    assert_int_equal(blocks_of_a_step(), 18);
    assert_int_equal(b.preempted_count, 1);
    assert_int_equal(b.preempted[0], 1);
    while (b.finished_count < 2)
        (void)blocks_of_a_step();
    end();
}

/* With 18 tokens done, 5 blocks in the full group and blocks 3, 4 and 5 in each windowed one: 20. Its 4 full blocks
 * can be found again with blocks 3 and 4 of the windows, 14 in all, but nothing once a single block has been taken. */
static void test_its_own_blocks_are_found_again_only_together(void **state)
{
    (void)state;
    const struct kv_layout layout = {.block_tokens = 4, .step_tokens = 1000, .groups = tiny};
    struct kv_pool pool;
    for (int taken = 0; taken < 2; taken++) {
        struct request r = {.prompt_tokens = 19, .preemptions = 1}, other = {.prompt_tokens = 4};
        assert_int_equal(kv_pool_init(&pool, 26, &layout, true), 0);
        assert_true(kv_pool_reserve(&pool, &r, 16, 0));
        r.computed = 16;
        kv_pool_slide(&pool, &r, 1);
        assert_true(kv_pool_reserve(&pool, &r, 18, 1));
        r.computed = 18;
        kv_pool_slide(&pool, &r, 2);
        assert_int_equal(kv_pool_held(&pool, &r), 5 + 15);
        kv_pool_release_preempted(&pool, &r, 3);
        r.computed = 0;
        assert_int_equal(pool.free_blocks, 26);
        if (taken) {
            assert_true(kv_pool_reserve(&pool, &other, 4, 4)); /* the 2 that nobody had, and some given back */
            assert_true(kv_pool_reserve(&pool, &other, 8, 4));
        }
        struct kv_found found = kv_pool_find(&pool, &r);
        assert_int_equal(found.blocks, taken ? 0 : 4);
        kv_pool_reclaim(&pool, &r, &found, 5);
        assert_int_equal(kv_pool_held(&pool, &r), taken ? 0 : 4 + 10);
        kv_pool_release(&pool, &r, 6);
        kv_pool_release(&pool, &other, 6);
        assert_int_equal(pool.free_blocks, 26);
        assert_int_equal(pool.allocated, pool.freed);
        kv_pool_destroy(&pool);
    }
}

/* A common prefix of 16 tokens, 4 blocks. 0 has computed its 20 tokens; its windows hold blocks 4 and 5 and have given
 * 1 to 3 back, which can still be found. 1 comes with the same prefix: the token after it sees blocks 3 and 4. While it
 * computes its last 2 tokens, 0 has 6 + 15 blocks, and 1 takes a fifth block in all 6 groups and block 3 in 5. Of what
 * 1 finds, 0 holds the 4 blocks of the full group and block 4 in 5 groups. */
static void test_a_prefix_needs_its_last_window(void **state)
{
    (void)state;
    static const struct origin group = {.prefix_group = 1, .prefix_tokens = 16};
    begin("{\"name\": \"unified_budget\"}", 100, true);
    bench_arrive_from(&b, 0, 20, 3, group);
    assert_int_equal(blocks_of_a_step(), 30);
    struct request second = {.prompt_tokens = 18, .origin = group};
    struct kv_found found = kv_pool_find(b.replica->kv, &second);
    assert_int_equal(found.blocks, 4);
    assert_int_equal(found.left, 2);
    assert_int_equal(found.in_use, 4 + 5);
    bench_arrive_from(&b, 1, 18, 1, group);
    assert_int_equal(blocks_of_a_step(), 21 + 6 + 5);
    assert_int_equal(b.requests[1].prefix_cached_tokens, 16);
    while (b.finished_count < 2)
        (void)blocks_of_a_step();
    end();
}

/* 0 has computed 20 tokens of such a prompt; its windows have given blocks 3, 2 and 1 back, 5 each, in this order,
 * behind 32 blocks that nobody had. 36 are taken, so block 3 of the windows is gone. Then 1 finds no more than blocks 1
 * and 2, after which the next token sees these two, though the full group has all 4. */
static void test_a_prefix_is_found_where_its_window_is_left(void **state)
{
    (void)state;
    struct request other = {.prompt_tokens = 24}, late = {.prompt_tokens = 18};
    late.origin = (struct origin){.prefix_group = 1, .prefix_tokens = 16};
    begin("{\"name\": \"unified_budget\"}", 62, true);
    struct kv_pool *pool = b.replica->kv;
    bench_arrive_from(&b, 0, 20, 2, late.origin);
    assert_int_equal(blocks_of_a_step(), 30);
    assert_int_equal(kv_pool_find(pool, &late).blocks, 4);
    assert_true(kv_pool_reserve(pool, &other, 24, b.now));
    assert_int_equal(kv_pool_held(pool, &other), 36);
    struct kv_found found = kv_pool_find(pool, &late);
    assert_int_equal(found.blocks, 2);
    assert_int_equal(found.left, 0);
    assert_int_equal(found.in_use, 2); /* 0 holds these two in the full group, and no window */
    kv_pool_release(pool, &other, b.now);
    (void)blocks_of_a_step();
    end();
}

/* Layers of one kind to a group: as many as the rarer kind has, or as the other one where that has less than half as
 * many more. gemma-3-4b, 29 of 34 with a window: 5 to a group, as many as vLLM's KV tensors (vllm-project/vllm pull
 * request 23079); 27b, 52 of 62: 10, 6 groups with a window; gpt-oss-120b 18 and 18; 12 and 13: 13 and 13. */
static void test_groups_of_layers(void **state)
{
    (void)state;
    static const uint32_t cases[][6] = {/* layers, windowed, uniform; a group, full, windowed */
                                        {34, 29, 0, 5, 1, 6},  {62, 52, 0, 10, 1, 6}, {36, 18, 0, 18, 1, 1},
                                        {25, 12, 0, 13, 1, 1}, {12, 4, 0, 4, 2, 1},   {32, 32, 0, 32, 0, 1},
                                        {32, 0, 0, 32, 1, 0},  {34, 29, 1, 34, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t *c = cases[i];
        uint32_t layers = 0;
        struct model m = {
            .layers = c[0], .attention_layers = c[0], .windowed_layers = c[1], .window = 1024, .uniform_kv = c[2]};
        struct kv_groups groups = model_kv_groups(&m, &layers);
        assert_int_equal(layers, c[3]);
        assert_int_equal(groups.full, c[4]);
        assert_int_equal(groups.windowed, c[5]);
    }
}

/* vLLM says that gpt-oss-120b needs 4.54 GiB for a request of 131 072 tokens when an iteration has at most 1 024
 * (vllm-project/vllm issue 27508): 8 192 blocks of 16 tokens, and ⌈(127 + 1 024)/16⌉ + 1 = 73 with a window, each of 18
 * layers · 16 tokens · 2 048 bytes. */
static void test_gpt_oss_needs_as_much_as_vllm_says(void **state)
{
    (void)state;
    struct error err = {0};
    struct model m;
    uint32_t layers = 0;
    expect_ok(model_load("gpt-oss-120b", &m, &err), &err);
    struct kv_layout layout = {.block_tokens = 16, .step_tokens = 1024, .groups = model_kv_groups(&m, &layers)};
    uint64_t blocks = kv_layout_blocks(&layout, 131072, 0, 1024);
    assert_int_equal(blocks, 8192 + 73);
    double gib = (double)blocks * 16 * layers * model_kv_bytes_per_token(&m) / m.layers / (1 << 30);
    assert_true(gib > 4.535 && gib < 4.545);
}

static struct simulation *with_engine(const char *engine)
{
    char text[600];
    snprintf(text, sizeof text,
             "{\"model\": \"tests/data/windows.json\", \"device\": \"h100-sxm\", \"engine\": %s, \"workload\": "
             "{\"arrivals\": \"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": "
             "10}, \"output\": {\"name\": \"fixed\", \"tokens\": 10}}}}",
             engine);
    return open_simulation(text);
}

/* 5 layers keep every token and 27 the last 70: groups of 5, a block of which has 5 · 16 tokens · 4 096 bytes; an
 * engine that keeps every token has blocks of all 32 layers, and as many fewer. */
static void test_the_pool_has_blocks_of_one_group(void **state)
{
    (void)state;
    struct simulation *hybrid = with_engine("\"vllm-0.19\"");
    struct simulation *uniform = with_engine("{\"preset\": \"vllm-0.19\", \"kv_groups\": \"uniform\"}");
    const struct replica_config *h = &hybrid->scenario.cluster.pools[0].replica;
    const struct replica_config *u = &uniform->scenario.cluster.pools[0].replica;
    assert_true(hybrid->scenario.pools[0].cost.work.kv_bytes_per_token == 5 * 4096);
    assert_true(uniform->scenario.pools[0].cost.work.kv_bytes_per_token == 32 * 4096);
    assert_int_equal(h->kv_groups.windowed, 6);
    assert_int_equal(u->kv_groups.windowed, 0);
    assert_int_equal(u->kv_blocks, h->kv_blocks * 5 / 32);
    assert_int_equal(h->step_tokens, 8192); /* as vLLM starts on an H100 */
    simulation_close(hybrid);
    simulation_close(uniform);
}

static void test_kv_groups_are_hybrid_or_uniform(void **state)
{
    (void)state;
    struct json root;
    struct engine engine;
    struct error err = {0};
    expect_ok(json_parse("{\"kv_groups\": \"both\"}", "test", &root, &err), &err);
    assert_int_equal(engine_read(&root, &engine, &err), -1);
    assert_non_null(strstr(err.text, "kv_groups"));
    assert_non_null(strstr(err.text, "\"hybrid\" or \"uniform\""));
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* Of 20 tokens in blocks of 4, windowed layers have given 3 blocks back: 20 tokens of 10 bytes and 8 of 52. */
static void test_a_transfer_carries_what_the_groups_hold(void **state)
{
    (void)state;
    const struct kv_wire wire = {.bytes_per_token = 10,
                                 .window_bytes = 52,
                                 .layout = {.block_tokens = 4, .groups = tiny}};
    struct request r = {.computed = 20};
    assert_true(kv_bytes(&wire, &r) == 200 + 416);
}

/* A prompt of 614 tokens in chunks of 32 is swapped out at 320. The pool of 1897 blocks takes it back: 614 of the group
 * that keeps all, and 6 · (70 + 95) of those with a window. What it has in host memory is its own, and needs no room
 * next to that; when it was counted so, 2024 blocks were asked for, and it waited for ever. */
static void test_what_was_swapped_out_comes_back(void **state)
{
    (void)state;
    struct run_summary r;
    run_scenario("{\"seed\": 57322, \"model\": \"tests/data/windows.json\", \"device\": \"a100-80gb\", \"cluster\": "
                 "{\"replicas\": 4}, "
                 "\"policy\": {\"preemption\": {\"name\": \"swap\", \"host_bytes\": 5e7, \"bytes_per_s\": 2e9}, "
                 "\"batching\": {\"name\": "
                 "\"unified_budget\", \"token_budget\": 96, \"long_prefill_threshold\": 32, \"max_sequences\": 11}, "
                 "\"kv_block_tokens\": 1, \"kv_blocks\": 1897}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", "
                 "\"rate_per_s\": "
                 "52}, \"requests\": 53, \"lengths\": {\"prompt\": {\"name\": \"lognormal\", \"median\": 100, "
                 "\"sigma\": 1, \"max\": "
                 "700}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": 45}}}}",
                 &r);
    assert_int_equal(r.totals.finished, 53);
    assert_true(r.preemptions > 0 && r.totals.kv_held == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_at_every_token_count),
        cmocka_unit_test(test_a_prompt_in_chunks),
        cmocka_unit_test(test_what_is_reserved_ahead_is_used_again),
        cmocka_unit_test(test_preemption_gives_all_groups_blocks_back),
        cmocka_unit_test(test_its_own_blocks_are_found_again_only_together),
        cmocka_unit_test(test_a_prefix_needs_its_last_window),
        cmocka_unit_test(test_a_prefix_is_found_where_its_window_is_left),
        cmocka_unit_test(test_groups_of_layers),
        cmocka_unit_test(test_gpt_oss_needs_as_much_as_vllm_says),
        cmocka_unit_test(test_the_pool_has_blocks_of_one_group),
        cmocka_unit_test(test_kv_groups_are_hybrid_or_uniform),
        cmocka_unit_test(test_what_was_swapped_out_comes_back),
        cmocka_unit_test(test_a_transfer_carries_what_the_groups_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
