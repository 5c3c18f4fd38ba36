/* SPDX-License-Identifier: MIT */
/* Successive batches of every batching policy, worked out by hand. Blocks hold 4 tokens. */
#include <unistd.h>

#include "base/sha256.h"
#include "policies/packing.h"
#include "policies/plugins.h"
#include "policies/scaling.h"
#include "tests/harness.h"

static struct bench_replica b;

static void end(void)
{
    replica_destroy(b.replica);
}

/* Prompts 3 and 5 pad to 5. Outputs 1 and 3: 0 is done after the prefill, yet its row stays, so two
 * decode steps of 2 rows follow; 2 waits until both have finished. */
static void test_static_padded_keeps_finished_rows_until_the_batch_ends(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"static_padded\", \"max_sequences\": 2}", 100);
    bench_arrive(&b, 0, 3, 1);
    bench_arrive(&b, 1, 5, 3);
    bench_arrive(&b, 2, 4, 1);
    bench_step(&b, "0:3 1:5");
    assert_int_equal(b.replica->batch.layout, BATCH_PADDED);
    assert_int_equal(batch_padded_tokens(&b.replica->batch), 10);
    bench_step(&b, "1:1");
    assert_int_equal(batch_padded_tokens(&b.replica->batch), 2);
    assert_int_equal(b.replica->batch.row_kv, 5);
    bench_step(&b, "1:1");
    assert_int_equal(b.replica->batch.row_kv, 6);
    bench_step(&b, "2:4");
    bench_step(&b, "");
    end();
}

/* Both rows reserve the longest prompt and output: 5 + 3 = 8 tokens, 2 blocks each. A finished row's
 * blocks come back with the batch, all of them: none leak. */
static void test_static_padded_holds_and_returns_all_blocks(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"static_padded\", \"max_sequences\": 2}", 100);
    bench_arrive(&b, 0, 3, 1);
    bench_arrive(&b, 1, 5, 3);
    bench_step(&b, "0:3 1:5");
    assert_int_equal(b.replica->kv->free_blocks, 96);
    bench_step(&b, "1:1");
    bench_step(&b, "1:1");
    bench_step(&b, "");
    replica_start(b.replica, b.now);
    assert_int_equal(b.replica->kv->free_blocks, 100);
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    end();
}

/* Three rows of 8 tokens need 6 blocks; with 5 only two requests fit. */
static void test_static_padded_admits_only_what_fits_padded(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"static_padded\", \"max_sequences\": 8}", 5);
    for (uint64_t i = 0; i < 3; i++)
        bench_arrive(&b, i, 7, 1);
    bench_step(&b, "0:7 1:7");
    bench_step(&b, "2:7");
    end();
}

static void test_static_padded_waits_for_a_full_batch_until_the_wait_is_over(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"static_padded\", \"max_sequences\": 2, \"batch_wait_s\": 1}", 100);
    bench_arrive(&b, 0, 4, 1);
    assert_int_equal(replica_start(b.replica, 0), 1000000000);
    assert_false(b.replica->busy);
    b.now = 1000000000;
    bench_step(&b, "0:4");
    end();
}

/* First-fit decreasing of 6 5 4 3 2 into bins of 6: {6} {5} {4 2} {3}. Sorted 6,5,4,3,2: 3 does not fit
 * next to 6, 5 or 4; 2 fits next to 4. */
static void test_first_fit_decreasing_by_hand(void **state)
{
    (void)state;
    const uint32_t lengths[] = {2, 6, 3, 5, 4};
    uint32_t bins[5], room[5], order[5];
    assert_int_equal(pack(PACK_FIRST_FIT, lengths, 5, 6, bins, room, order), 4);
    const uint32_t expected[] = {2, 0, 3, 1, 2};
    assert_memory_equal(bins, expected, sizeof expected);
}

/* Bins of 10 for 6 5 5 4 … by hand:
 * 7 6 3 2 2: first fit {7 3} {6 2 2}; best fit the same.
 * 6 5 4 3 2: first fit {6 4} {5 3 2}; most room {6 3} {5 4}, and 2 in none of 1 left: {2}: three.
 * 5 4 4 3 2 2 in bins of 10: first fit {5 4} {4 3 2} {2}; best fit the same; two bins hold all 20: {5 3 2} {4 4 2}. */
static void test_packing_heuristics_by_hand(void **state)
{
    (void)state;
    uint32_t bins[6], room[6], order[6];
    const uint32_t a[] = {7, 6, 3, 2, 2}, c[] = {6, 5, 4, 3, 2}, d[] = {5, 4, 4, 3, 2, 2};
    assert_int_equal(pack(PACK_FIRST_FIT, a, 5, 10, bins, room, order), 2);
    assert_int_equal(pack(PACK_BEST_FIT, a, 5, 10, bins, room, order), 2);
    assert_int_equal(pack(PACK_FIRST_FIT, c, 5, 10, bins, room, order), 2);
    assert_int_equal(pack(PACK_CONSTANT_VOLUME, c, 5, 10, bins, room, order), 3);
    assert_int_equal(pack(PACK_FIRST_FIT, d, 6, 10, bins, room, order), 3);
    assert_int_equal(pack(PACK_BEST_FIT, d, 6, 10, bins, room, order), 3);
    assert_int_equal(pack(PACK_OPTIMAL, d, 6, 10, bins, room, order), 2);
    uint32_t filled[2] = {0};
    for (int i = 0; i < 6; i++)
        filled[bins[i]] += d[i];
    assert_true(filled[0] == 10 && filled[1] == 10);
}

/* Prompts 8 3 5 2: bins of 8: {8} {5 3} {2}: 24 tokens instead of 32 padded, 18 real. */
static void test_static_prepacked_packs_prompts_into_rows(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"static_prepacked\", \"max_sequences\": 4}", 100);
    const uint32_t prompts[] = {8, 3, 5, 2};
    for (uint64_t i = 0; i < 4; i++)
        bench_arrive(&b, i, prompts[i], 2);
    bench_step(&b, "0:8 1:3 2:5 3:2");
    assert_int_equal(b.replica->batch.layout, BATCH_PACKED);
    assert_int_equal(b.replica->batch.rows, 3);
    assert_int_equal(batch_padded_tokens(&b.replica->batch), 24);
    assert_int_equal(batch_real_tokens(&b.replica->batch), 18);
    bench_step(&b, "0:1 1:1 2:1 3:1");
    bench_step(&b, "");
    end();
}

