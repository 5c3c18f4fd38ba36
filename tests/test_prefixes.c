/* SPDX-License-Identifier: MIT */
/* Prefix caching between requests: groups with a common prefix, conversations, hashes of a trace. Blocks hold 4 tokens.
 */
#include "tests/harness.h"

#include <unistd.h>

#include "base/random.h"
#include "workloads/trace.h"

#define MOONCAKE DATA "traces/mooncake_conversation.jsonl"

static struct bench_replica b;

static void begin(const char *policy, uint64_t blocks)
{
    b.prefix_caching = true;
    bench_init(&b, policy, blocks);
    b.prefix_caching = false;
}

static void end(void)
{
    assert_int_equal(b.replica->kv->free_blocks, b.replica->kv->total_blocks);
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    replica_destroy(b.replica);
}

static const struct origin group = {.prefix_group = 1, .prefix_tokens = 10};

/* Its server is given back, and another one starts: what it had is gone. */
static void test_a_server_that_is_given_back_keeps_no_prefix(void **state)
{
    (void)state;
    struct error err = {0};
    begin("{\"name\": \"unified_budget\"}", 100);
    bench_arrive_from(&b, 0, 14, 1, group);
    bench_step(&b, "0:14");
    expect_ok(replica_forget(b.replica, b.now, &err), &err);
    bench_arrive_from(&b, 1, 13, 1, group);
    bench_step(&b, "1:13");
    bench_arrive_from(&b, 2, 13, 1, group);
    bench_step(&b, "2:5");
    end();
}

/* Of 10 common tokens 2 whole blocks can be shared. 0 computes all of its 14; 1, which comes when 0 still decodes,
 * finds 8 and computes 2 + 3 of its 13; 2 has another prefix and finds nothing. */
static void test_a_common_prefix_is_computed_once(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 100);
    bench_arrive_from(&b, 0, 14, 3, group);
    bench_step(&b, "0:14");
    bench_arrive_from(&b, 1, 13, 1, group);
    bench_arrive_from(&b, 2, 13, 1, (struct origin){.prefix_group = 2, .prefix_tokens = 10});
    assert_int_equal(b.replica->kv->free_blocks, 96); /* 14 tokens: 4 blocks */
    bench_step(&b, "0:1 1:5 2:13");
    assert_int_equal(b.requests[1].prefix_cached_tokens, 8);
    assert_int_equal(b.requests[1].recomputed_tokens, 0);
    assert_int_equal(b.requests[2].prefix_cached_tokens, 0);
    assert_int_equal(b.replica->kv->peak_blocks, 4 + 2 + 4); /* 1 takes 4 blocks, 2 of which are 0's */
    bench_step(&b, "0:1");
    end();
}

/* Who runs holds the prefix, so a pool of 6 blocks has room for a second one: 4 + 2. Without prefix caching 1 waits. */
static void test_what_is_shared_need_not_be_free(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 6);
    bench_arrive_from(&b, 0, 14, 2, group);
    bench_step(&b, "0:14");
    bench_arrive_from(&b, 1, 13, 1, group);
    bench_step(&b, "0:1 1:5");
    end();
    bench_init(&b, "{\"name\": \"unified_budget\"}", 6);
    bench_arrive_from(&b, 0, 14, 2, group);
    bench_step(&b, "0:14");
    bench_arrive_from(&b, 1, 13, 1, group);
    bench_step(&b, "0:1");
    bench_step(&b, "1:13");
    end();
}

/* Two requests of one batch. Under vLLM v1's rule the second finds the 8 tokens of the first, which are only scheduled,
 * and computes 2 + 4 of its own: 4 + 2 blocks. Under all others it computes 14. */