/* A new request joins with its whole prompt while another decodes; its slot frees the iteration it ends. */
static void test_continuous_mixes_whole_prompts_with_decodes(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"continuous\", \"max_sequences\": 2}", 100);
    bench_arrive(&b, 0, 6, 3);
    bench_step(&b, "0:6");
    bench_arrive(&b, 1, 9, 1);
    bench_arrive(&b, 2, 2, 1);
    bench_step(&b, "0:1 1:9");
    bench_step(&b, "0:1 2:2");
    bench_step(&b, "");
    end();
}

/* Reserved for prompt + longest output: 4 + 5 tokens take 3 of 4 blocks, so 1 (2 blocks) must wait. */
static void test_continuous_reserves_for_the_longest_output(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"continuous\"}", 4);
    bench_arrive(&b, 0, 4, 5);
    bench_arrive(&b, 1, 4, 2);
    bench_step(&b, "0:4");
    assert_int_equal(b.replica->kv->free_blocks, 1);
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1");
    bench_step(&b, "1:4");
    end();
}

/* Decodes stall while any prompt waits; prompts are batched up to max_batched_tokens. */
static void test_prefill_first_stalls_decodes_behind_prefills(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"prefill_first\", \"max_batched_tokens\": 10}", 100);
    bench_arrive(&b, 0, 4, 2);
    bench_arrive(&b, 1, 6, 2);
    bench_arrive(&b, 2, 5, 2);
    bench_step(&b, "0:4 1:6");
    bench_step(&b, "2:5");
    bench_step(&b, "0:1 1:1 2:1");
    bench_step(&b, "");
    end();
}

/* 4 blocks: 0 and 1 take one each for 4 tokens and one more each for the fifth token. At their ninth
 * token 1, the last admitted, is evicted; it comes back with prompt and 5 generated tokens (9) at once. */
static void test_prefill_first_preempts_the_last_admitted_and_recomputes(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"prefill_first\", \"watermark\": 0}", 4);
    bench_arrive(&b, 0, 4, 6);
    bench_arrive(&b, 1, 4, 6);
    bench_step(&b, "0:4 1:4");
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    assert_int_equal(b.preempted_count, 1);
    assert_int_equal(b.preempted[0], 1);
    bench_step(&b, "1:9");
    assert_int_equal(b.requests[1].generated, 6);
    assert_int_equal(b.requests[1].recomputed_tokens, 8);
    end();
}

/* The same with prefix caching: 1 frees its 2 blocks, the last one first, and 0 takes that one for its ninth token.
 * When 0 is done 1 finds its first block again: of its 9 tokens only 5 are computed, 4 of them for the second time. */
static void test_a_preempted_request_finds_its_blocks_again(void **state)
{
    (void)state;
    b.prefix_caching = true;
    bench_init(&b, "{\"name\": \"prefill_first\", \"watermark\": 0}", 4);
    b.prefix_caching = false;
    bench_arrive(&b, 0, 4, 6);
    bench_arrive(&b, 1, 4, 6);
    bench_step(&b, "0:4 1:4");
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    assert_int_equal(b.preempted_count, 1);
    bench_step(&b, "1:5");
    assert_int_equal(b.requests[1].generated, 6);
    assert_int_equal(b.requests[1].recomputed_tokens, 4);
    assert_int_equal(b.requests[1].cached_tokens, 4);
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    end();
}

/* The same with host memory of 2 blocks, 100 ns a block and 50 ns for an iteration that moves any: 1 goes there with
 * its 8 tokens (250 ns on the iteration that 0 has alone) and comes back when 0 is done (250 ns on its own) without
 * computing any again. */
static void test_a_preempted_request_is_swapped(void **state)
{
    (void)state;
    b.swap = (struct swap_space){.blocks = 2, .ns_per_block = 100, .latency = 50};
    bench_init(&b, "{\"name\": \"prefill_first\", \"watermark\": 0}", 4);
    bench_arrive(&b, 0, 4, 6);
    bench_arrive(&b, 1, 4, 6);
    bench_step(&b, "0:4 1:4");
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    assert_int_equal(b.replica->swap.used, 2);
    bench_step(&b, "1:1");
    assert_int_equal(b.now, 7500);
    assert_int_equal(b.replica->swap.used, 0);
    assert_int_equal(b.requests[1].generated, 6);
    assert_int_equal(b.requests[1].recomputed_tokens, 0);
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    replica_destroy(b.replica);
    b.swap.blocks = 1; /* too small: it is computed again */
    bench_init(&b, "{\"name\": \"prefill_first\", \"watermark\": 0}", 4);
    b.swap.blocks = 0;
    bench_arrive(&b, 0, 4, 6);
    bench_arrive(&b, 1, 4, 6);
    bench_step(&b, "0:4 1:4");
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    bench_step(&b, "1:9");
    assert_int_equal(b.now, 7000);
    replica_destroy(b.replica);
}

/* Runs iterations of 1 µs until nothing is left to do; `late` arrives 0.5 µs into the first one. */
static void run_ahead_of(uint64_t late, uint32_t prompt, uint32_t output)
{
    sim_time end = replica_start(b.replica, 0);
    b.now = 500;
    bench_arrive(&b, late, prompt, output);
    while (end != SIM_TIME_NEVER) {
        b.now = end;
        replica_finish(b.replica, end);
        end = replica_start(b.replica, end);
    }
}

/* The batch of the second iteration is formed as the first one starts: who arrives during the first one runs in the
 * third, from 2 µs on. 0 has its three tokens at 1, 2 and 3 µs. */
static void test_scheduling_ahead_an_arrival_runs_in_the_batch_after_next(void **state)
{
    (void)state;
    b.ahead = true;
    bench_init(&b, "{\"name\": \"unified_budget\"}", 100);
    b.ahead = false;
    bench_arrive(&b, 0, 4, 3);
    run_ahead_of(1, 2, 1);
    assert_int_equal(b.requests[0].first_token, 1000);
    assert_int_equal(b.requests[0].last_token, 3000);
    assert_int_equal(b.requests[1].first_scheduled, 2000);
    assert_int_equal(b.requests[1].last_token, 3000);
    assert_int_equal(b.requests[1].parts[PART_QUEUE], 1500);
    assert_int_equal(b.replica->kv->free_blocks, 100);
    end();
}

/* Two places. 0 is done after the first iteration, which is known when the second is formed: it is left out, yet its
 * place is free only for the third, where 2, waiting since 0, comes in. */
static void test_scheduling_ahead_a_place_is_free_one_iteration_later(void **state)
{
    (void)state;
    b.ahead = true;
    bench_init(&b, "{\"name\": \"unified_budget\", \"max_sequences\": 2}", 100);
    b.ahead = false;
    bench_arrive(&b, 0, 4, 1);
    bench_arrive(&b, 1, 4, 5);
    bench_arrive(&b, 2, 4, 1);
    run_ahead_of(3, 4, 1);
    assert_int_equal(b.requests[0].last_token, 1000);
    assert_int_equal(b.requests[1].last_token, 5000);
    assert_int_equal(b.requests[2].first_scheduled, 2000);
    assert_int_equal(b.requests[3].first_scheduled, 4000); /* 2 leaves at 3 µs, seen when the fifth is formed */
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    end();
}

/* Runs until nothing is left to do, and says how many decodes each iteration held, and how many of them were wasted. */
static void decodes_of_all_iterations(const char *expected)
{
    char found[200] = "";
    for (sim_time end; (end = replica_start(b.replica, b.now)) != SIM_TIME_NEVER; b.now = end) {
        const struct batch *batch = &b.replica->batch;
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%u/%u", found[0] ? " " : "", batch->decodes,
                 batch->wasted);
        replica_finish(b.replica, end);
    }
    assert_string_equal(found, expected);
}

static void arrive_with_limit(uint64_t id, uint32_t prompt, uint32_t output, uint32_t limit)
{
    bench_arrive(&b, id, prompt, output);
    b.requests[id].max_output_tokens = limit;
}

/* 0 ends with its second token, at 2 µs, before its limit of 10: when the third batch is formed, from 1 µs on, nobody
 * knows. So it has a row there, which is wasted, and a block for its fifth token comes and goes. 1 ends by its limit of
 * 4, which is known. Alone, a request that ends before its limit makes for an iteration of a wasted row. */
static void test_scheduling_ahead_an_end_before_the_limit_wastes_a_row(void **state)
{
    (void)state;
    static const char *const policies[] = {"{\"name\": \"unified_budget\"}", "{\"name\": \"prefill_first\"}",
                                           "{\"name\": \"chunked_prefill\"}"};
    for (int i = 0; i < 3; i++) {
        b.ahead = true;
        bench_init(&b, policies[i], 100);
        b.ahead = false;
        arrive_with_limit(0, 3, 2, 10);
        arrive_with_limit(1, 4, 4, 4);
        decodes_of_all_iterations("0/0 2/0 2/1 1/0");
        assert_int_equal(b.requests[0].last_token, 2000);
        assert_int_equal(b.requests[0].generated, 2);
        assert_int_equal(b.requests[1].last_token, 4000);
        assert_int_equal(b.finished[0], 0);
        assert_int_equal(b.replica->kv->free_blocks, 100);
        arrive_with_limit(2, 4, 2, 3);
        decodes_of_all_iterations("0/0 1/0 1/1");
        assert_int_equal(b.requests[2].last_token, 6000);
        assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
        end();
    }
}

/* A budget of 2, and 0 decodes before 1 and 2: the decodes are more than the budget, and are served one by one. 0 has
 * ended with its second token, at 3 µs, when its row of the fourth batch is formed, so 2 gets no token there. */
static void test_a_wasted_row_takes_its_part_of_the_budget(void **state)
{
    (void)state;
    b.ahead = true;
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 2}", 100);
    b.ahead = false;
    arrive_with_limit(0, 1, 3, 10);
    arrive_with_limit(1, 1, 9, 9);
    arrive_with_limit(2, 1, 2, 2);
    sim_time first = 0;
    for (sim_time end; (end = replica_start(b.replica, b.now)) != SIM_TIME_NEVER; b.now = end) {
        first = b.replica->batch.wasted > 0 ? b.now : first;
        assert_true(batch_real_tokens(&b.replica->batch) <= 2);
        replica_finish(b.replica, end);
    }
    assert_int_equal(first, 3000);
    assert_int_equal(b.requests[0].last_token, 3000);
    assert_int_equal(b.requests[2].first_scheduled, 4000);
    end();
}

/* 3 blocks. While the first iteration runs, 0 and 1 would need a block each for their fifth tokens, and one is free. 1,
 * the last admitted, has ended: it is taken out of the batch, and is not preempted. */
static void test_a_request_that_has_ended_is_not_preempted(void **state)
{
    (void)state;
    b.ahead = true;
    bench_init(&b, "{\"name\": \"unified_budget\"}", 3);
    b.ahead = false;
    arrive_with_limit(0, 4, 3, 3);
    arrive_with_limit(1, 4, 1, 8);
    decodes_of_all_iterations("0/0 1/0 1/0");
    assert_int_equal(b.preempted_count, 0);
    assert_int_equal(b.requests[1].last_token, 1000);
    assert_int_equal(b.requests[0].last_token, 3000);
    assert_int_equal(b.replica->kv->free_blocks, 3);
    end();
}

static void begin_by_priority(const char *policy, uint64_t blocks)
{
    b.order = "priority";
    bench_init(&b, policy, blocks);
    b.order = NULL;
}

static const struct origin urgent = {.priority = 0}, patient = {.priority = 5};

/* 5 blocks. In the third step 2 needs one for its fifth token. 1 goes, of priority 5 like 0 and later than it, though
 * it has been visited in this step, and 2, which is urgent, stays though it was admitted last. */
static void test_the_request_of_least_priority_is_preempted(void **state)
{
    (void)state;
    static const char *const policies[] = {"{\"name\": \"unified_budget\"}",
                                           "{\"name\": \"chunked_prefill\", \"watermark\": 0}"};
    for (int i = 0; i < 2; i++) {
        begin_by_priority(policies[i], 5);
        bench_arrive_from(&b, 0, 4, 6, patient);
        bench_arrive_from(&b, 1, 4, 6, patient);
        bench_step(&b, "0:4 1:4");
        bench_arrive_from(&b, 2, 4, 3, urgent);
        bench_step(&b, "0:1 1:1 2:4");
        bench_step(&b, "0:1 2:1");
        assert_int_equal(b.preempted_count, 1);
        assert_int_equal(b.preempted[0], 1);
        end();
    }
}

/* 3 blocks. In the third step 0 asks first, for the block of its ninth token, and is itself the one of least priority:
 * the step holds nothing. In the next one, at the same time, 1 decodes. */
static void test_a_step_whose_first_request_is_the_victim_holds_nothing(void **state)
{
    (void)state;
    begin_by_priority("{\"name\": \"unified_budget\"}", 3);
    bench_arrive_from(&b, 0, 7, 4, patient);
    bench_step(&b, "0:7");
    bench_arrive_from(&b, 1, 2, 2, urgent);
    bench_step(&b, "0:1 1:2");
    bench_step(&b, "1:1");
    assert_int_equal(b.preempted[0], 0);
    bench_step(&b, "0:9");
    end();
}