static void test_a_prefix_is_found_in_its_own_batch(void **state)
{
    (void)state;
    static const char *const policies[][2] = {
        {"{\"name\": \"unified_budget\"}", "0:14 1:6"}, {"{\"name\": \"chunked_prefill\"}", "0:14 1:14"},
        {"{\"name\": \"prefill_first\"}", "0:14 1:14"}, {"{\"name\": \"continuous\"}", "0:14 1:14"},
        {"{\"name\": \"lightllm\"}", "0:14 1:14"},
    };
    for (int i = 0; i < 5; i++) {
        begin(policies[i][0], 100);
        bench_arrive_from(&b, 0, 14, 1, group);
        bench_arrive_from(&b, 1, 14, 1, group);
        bench_step(&b, policies[i][1]);
        assert_int_equal(b.requests[1].prefix_cached_tokens, i == 0 ? 8 : 0);
        assert_int_equal(b.replica->kv->peak_blocks, i == 0 ? 6 : 8);
        end();
    }
}

/* A chunk of 6 shares its first block: 1 finds 4 tokens, computes 4 and shares the second block, which is found when 0
 * comes to it. A chunk that 0 was to compute, and did not, is found by nobody: 2 computes all of its prompt. */
static void test_only_what_is_scheduled_is_found(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\", \"long_prefill_threshold\": 6}", 100);
    bench_arrive_from(&b, 0, 14, 1, group);
    bench_arrive_from(&b, 1, 13, 1, group);
    bench_step(&b, "0:6 1:6");
    assert_int_equal(b.requests[1].prefix_cached_tokens, 4);
    bench_step(&b, "0:6 1:3");
    bench_step(&b, "0:2");
    end();
    struct kv_pool pool;
    struct request scheduled = {.prompt_tokens = 14, .origin = group}, other = {.prompt_tokens = 14, .origin = group};
    assert_int_equal(kv_pool_init(&pool, 10, &(struct kv_layout){.block_tokens = 4, .groups = {.full = 1}}, true), 0);
    assert_true(kv_pool_reserve(&pool, &scheduled, 14, 0));
    kv_pool_share(&pool, &scheduled, 14, 0);
    assert_int_equal(kv_pool_find(&pool, &other).blocks, 2);
    kv_pool_unshare(&pool, &scheduled, 0);
    assert_int_equal(kv_pool_find(&pool, &other).blocks, 0);
    assert_int_equal(scheduled.unit_blocks, 0);
    kv_pool_release(&pool, &scheduled, 1);
    assert_int_equal(pool.free_blocks, 10);
    kv_pool_destroy(&pool);
}

/* Two blocks are shared that 0 has scheduled and 1 holds, too. 0 is preempted: they are 1's, and 0 gives back its other
 * two. */
static void test_what_others_hold_stays_when_it_was_only_scheduled(void **state)
{
    (void)state;
    struct kv_pool pool;
    struct request first = {.prompt_tokens = 14, .origin = group}, second = {.prompt_tokens = 14, .origin = group};
    assert_int_equal(kv_pool_init(&pool, 10, &(struct kv_layout){.block_tokens = 4, .groups = {.full = 1}}, true), 0);
    assert_true(kv_pool_reserve(&pool, &first, 14, 0));
    kv_pool_share(&pool, &first, 14, 0);
    struct kv_found found = kv_pool_find(&pool, &second);
    kv_pool_reclaim(&pool, &second, &found, 0);
    kv_pool_unshare(&pool, &first, 0);
    kv_pool_release(&pool, &first, 1);
    assert_int_equal(pool.free_blocks, 8);
    kv_pool_release(&pool, &second, 2);
    assert_int_equal(pool.free_blocks, 10);
    assert_int_equal(pool.allocated, pool.freed);
    kv_pool_destroy(&pool);
}

/* LightLLM's radix cache: while 0 decodes, 1 finds nothing of it; when 0 has finished, 2 finds 8 tokens. */
static void test_lightllm_finds_prefixes_of_finished_requests(void **state)
{
    (void)state;
    begin("{\"name\": \"lightllm\"}", 100);
    bench_arrive_from(&b, 0, 14, 2, group);
    bench_step(&b, "0:14");
    bench_arrive_from(&b, 1, 13, 1, group);
    bench_step(&b, "1:13");
    bench_step(&b, "0:1");
    bench_arrive_from(&b, 2, 13, 1, group);
    bench_step(&b, "2:5");
    end();
}