/* Two places, three requests of one priority. 1 is preempted for 0's ninth token, and comes back before 2, which has
 * waited longer in the queue, but arrived later. */
static void test_a_preempted_request_keeps_its_arrival(void **state)
{
    (void)state;
    begin_by_priority("{\"name\": \"prefill_first\", \"watermark\": 0, \"max_sequences\": 2}", 4);
    bench_arrive_from(&b, 0, 4, 6, patient);
    bench_arrive_from(&b, 1, 4, 6, patient);
    bench_arrive_from(&b, 2, 4, 6, patient);
    bench_step(&b, "0:4 1:4");
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    bench_step(&b, "1:9 2:4");
    end();
}

/* 10 blocks of 4 tokens. A holds 5 and B 4; both go: A's 3 full ones and B's 4 can be found. The one block that nobody
 * has held stands first, then A's, then B's: taking 4 takes that one and A's last three, so A finds 2. */
static void test_free_blocks_are_taken_in_the_order_they_were_freed(void **state)
{
    (void)state;
    struct kv_pool pool;
    struct request a = {.computed = 15, .preemptions = 1}, c = {.computed = 16, .preemptions = 1}, d = {0};
    const struct kv_layout layout = {.block_tokens = 4, .groups.full = 1};
    assert_int_equal(kv_pool_init(&pool, 10, &layout, true), 0);
    assert_true(kv_pool_reserve(&pool, &a, 20, 0) && kv_pool_reserve(&pool, &c, 16, 0));
    kv_pool_release_preempted(&pool, &a, 1);
    kv_pool_release_preempted(&pool, &c, 1);
    assert_int_equal(kv_pool_find(&pool, &a).blocks, 3);
    assert_int_equal(kv_pool_find(&pool, &c).blocks, 4);
    assert_true(kv_pool_reserve(&pool, &d, 16, 2));
    struct kv_found found = kv_pool_find(&pool, &a);
    assert_int_equal(found.blocks, 2);
    kv_pool_reclaim(&pool, &a, &found, 3);
    assert_int_equal(a.kv_blocks, 2);
    assert_int_equal(pool.free_blocks, 4);
    assert_int_equal(kv_pool_find(&pool, &c).blocks, 4);
    struct request e = {0};
    assert_true(kv_pool_reserve(&pool, &e, 16, 4)); /* all that is left is C's */
    assert_int_equal(kv_pool_find(&pool, &c).blocks, 0);
    kv_pool_destroy(&pool);
}

/* 4 blocks; 0 holds 2 with its 8 tokens. 1 needs 3 for its 12: its first chunk would fit in the 2 that are free, but
 * it is not let in until the whole of it fits, unless it is told otherwise. */
static void test_unified_budget_lets_in_only_what_fits_as_a_whole(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 8}", 4);
    bench_arrive(&b, 0, 7, 2);
    bench_arrive(&b, 1, 12, 1);
    bench_step(&b, "0:7");
    bench_step(&b, "0:1");
    bench_step(&b, "1:8");
    end();
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 8, \"whole_must_fit\": false}", 4);
    bench_arrive(&b, 0, 7, 2);
    bench_arrive(&b, 1, 12, 1);
    bench_step(&b, "0:7 1:1");
    bench_step(&b, "0:1 1:7");
    end();
}

/* Request 1 has 3 tokens, 4 with 0's decode, which is less than 10: it waits for two iterations. 2 and 3 have 9, 11
 * with two decodes, and come in at once. Where nobody runs, nobody waits. */
static void test_unified_budget_lets_prompts_wait_to_come_in_together(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 20, \"wait_iterations\": 2, \"wait_tokens\": 10}",
               100);
    bench_arrive(&b, 0, 4, 8);
    bench_step(&b, "0:4");
    bench_arrive(&b, 1, 3, 3);
    bench_step(&b, "0:1");
    bench_step(&b, "0:1");
    bench_step(&b, "0:1 1:3");
    bench_arrive(&b, 2, 5, 1);
    bench_arrive(&b, 3, 4, 1);
    bench_step(&b, "0:1 1:1 2:5 3:4");
    end();
}

/* Budget 8. Step 1: 0 whole (5) and 3 of 1. Step 2: 0 decodes (1), 1 gets 7. Step 3: both … */
static void test_chunked_prefill_fills_budget_after_decodes(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"token_budget\": 8}", 100);
    bench_arrive(&b, 0, 5, 4);
    bench_arrive(&b, 1, 12, 2);
    bench_arrive(&b, 2, 3, 1);
    bench_step(&b, "0:5 1:3");
    bench_step(&b, "0:1 1:7");
    bench_step(&b, "0:1 1:2 2:3");
    bench_step(&b, "0:1 1:1");
    bench_step(&b, "");
    end();
}

/* Two decodes run although the budget is 1; the prompt gets nothing until one ends. */
static void test_chunked_prefill_never_refuses_a_decode_for_budget(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"token_budget\": 1}", 100);
    bench_arrive(&b, 0, 1, 4);
    bench_step(&b, "0:1");
    bench_arrive(&b, 1, 1, 2);
    b.replica->batching->destroy(b.replica->batching_state);
    struct error err;
    b.params.number[0] = 2;
    expect_ok(b.replica->batching->create(&b.replica->batching_state, &b.params, &err), &err);
    bench_step(&b, "0:1 1:1");
    b.replica->batching->destroy(b.replica->batching_state);
    b.params.number[0] = 1;
    expect_ok(b.replica->batching->create(&b.replica->batching_state, &b.params, &err), &err);
    bench_arrive(&b, 2, 1, 1);
    bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    bench_step(&b, "2:1");
    end();
}

/* The whole prompt's blocks are taken at admission: 12 tokens are 3 blocks though only 4 run. */
static void test_chunked_prefill_allocates_the_whole_prompt_at_admission(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"token_budget\": 4}", 10);
    bench_arrive(&b, 0, 12, 1);
    bench_step(&b, "0:4");
    assert_int_equal(b.replica->kv->free_blocks, 7);
    end();
}

/* 200 blocks keep 2 free (1 %): a prompt of 197 blocks fits next to 1 block only without the watermark. */
static void test_chunked_prefill_keeps_the_watermark_free(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"token_budget\": 900}", 200);
    bench_arrive(&b, 0, 4, 2);
    bench_arrive(&b, 1, 788, 1); /* 197 blocks; 199 free, 2 kept: fits exactly */
    bench_step(&b, "0:4 1:788");
    end();
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"token_budget\": 900}", 200);
    bench_arrive(&b, 0, 4, 2);
    bench_arrive(&b, 1, 792, 1); /* 198 blocks: would leave 1 */
    bench_step(&b, "0:4");
    end();
}