/* Two in one batch both compute the prefix; then one of the copies is given back: 4 + 4 blocks become 6. */
static void test_a_prefix_computed_twice_is_kept_once(void **state)
{
    (void)state;
    begin("{\"name\": \"chunked_prefill\"}", 100);
    bench_arrive_from(&b, 0, 14, 2, group);
    bench_arrive_from(&b, 1, 14, 2, group);
    bench_step(&b, "0:14 1:14");
    assert_int_equal(b.replica->kv->peak_blocks, 8);
    assert_int_equal(b.replica->kv->free_blocks, 94);
    bench_step(&b, "0:1 1:1");
    end();
}

/* 8 blocks. 0 leaves its 2 prefix blocks behind its other 2 in the queue: 4 blocks never used, 2, the prefix's second,
 * its first. 1 (of 6 blocks) takes the first six of them; 2, alone after it, still finds the whole prefix: the last
 * block of a unit's chain goes first, and both stand behind what was taken. 3, of 7 blocks, takes the second one, too.
 */
static void test_the_prefix_outlives_what_follows_it(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 8);
    bench_arrive_from(&b, 0, 14, 1, group);
    bench_step(&b, "0:14");
    bench_arrive(&b, 1, 24, 1);
    bench_step(&b, "1:24");
    bench_arrive_from(&b, 2, 14, 1, group);
    bench_step(&b, "2:6");
    bench_arrive(&b, 3, 28, 1);
    bench_step(&b, "3:28");
    bench_arrive_from(&b, 4, 14, 1, group);
    bench_step(&b, "4:10");
    assert_int_equal(b.requests[4].prefix_cached_tokens, 4);
    end();
}

/* The second turn begins with the first one's 9 tokens and 4 of its answer: of these 13, 12 have KV (the last token of
 * an answer is never computed), in 3 whole blocks. */
static void test_a_conversation_finds_what_was_said(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 100);
    bench_arrive_from(&b, 0, 9, 4, (struct origin){.session = 7});
    bench_step(&b, "0:9");
    for (int i = 0; i < 3; i++)
        bench_step(&b, "0:1");
    bench_arrive_from(&b, 1, 20, 1, (struct origin){.session = 7});
    bench_step(&b, "1:8");
    assert_int_equal(b.requests[1].prefix_cached_tokens, 12);
    bench_arrive_from(&b, 2, 20, 1, (struct origin){.session = 8});
    bench_step(&b, "2:20");
    end();
}

/* The newest token is always computed: of a prompt that is there as a whole, its last block. */
static void test_a_prompt_that_is_all_there_still_computes_its_last_block(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 100);
    const struct origin all = {.prefix_group = 1, .prefix_tokens = 12};
    bench_arrive_from(&b, 0, 12, 1, all);
    bench_step(&b, "0:12");
    bench_arrive_from(&b, 1, 12, 2, all);
    bench_step(&b, "1:4");
    bench_step(&b, "1:1");
    end();
}

/* 5 blocks: 0 holds 4 of them, 1 the same prefix and one more. 1's next token finds no room and 1 goes; when 0 is done,
 * 1 finds the prefix and its own block after it, 12 tokens, and computes its 13th alone. */
static void test_a_preempted_request_finds_prefix_and_own_blocks(void **state)
{
    (void)state;
    begin("{\"name\": \"unified_budget\"}", 5);
    const struct origin two = {.prefix_group = 1, .prefix_tokens = 8};
    bench_arrive_from(&b, 0, 12, 4, two);
    bench_step(&b, "0:12");
    bench_arrive_from(&b, 1, 12, 3, two);
    bench_step(&b, "0:1 1:4");
    assert_int_equal(b.replica->kv->free_blocks, 0);
    bench_step(&b, "0:1");
    assert_int_equal(b.preempted_count, 1);
    bench_step(&b, "0:1");
    bench_step(&b, "1:1");
    bench_step(&b, "1:1");
    assert_int_equal(b.requests[1].prefix_cached_tokens, 8);
    assert_int_equal(b.requests[1].cached_tokens, 8 + 12);
    assert_int_equal(b.requests[1].recomputed_tokens, 0);
    end();
}