/* 3 blocks of 4. 0 holds 1 block, the partial prefill 1 holds 2 (8 tokens, 3 computed). When 0 decodes
 * its fifth token no block is free: 1, the last not yet visited, goes, and starts again as a prefill. */
static void test_chunked_prefill_restarts_a_preempted_partial_prefill(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"token_budget\": 7, \"watermark\": 0}", 3);
    bench_arrive(&b, 0, 4, 3);
    bench_arrive(&b, 1, 8, 1);
    bench_step(&b, "0:4 1:3");
    assert_int_equal(b.replica->kv->free_blocks, 0);
    bench_step(&b, "0:1");
    assert_int_equal(b.preempted_count, 1);
    bench_step(&b, "0:1");
    bench_step(&b, "1:7");
    bench_step(&b, "1:1");
    assert_int_equal(b.finished[1], 1);
    assert_int_equal(b.requests[1].recomputed_tokens, 3);
    end();
}

/* Budget 8 in list order: the running prompt before any decode that was admitted after it. */
static void test_unified_budget_serves_running_requests_in_order(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 8}", 100);
    bench_arrive(&b, 0, 14, 2);
    bench_arrive(&b, 1, 2, 3);
    bench_step(&b, "0:8");
    bench_step(&b, "0:6 1:2");
    bench_step(&b, "0:1 1:1");
    bench_step(&b, "1:1");
    bench_step(&b, "");
    end();
}

/* Blocks come per chunk, without watermark: 8 tokens of a 14-token prompt take 2 blocks. */
static void test_unified_budget_allocates_per_chunk(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 8}", 4);
    bench_arrive(&b, 0, 14, 1);
    bench_step(&b, "0:8");
    assert_int_equal(b.replica->kv->free_blocks, 2);
    bench_step(&b, "0:6");
    end();
}

/* 4 blocks, both with 2 after their fifth token. At the ninth, 1 is evicted and, in that step, not
 * even 2, for which memory is free, comes in. */
static void test_unified_budget_admits_nobody_in_a_step_with_a_preemption(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"unified_budget\"}", 4);
    bench_arrive(&b, 0, 4, 6);
    bench_arrive(&b, 1, 4, 6);
    bench_step(&b, "0:4 1:4");
    for (int i = 0; i < 4; i++)
        bench_step(&b, "0:1 1:1");
    bench_arrive(&b, 2, 1, 1);
    bench_step(&b, "0:1");
    assert_int_equal(b.preempted[0], 1);
    bench_step(&b, "1:9 2:1");
    end();
}

static void test_unified_budget_caps_long_prefills(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"unified_budget\", \"token_budget\": 8, \"long_prefill_threshold\": 5}", 100);
    bench_arrive(&b, 0, 9, 1);
    bench_arrive(&b, 1, 9, 1);
    bench_step(&b, "0:5 1:3");
    bench_step(&b, "0:4 1:4");
    bench_step(&b, "1:2");
    end();
}

static void test_requests_that_can_never_fit_are_refused(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"prefill_first\", \"max_batched_tokens\": 10}", 4);
    struct request r = {.prompt_tokens = 10, .output_tokens = 6, .max_output_tokens = 6};
    assert_null(replica_refuses(b.replica, &r));
    r.max_output_tokens = 7;
    assert_string_equal(replica_refuses(b.replica, &r), "longer than the KV pool");
    r = (struct request){.prompt_tokens = 11, .output_tokens = 1, .max_output_tokens = 1};
    assert_string_equal(replica_refuses(b.replica, &r), "prompt longer than max_batched_tokens");
    r = (struct request){.prompt_tokens = 990, .output_tokens = 11, .max_output_tokens = 11};
    assert_string_equal(replica_refuses(b.replica, &r), "longer than the model's longest sequence");
    end();
}

/* What a router can count: 6 + 3 when it is sent, 3 from its first output token on, nothing after its last. */
static void test_outstanding_tokens_fall_at_first_and_last_token(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"continuous\"}", 100);
    bench_arrive(&b, 0, 6, 3);
    assert_int_equal(b.replica->load->outstanding_tokens, 9);
    bench_step(&b, "0:6");
    assert_int_equal(b.replica->load->outstanding_tokens, 3);
    bench_step(&b, "0:1");
    assert_int_equal(b.replica->load->outstanding_tokens, 3);
    bench_step(&b, "0:1");
    assert_int_equal(b.replica->load->outstanding_tokens, 0);
    assert_int_equal(b.replica->load->outstanding_requests, 0);
    end();
}

/* Not one more and not one less than two at a time, however long the first one waits; the last one goes when it has
 * waited for the flush. */
static void test_fixed_batch_serves_exactly_so_many(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"fixed_batch\", \"size\": 2, \"flush_after_s\": 10}", 100);
    bench_arrive(&b, 0, 3, 1);
    assert_int_equal(replica_start(b.replica, 0), 10000000000);
    b.now = 5000000000;
    bench_arrive(&b, 1, 5, 1);
    bench_arrive(&b, 2, 4, 1);
    bench_step(&b, "0:3 1:5");
    bench_step(&b, "");
    b.now = 15000000000;
    bench_step(&b, "2:4");
    end();
}

/* Everybody who waits, at once; finished rows cost until the longest output is done. */
static void test_dynamic_batch_takes_all_that_wait(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"dynamic_batch\"}", 100);
    bench_arrive(&b, 0, 3, 1);
    bench_step(&b, "0:3");
    bench_arrive(&b, 1, 4, 1);
    bench_arrive(&b, 2, 2, 2);
    bench_step(&b, "1:4 2:2");
    assert_int_equal(batch_padded_tokens(&b.replica->batch), 8);
    bench_arrive(&b, 3, 1, 1);
    bench_step(&b, "2:1");
    assert_int_equal(batch_padded_tokens(&b.replica->batch), 2);
    bench_step(&b, "3:1");
    end();
}

/* Ragged: who is done leaves and costs no more, but nobody joins until the batch is empty. */
static void test_elastic_batch_shrinks_until_it_is_empty(void **state)
{
    (void)state;
    static const char *const policies[] = {"{\"name\": \"elastic_batch\"}", "{\"name\": \"decode_priority\"}"};
    for (int i = 0; i < 2; i++) {
        bench_init(&b, policies[i], 100);
        bench_arrive(&b, 0, 3, 1);
        bench_arrive(&b, 1, 5, 3);
        bench_step(&b, "0:3 1:5");
        assert_int_equal(b.replica->batch.layout, BATCH_RAGGED);
        bench_arrive(&b, 2, 4, 1);
        bench_step(&b, "1:1");
        assert_int_equal(batch_padded_tokens(&b.replica->batch), 1);
        bench_step(&b, "1:1");
        bench_step(&b, "2:4");
        end();
    }
}