/* Random adds, finds and removes against a plain array. */
static void test_unit_index_agrees_with_an_array(void **state)
{
    (void)state;
    struct unit_index index;
    bool there[200] = {false};
    gsl_rng *rng = random_stream_create(1, "unit index");
    assert_int_equal(unit_index_init(&index), 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t which = gsl_rng_uniform_int(rng, 200), key = which % 3 == 0 ? which * 1024 + 1 : random_mix(which);
        struct kv_unit *unit = unit_index_find(&index, key);
        assert_int_equal(unit != NULL, there[which]);
        if (unit) {
            assert_int_equal(unit->blocks, which);
            unit_index_remove(&index, key);
        } else {
            unit_index_add(&index, key)->blocks = (uint32_t)which;
        }
        there[which] = !there[which];
    }
    gsl_rng_free(rng);
    unit_index_release(&index);
}

/* What a cache without end would find of the Mooncake conversation trace: for each request the leading hashes that an
 * earlier request had. */
static double most_findable(void)
{
    static bool seen[1 << 20];
    struct request_source source;
    struct arrival a;
    struct error err = {0};
    double found = 0, asked = 0;
    expect_ok(trace_open(MOONCAKE, NULL, &source, &err), &err);
    while (source.next(source.state, &a, &err) == 1) {
        uint32_t whole = a.prompt_tokens / a.hash_tokens, hits = 0, most = (a.prompt_tokens - 1) / 16 * 16;
        whole = whole < a.hash_count ? whole : a.hash_count;
        while (hits < whole && seen[a.hashes[hits]])
            hits++;
        for (uint32_t i = 0; i < whole; i++)
            seen[a.hashes[i]] = true;
        found += hits * 512 < most ? hits * 512 : most;
        asked += a.prompt_tokens;
    }
    request_source_destroy(&source);
    return found / asked;
}

static void test_mooncake_hit_rate_is_the_trace_s_own_when_nothing_is_evicted(void **state)
{
    (void)state;
    if (access(MOONCAKE, R_OK) != 0) {
        print_message("skipped: %s is not here\n", MOONCAKE);
        skip();
    }
    struct run_summary summary;
    run_scenario("{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"trace\": \"" MOONCAKE
                 "\", \"rate_scale\": 0.05}, \"policy\": {\"prefix_caching\": true, \"kv_blocks\": 100000000}}",
                 &summary);
    assert_float_equal(summary.prefix_hit_rate, most_findable(), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_common_prefix_is_computed_once),
        cmocka_unit_test(test_a_server_that_is_given_back_keeps_no_prefix),
        cmocka_unit_test(test_what_is_shared_need_not_be_free),
        cmocka_unit_test(test_a_prefix_computed_twice_is_kept_once),
        cmocka_unit_test(test_a_prefix_is_found_in_its_own_batch),
        cmocka_unit_test(test_only_what_is_scheduled_is_found),
        cmocka_unit_test(test_what_others_hold_stays_when_it_was_only_scheduled),
        cmocka_unit_test(test_lightllm_finds_prefixes_of_finished_requests),
        cmocka_unit_test(test_the_prefix_outlives_what_follows_it),
        cmocka_unit_test(test_a_conversation_finds_what_was_said),
        cmocka_unit_test(test_a_prompt_that_is_all_there_still_computes_its_last_block),
        cmocka_unit_test(test_a_preempted_request_finds_prefix_and_own_blocks),
        cmocka_unit_test(test_unit_index_agrees_with_an_array),
        cmocka_unit_test(test_mooncake_hit_rate_is_the_trace_s_own_when_nothing_is_evicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