/* One chunk of 4 an iteration: the next prompt starts when the one before it is through, and its last chunk is shorter.
 */
static void test_piggyback_has_one_chunk_an_iteration(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"piggyback\", \"chunk_tokens\": 4, \"max_sequences\": 2}", 100);
    bench_arrive(&b, 0, 6, 9);
    bench_arrive(&b, 1, 5, 2);
    bench_arrive(&b, 2, 3, 1);
    bench_step(&b, "0:4");
    bench_step(&b, "0:2");
    bench_step(&b, "0:1 1:4");
    bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1 1:1"); /* two run: the third one waits until the second has its two tokens */
    bench_step(&b, "0:1 2:3");
    end();
}

/* Prompts and outputs of 8, ten blocks of 4. Both at once would peak at 8 + 8 + 2·8 = 32 tokens, 8 blocks and one begun
 * each: more than 97 % of 10. Once the first one has a token it is 8 + 8 + 2·7 = 30 tokens, 7 blocks and two. */
static void test_lightllm_admits_by_predicted_peak(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"lightllm\"}", 10);
    bench_arrive(&b, 0, 8, 8);
    bench_arrive(&b, 1, 8, 8);
    bench_step(&b, "0:8");
    bench_step(&b, "1:8");
    bench_step(&b, "0:1 1:1");
    end();
    bench_init(&b, "{\"name\": \"lightllm\", \"max_waiting_iters\": 1}", 10);
    bench_arrive(&b, 0, 8, 8);
    bench_arrive(&b, 1, 8, 8);
    bench_step(&b, "0:8");
    bench_step(&b, "0:1"); /* one prefill in a row, then decodes have their turn */
    bench_step(&b, "1:8");
    end();
}

/* A token takes 1 µs, and 1/8 µs more for each token before its chunk. */
static void predict_growing(void *state, const struct batch *batch, struct iteration_cost *out)
{
    (void)state;
    double us = batch->decodes;
    for (size_t i = 0; i < batch->count; i++)
        us += batch->items[i].new_tokens * (1 + batch->items[i].req->computed / 8.0);
    *out = (struct iteration_cost){.total = (fine_time)(us * 1000) << FINE_BITS};
}

/* At most 100 µs: 16 tokens take 16; of 160, which would take 160, half are run. After 80 tokens each takes 11 µs: 80,
 * 40 and even 20 take too long, but no less than 20 is run. */
static void test_adaptive_chunk_shrinks_as_attention_grows(void **state)
{
    (void)state;
    bench_init(&b,
               "{\"name\": \"adaptive_chunk\", \"tbt_target_s\": 1e-4, \"largest_chunk\": 16, \"smallest_chunk\": 2}",
               100);
    b.replica->executor.predict = predict_growing;
    bench_arrive(&b, 0, 200, 1);
    bench_step(&b, "0:16");
    end();
    bench_init(&b,
               "{\"name\": \"adaptive_chunk\", \"tbt_target_s\": 1e-4, \"largest_chunk\": 160, \"smallest_chunk\": 20}",
               100);
    b.replica->executor.predict = predict_growing;
    bench_arrive(&b, 0, 200, 1);
    bench_step(&b, "0:80");
    bench_step(&b, "0:20");
    end();
}

/* Of a queue in order of arrival: 0 was preempted at 9 s and stands first, 1 waits since 3 s. */
static void test_the_oldest_may_stand_behind_preempted_requests(void **state)
{
    (void)state;
    struct request_list queue = {0};
    struct request r[3] = {{.id = 0, .preemptions = 1, .waiting_since = 9000000000},
                           {.id = 1, .entered = 3000000000, .waiting_since = 3000000000},
                           {.id = 2, .entered = 4000000000, .waiting_since = 4000000000}};
    order_insert(NULL, NULL, &queue, &r[1]);
    order_insert(NULL, NULL, &queue, &r[2]);
    assert_ptr_equal(order_oldest(&queue), &r[1]);
    order_insert_preempted(NULL, NULL, &queue, &r[0]);
    assert_ptr_equal(queue.head, &r[0]);
    assert_ptr_equal(order_oldest(&queue), &r[1]);
    order_remove(&queue, &r[1]);
    assert_ptr_equal(order_oldest(&queue), &r[2]);
}

/* Outputs 5 and 1 are predicted, so 1 stands before 0. Yet the batch goes when 0, the oldest, has waited for a second.
 */
static void test_a_batch_waits_for_the_oldest_request(void **state)
{
    (void)state;
    static const char *const policies[] = {
        "{\"name\": \"static_padded\", \"max_sequences\": 3, \"batch_wait_s\": 1}",
        "{\"name\": \"static_prepacked\", \"max_sequences\": 3, \"batch_wait_s\": 1}",
        "{\"name\": \"fixed_batch\", \"size\": 3, \"flush_after_s\": 1}",
        "{\"name\": \"decode_priority\", \"max_sequences\": 3, \"batch_wait_s\": 1}",
        "{\"name\": \"elastic_batch\", \"max_sequences\": 3, \"batch_wait_s\": 1}"};
    for (int i = 0; i < 5; i++) {
        b.order = "sjf";
        bench_init(&b, policies[i], 100);
        b.order = NULL;
        b.predicted = true;
        bench_arrive(&b, 0, 4, 5);
        assert_int_equal(replica_start(b.replica, 0), 1000000000);
        b.now = 900000000;
        bench_arrive(&b, 1, 4, 1);
        assert_int_equal(replica_start(b.replica, b.now), 1000000000);
        b.now = 1000000000;
        bench_step(&b, "1:4 0:4");
        end();
    }
}

/* At most 100 µs, chunks of no more than 64 tokens, which are also the smallest. Next to a decode the first one takes
 * 65 µs. The second would take 9 µs a token: it is run, whatever it takes, when 0 has gone. */
static void test_adaptive_chunk_keeps_its_target_for_decodes(void **state)
{
    (void)state;
    bench_init(&b,
               "{\"name\": \"adaptive_chunk\", \"tbt_target_s\": 1e-4, \"largest_chunk\": 64, "
               "\"smallest_chunk\": 100}",
               100);
    b.replica->executor.predict = predict_growing;
    bench_arrive(&b, 0, 2, 3);
    bench_step(&b, "0:2");
    bench_arrive(&b, 1, 200, 1);
    bench_step(&b, "0:1 1:64");
    bench_step(&b, "0:1"); /* 9 µs each after 64 tokens */
    bench_step(&b, "1:64");
    end();
}

/* At most 100 µs: with a decode, prompts of 40, 40 and 19 of 40 tokens. After these each takes 3.375 µs: the last 21
 * and three decodes take 73.9. */
static void test_a_dynamic_budget_counts_every_prompt(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"tbt_target_s\": 1e-4, \"token_budget\": 512}", 100);
    b.replica->executor.predict = predict_growing;
    bench_arrive(&b, 0, 10, 9);
    bench_step(&b, "0:10");
    for (uint64_t i = 1; i < 4; i++)
        bench_arrive(&b, i, 40, 3);
    bench_step(&b, "0:1 1:40 2:40 3:19");
    bench_step(&b, "0:1 1:1 2:1 3:21");
    end();
}

/* At most 1.5 µs: a decode and one token of a prompt would take 2, so 1 waits until 0 has gone. A token takes 1, then
 * 1.125 and 1.25 µs; of a prompt alone one is run whatever it takes. */
static void test_a_dynamic_budget_may_leave_no_room_beside_decodes(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"tbt_target_s\": 1.5e-6}", 100);
    b.replica->executor.predict = predict_growing;
    bench_arrive(&b, 0, 1, 3);
    bench_step(&b, "0:1");
    bench_arrive(&b, 1, 6, 1);
    bench_step(&b, "0:1");
    bench_step(&b, "0:1");
    for (int i = 0; i < 6; i++)
        bench_step(&b, "1:1"); /* the last one after 5 tokens, 1.625 µs */
    end();
}

static uint32_t predictions;

static void count_predictions(void *state, const struct batch *batch, struct iteration_cost *out)
{
    predictions++;
    predict_growing(state, batch, out);
}

/* Of a prompt of 400 tokens 100 fit: one question whether all of it does, and log2 400, 9, for how much. */
static void test_a_dynamic_budget_asks_few_predictions(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"tbt_target_s\": 1e-4}", 200);
    b.replica->executor.predict = count_predictions;
    predictions = 0;
    bench_arrive(&b, 0, 400, 1);
    bench_step(&b, "0:100");
    assert_true(predictions <= 10);
    end();
}

/* 1 is preempted with 4 of its 8 tokens and goes to host memory. It comes next, so 2, which waits behind it, does not
 * prefill yet: 1 decodes with 0 at once, without computing any token again, and then 2 has its turn. */
static void test_a_swapped_request_decodes_with_the_others(void **state)
{
    (void)state;
    static const char *const policies[] = {"{\"name\": \"prefill_first\", \"watermark\": 0}",
                                           "{\"name\": \"lightllm\", \"usable\": 1}"};
    for (int i = 0; i < 2; i++) {
        b.swap = (struct swap_space){.blocks = 4, .ns_per_block = 100};
        bench_init(&b, policies[i], i == 0 ? 6 : 12);
        b.swap.blocks = 0;
        bench_arrive(&b, 0, 4, 6);
        bench_arrive(&b, 1, 4, 8);
        bench_step(&b, "0:4 1:4");
        for (int k = 0; k < 3; k++)
            bench_step(&b, "0:1 1:1");
        view_preempt(&b.replica->view, &b.requests[1]);
        bench_arrive(&b, 2, 4, 1);
        bench_step(&b, "0:1 1:1");
        assert_int_equal(b.requests[1].generated, 5);
        assert_int_equal(b.requests[1].recomputed_tokens, 0);
        bench_step(&b, "2:4");
        bench_step(&b, "0:1 1:1");
        end();
    }
}

/* At most 100 µs: 100 tokens at the start; after them 13.5 µs each, so 7. A decode next to it takes 1 µs of it. */
static void test_chunked_prefill_with_a_dynamic_budget(void **state)
{
    (void)state;
    bench_init(&b, "{\"name\": \"chunked_prefill\", \"tbt_target_s\": 1e-4, \"token_budget\": 512}", 100);
    b.replica->executor.predict = predict_growing;
    bench_arrive(&b, 0, 30, 9);
    bench_step(&b, "0:30");
    bench_arrive(&b, 1, 200, 1);
    bench_step(&b, "0:1 1:99");
    bench_step(&b, "0:1 1:7"); /* 99 / 8 + 1 = 13.375 µs each: 7 take 93.6 */
    end();
}

/* The empty message and three of NIST's examples, the third as long as leaves no room for its length in its block; and
 * a whole block. */
static void test_sha256_is_what_others_compute(void **state)
{
    static const char *const known[][2] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                                           {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                                           {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                                            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                                           {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                            "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"}};
    char path[] = "/tmp/tandem-sha256-XXXXXX", hex[65];
    struct error err = {0};
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(known[i][0], file);
        fclose(file);
        expect_ok(sha256_of_file(path, hex, &err), &err);
        assert_string_equal(hex, known[i][1]);
        sha256_of_text(known[i][0], hex);
        assert_string_equal(hex, known[i][1]);
    }
    remove(path);
    assert_int_equal(sha256_of_file(path, hex, &err), -1);
    assert_non_null(strstr(err.text, "cannot be read: No such file"));
}

/* Every table of built-in policies by its axis, from first to last, and nothing behind it. */
static void test_the_registry_knows_every_axis(void **state)
{
    static const char *const ends[POLICY_AXES][2] = {[AXIS_BATCHING] = {"static_padded", "trtllm"},
                                                     [AXIS_ORDER] = {"fcfs", "lpm"},
                                                     [AXIS_ROUTING] = {"round_robin", "dynamo"},
                                                     [AXIS_PREDICTOR] = {"oracle", "two_step"},
                                                     [AXIS_AUTOSCALING] = {"concurrency", "rate"}};
    (void)state;
    for (int k = 0; k < POLICY_AXES; k++) {
        enum policy_axis axis = (enum policy_axis)k;
        const void *policy, *last = NULL;
        for (size_t i = 0; (policy = policy_at(axis, i)); i++) {
            last = policy;
            assert_ptr_equal(policy_find(axis, policy_name(policy)), policy);
            assert_null(plugin_of(axis, policy));
        }
        assert_string_equal(policy_name(policy_at(axis, 0)), ends[k][0]);
        assert_string_equal(policy_name(last), ends[k][1]);
        assert_null(policy_at(axis, 1000));
    }
    assert_null(policy_find(AXIS_ORDER, "round_robin"));
    assert_true(policy_name_is_path("./x") && policy_name_is_path("x.so") && !policy_name_is_path(".so"));
    assert_false(policy_name_is_path("x.so.1"));
}

static size_t wanted(const char *name, const char *params, struct scaling_view view)
{
    const struct scaling_policy *policy = scaling_policy_find(name);
    struct param_set set;
    struct error err = {0};
    struct json root;
    assert_non_null(policy);
    expect_ok(json_parse(params, "test", &root, &err), &err);
    expect_ok(param_set_read(&set, policy->params, &root, &err), &err);
    view.params = &set;
    size_t count = policy->wanted(&view);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return count;
}

/* 25 arrivals in 2 s are 12.5 a second: at 4 a replica 3.1 of them. 9 outstanding at 4 each are 2.3. 6 that wait for 3
 * replicas at 1 each are twice what should be; within a tenth of it nothing changes, and where nobody waits one goes.
 */
static void test_autoscaling_policies_by_hand(void **state)
{
    (void)state;
    static const char four[] = "{\"name\": \"rate\", \"rate_per_s\": 4}",
                      tiny[] = "{\"name\": \"rate\", \"rate_per_s\": 1e-9}";
    assert_int_equal(wanted("rate", four, (struct scaling_view){.arrived = 25, .interval_s = 2}), 4);
    assert_int_equal(wanted("rate", four, (struct scaling_view){.arrived = 24, .interval_s = 2}), 3);
    assert_int_equal(wanted("rate", four, (struct scaling_view){.interval_s = 2}), 0);
    assert_int_equal(wanted("rate", tiny, (struct scaling_view){.arrived = 25, .interval_s = 1}),
                     1000000000); /* the most */
    assert_int_equal(wanted("concurrency", "{\"target\": 4}", (struct scaling_view){.outstanding = 9}), 3);
    assert_int_equal(wanted("waiting", "{\"target\": 1}", (struct scaling_view){.waiting = 6, .up = 2, .coming = 1}),
                     6);
    assert_int_equal(wanted("waiting", "{\"target\": 2}", (struct scaling_view){.waiting = 21, .up = 10}), 10);
    assert_int_equal(wanted("waiting", "{}", (struct scaling_view){.up = 3}), 2);
    assert_int_equal(wanted("waiting", "{}", (struct scaling_view){.waiting = 5}), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_is_what_others_compute),
        cmocka_unit_test(test_the_registry_knows_every_axis),
        cmocka_unit_test(test_autoscaling_policies_by_hand),
        cmocka_unit_test(test_packing_heuristics_by_hand),
        cmocka_unit_test(test_fixed_batch_serves_exactly_so_many),
        cmocka_unit_test(test_dynamic_batch_takes_all_that_wait),
        cmocka_unit_test(test_elastic_batch_shrinks_until_it_is_empty),
        cmocka_unit_test(test_piggyback_has_one_chunk_an_iteration),
        cmocka_unit_test(test_lightllm_admits_by_predicted_peak),
        cmocka_unit_test(test_adaptive_chunk_shrinks_as_attention_grows),
        cmocka_unit_test(test_chunked_prefill_with_a_dynamic_budget),
        cmocka_unit_test(test_a_dynamic_budget_counts_every_prompt),
        cmocka_unit_test(test_a_dynamic_budget_may_leave_no_room_beside_decodes),
        cmocka_unit_test(test_a_dynamic_budget_asks_few_predictions),
        cmocka_unit_test(test_adaptive_chunk_keeps_its_target_for_decodes),
        cmocka_unit_test(test_a_batch_waits_for_the_oldest_request),
        cmocka_unit_test(test_the_oldest_may_stand_behind_preempted_requests),
        cmocka_unit_test(test_a_swapped_request_decodes_with_the_others),
        cmocka_unit_test(test_scheduling_ahead_an_end_before_the_limit_wastes_a_row),
        cmocka_unit_test(test_a_wasted_row_takes_its_part_of_the_budget),
        cmocka_unit_test(test_a_request_that_has_ended_is_not_preempted),
        cmocka_unit_test(test_the_request_of_least_priority_is_preempted),
        cmocka_unit_test(test_a_step_whose_first_request_is_the_victim_holds_nothing),
        cmocka_unit_test(test_a_preempted_request_keeps_its_arrival),
        cmocka_unit_test(test_static_padded_keeps_finished_rows_until_the_batch_ends),
        cmocka_unit_test(test_static_padded_holds_and_returns_all_blocks),
        cmocka_unit_test(test_static_padded_admits_only_what_fits_padded),
        cmocka_unit_test(test_static_padded_waits_for_a_full_batch_until_the_wait_is_over),
        cmocka_unit_test(test_first_fit_decreasing_by_hand),
        cmocka_unit_test(test_static_prepacked_packs_prompts_into_rows),
        cmocka_unit_test(test_continuous_mixes_whole_prompts_with_decodes),
        cmocka_unit_test(test_continuous_reserves_for_the_longest_output),
        cmocka_unit_test(test_prefill_first_stalls_decodes_behind_prefills),
        cmocka_unit_test(test_prefill_first_preempts_the_last_admitted_and_recomputes),
        cmocka_unit_test(test_a_preempted_request_finds_its_blocks_again),
        cmocka_unit_test(test_a_preempted_request_is_swapped),
        cmocka_unit_test(test_scheduling_ahead_an_arrival_runs_in_the_batch_after_next),
        cmocka_unit_test(test_scheduling_ahead_a_place_is_free_one_iteration_later),
        cmocka_unit_test(test_free_blocks_are_taken_in_the_order_they_were_freed),
        cmocka_unit_test(test_unified_budget_lets_in_only_what_fits_as_a_whole),
        cmocka_unit_test(test_unified_budget_lets_prompts_wait_to_come_in_together),
        cmocka_unit_test(test_chunked_prefill_fills_budget_after_decodes),
        cmocka_unit_test(test_chunked_prefill_never_refuses_a_decode_for_budget),
        cmocka_unit_test(test_chunked_prefill_allocates_the_whole_prompt_at_admission),
        cmocka_unit_test(test_chunked_prefill_keeps_the_watermark_free),
        cmocka_unit_test(test_chunked_prefill_restarts_a_preempted_partial_prefill),
        cmocka_unit_test(test_unified_budget_serves_running_requests_in_order),
        cmocka_unit_test(test_unified_budget_allocates_per_chunk),
        cmocka_unit_test(test_unified_budget_admits_nobody_in_a_step_with_a_preemption),
        cmocka_unit_test(test_unified_budget_caps_long_prefills),
        cmocka_unit_test(test_requests_that_can_never_fit_are_refused),
        cmocka_unit_test(test_outstanding_tokens_fall_at_first_and_last_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
