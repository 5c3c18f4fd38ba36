/* SPDX-License-Identifier: MIT */
/* Prefixes in tiers below GPU memory, by hand. tests/data/line2.json takes 1000 ns an iteration, 10 a prompt token
 * and 1 a token before it; the ideal model has 4 bytes of KV a token, so that a block of 4 tokens has 16. Links have 1
 * GB/s, a byte a nanosecond, and arrive 500 ns later, unless a test says otherwise. */
#include <unistd.h>

#include "tests/harness.h"

enum { MOST_REQUESTS = 8 };

struct told {
    sim_time last_token[MOST_REQUESTS], load[MOST_REQUESTS];
    uint32_t found[MOST_REQUESTS];
    struct run_summary summary;
};

static void note(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    (void)station;
    t->last_token[r->id] = r->last_token;
    t->load[r->id] = r->parts[PART_LOAD];
    t->found[r->id] = r->prefix_cached_tokens;
}

/* A request at `us` microseconds that has one output token; group 0: its prompt is its own. */
struct asked {
    double us;
    unsigned prompt, group, prefix;
};

static void write_trace(const char *path, const struct asked *requests, size_t count)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < count; i++) {
        fprintf(f, "{\"arrival_s\": %.9f, \"prompt_tokens\": %u, \"output_tokens\": 1", requests[i].us * 1e-6,
                requests[i].prompt);
        if (requests[i].group > 0)
            fprintf(f, ", \"prefix_group\": %u, \"prefix_tokens\": %u", requests[i].group, requests[i].prefix);
        fprintf(f, "}\n");
    }
    fclose(f);
}

/* `cluster` is what is said of it next to the replicas. */
static struct told run_tiers(const char *cluster, unsigned replicas, const struct asked *requests, size_t count)
{
    char path[] = "/tmp/test_tiers_XXXXXX", text[2000];
    struct error err = {0};
    struct told t = {0};
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    write_trace(path, requests, count);
    snprintf(text, sizeof text,
             "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"replicas\": %u%s%s}, "
             "\"policy\": {\"prefix_caching\": true, \"kv_block_tokens\": 4, \"kv_blocks\": 10}, "
             "\"workload\": {\"trace\": \"%s\"}}",
             replicas, *cluster ? ", " : "", cluster, path);
    const struct observer observer = {.state = &t, .finished = note};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    t.summary = s->summary;
    simulation_close(s);
    unlink(path);
    return t;
}

#define LINK "\"read_bytes_per_s\": 1e9, \"latency_ns\": 500"
#define HOST(MORE) "\"tiers\": {\"host\": {" LINK ", " MORE "}}"

/* 0 fills 5 of 10 blocks: 4 of its prefix and one of its own, which it leaves in the order own, 4th, 3rd, 2nd, 1st. 1
 * takes 8: 5 that are new, the own one, and the 4th and 3rd of the prefix. 2 finds the 1st and 2nd. */
static const struct asked evicting[] = {{0, 18, 1, 16}, {10, 30, 0, 0}, {20, 18, 1, 16}};

/* 2 loads 32 bytes: 32 + 500 ns. Then it computes 2 tokens over 16: 1036. */
static void test_an_evicted_prefix_is_loaded(void **state)
{
    (void)state;
    struct told t = run_tiers(HOST("\"bytes\": 1000"), 1, evicting, 3);
    assert_int_equal(t.last_token[0], 1180);
    assert_int_equal(t.last_token[1], 10000 + 1300);
    assert_int_equal(t.load[2], 532);
    assert_int_equal(t.last_token[2], 20000 + 532 + 1036);
    assert_int_equal(t.found[2], 16);
    const struct tier_totals *host = &t.summary.totals.tiers[0];
    assert_int_equal(host->written, 32); /* 2 takes 3 blocks of 1's, which are no prefix */
    assert_int_equal(host->read, 32);
    assert_int_equal(host->loads, 1);
    assert_int_equal(host->tokens, 8);
    assert_int_equal(host->asked_tokens, 18 + 30 + 18);
    assert_int_equal(host->held, host->written);
}

/* Without a tier, 2 computes 10 tokens over 8 again. */
static void test_without_a_tier_it_is_computed_again(void **state)
{
    (void)state;
    struct told t = run_tiers("", 1, evicting, 3);
    assert_int_equal(t.load[2], 0);
    assert_int_equal(t.last_token[2], 20000 + 1108);
    assert_int_equal(t.found[2], 8);
    assert_int_equal(t.summary.tier_count, 0);
}

static void test_a_tier_without_room_is_as_none(void **state)
{
    (void)state;
    struct told without = run_tiers("", 1, evicting, 3), empty = run_tiers(HOST("\"bytes\": 0"), 1, evicting, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(empty.last_token[i], without.last_token[i]);
        assert_int_equal(empty.load[i], 0);
    }
    assert_int_equal(empty.summary.totals.tiers[0].written, 0);
    assert_true(empty.summary.totals.tiers[0].turned_away >= 32);
    assert_int_equal(empty.summary.totals.end, without.summary.totals.end);
    assert_int_equal(empty.summary.totals.iterations, without.summary.totals.iterations);
}

/* 3 comes with 2, and computes its 4 tokens until 21 040 while 2 loads; 2 joins the batch after that. */
static void test_a_load_overlaps_with_what_others_compute(void **state)
{
    (void)state;
    const struct asked requests[] = {{0, 18, 1, 16}, {10, 30, 0, 0}, {20, 18, 1, 16}, {20, 4, 0, 0}};
    struct told t = run_tiers(HOST("\"bytes\": 1000"), 1, requests, 4);
    assert_int_equal(t.last_token[3], 20000 + 1040);
    assert_int_equal(t.load[2], 1040);
    assert_int_equal(t.last_token[2], 21040 + 1036);
}

/* Written through, what replica 0 has computed at 1180 is in the tier at 1180 + 64 + 500. Replica 1 loads its 64 bytes
 * where it shares the store, and computes 18 tokens where it does not. */
static void test_who_shares_a_tier_loads_what_others_wrote(void **state)
{
    (void)state;
    static const struct {
        const char *shared;
        bool loads;
    } cases[] = {{"\"shared_by\": \"cluster\"}}", true},
                 {"\"shared_by\": \"replica\"}}", false},
                 {"\"shared_by\": \"node\"}}", true},
                 {"\"shared_by\": \"node\"}}, \"nodes\": {\"gpus\": 1}", false}};
    const struct asked requests[] = {{0, 18, 1, 16}, {10, 18, 1, 16}};
    for (size_t i = 0; i < 4; i++) {
        char cluster[300];
        snprintf(cluster, sizeof cluster,
                 "\"tiers\": {\"host\": {" LINK ", \"bytes\": 1000, \"write\": \"through\", %s", cases[i].shared);
        struct told t = run_tiers(cluster, 2, requests, 2);
        assert_int_equal(t.load[1], cases[i].loads ? 564 : 0);
        assert_int_equal(t.last_token[1], 10000 + (cases[i].loads ? 564 + 1036 : 1180));
        assert_int_equal(t.summary.totals.tiers[0].written, cases[i].loads ? 64 : 128);
        assert_int_equal(t.summary.totals.tiers[0].capacity, cases[i].loads ? 1000 : 2000);
    }
}

/* Written at 1180 and there at 1744: who comes at 1700 computes, who comes at 1744 loads. */
static void test_a_write_can_be_read_when_it_has_arrived(void **state)
{
    (void)state;
    const struct asked early[] = {{0, 18, 1, 16}, {1.743, 18, 1, 16}}, late[] = {{0, 18, 1, 16}, {1.745, 18, 1, 16}};
    const char *cluster = HOST("\"bytes\": 1000, \"write\": \"through\", \"shared_by\": \"cluster\"");
    assert_int_equal(run_tiers(cluster, 2, early, 2).load[1], 0);
    assert_int_equal(run_tiers(cluster, 2, late, 2).load[1], 564);
}

/* Two replicas load 64 bytes at once from one store: each has half of its connection, 128 + 500 ns; or one after the
 * other. */
static void test_loads_at_once_share_the_link(void **state)
{
    (void)state;
    const struct asked requests[] = {{0, 18, 1, 16}, {10, 18, 1, 16}, {10, 18, 1, 16}};
    const char *cluster = HOST("\"bytes\": 1000, \"write\": \"through\", \"shared_by\": \"cluster\"");
    struct told shared = run_tiers(cluster, 3, requests, 3);
    assert_int_equal(shared.load[1], 628);
    assert_int_equal(shared.load[2], 628);
    cluster = HOST("\"bytes\": 1000, \"write\": \"through\", \"shared_by\": \"cluster\", \"discipline\": \"fifo\"");
    struct told fifo = run_tiers(cluster, 3, requests, 3);
    assert_int_equal(fifo.load[1], 564);
    assert_int_equal(fifo.load[2], 628);
    assert_true(fifo.summary.tiers[0].reads.stay_s > 595e-9 && fifo.summary.tiers[0].reads.stay_s < 597e-9);
    assert_true(fifo.summary.tiers[0].reads.little_residual < 1e-9);
}

/* 16 tokens take 1160 ns to compute by themselves. At 1 MB/s their 64 bytes take 64 500 ns. */
static void test_the_faster_way_is_taken(void **state)
{
    (void)state;
    const struct asked requests[] = {{0, 18, 1, 16}, {1000, 18, 1, 16}};
#define SLOW                                                                                                           \
    "\"bytes\": 1000, \"write\": \"through\", \"shared_by\": \"cluster\", \"read_bytes_per_s\": 1e6, \"latency_ns\": " \
    "500"
    struct told always = run_tiers("\"tiers\": {\"host\": {" SLOW "}}", 2, requests, 2),
                faster = run_tiers("\"tiers\": {\"host\": {" SLOW ", \"load\": \"faster\"}}", 2, requests, 2),
                loaded = run_tiers(HOST("\"bytes\": 1000, \"write\": \"through\", \"shared_by\": \"cluster\", "
                                        "\"load\": \"faster\""),
                                   2, requests, 2);
    assert_int_equal(always.load[1], 64500);
    assert_int_equal(faster.load[1], 0);
    assert_int_equal(faster.last_token[1], 1000000 + 1180);
    assert_int_equal(loaded.load[1], 564);
}

/* Host memory holds two blocks. 1 evicts the 4th and 3rd of 0's prefix to it; 2 takes two blocks more, the 2nd and 1st,
 * which evict the former two to the store. 3 loads 32 bytes from each, side by side: 532 ns from the host, 320 + 1000
 * from the store. */
static void test_a_full_tier_evicts_to_the_one_below(void **state)
{
    (void)state;
    const struct asked requests[] = {{0, 18, 1, 16}, {10, 30, 0, 0}, {15, 8, 0, 0}, {30, 18, 1, 16}};
    struct told t = run_tiers("\"tiers\": {\"host\": {" LINK ", \"bytes\": 32}, "
                              "\"store\": {\"bytes\": 1000, \"read_bytes_per_s\": 1e8, \"latency_ns\": 1000}}",
                              1, requests, 4);
    const struct tier_totals *host = &t.summary.totals.tiers[0], *store = &t.summary.totals.tiers[1];
    assert_int_equal(t.load[3], 1320);
    assert_int_equal(t.last_token[3], 30000 + 1320 + 1036);
    assert_int_equal(host->written, 64);
    assert_int_equal(host->evicted, 32);
    assert_int_equal(host->held, 32);
    assert_int_equal(store->written, 32);
    assert_int_equal(store->held, 32);
    assert_int_equal(host->read + store->read, 64);
}

/* A store of three units that is full: of 1, 2 and 3, where 1 has been used since, 2 is the least recently used one. */
static void test_a_store_evicts_in_order(void **state)
{
    (void)state;
    for (enum tier_eviction how = TIER_LRU; how <= TIER_FIFO; how++) {
        struct tier_store s;
        struct tier_unit gone;
        assert_int_equal(tier_store_init(&s, 48, how), 0);
        for (uint64_t key = 1; key <= 3; key++)
            assert_int_equal(tier_store_expect(&s, key, 16), 0);
        assert_false(tier_store_evict(&s, &gone)); /* none has arrived */
        for (uint64_t key = 1; key <= 3; key++)
            tier_store_arrive(&s, key);
        tier_store_use(&s, 1);
        const uint64_t order[2][3] = {{2, 3, 1}, {1, 2, 3}};
        for (size_t i = 0; i < 3; i++) {
            assert_true(tier_store_evict(&s, &gone));
            assert_int_equal(gone.key, order[how == TIER_FIFO][i]);
            assert_false(tier_store_knows(&s, gone.key));
        }
        assert_int_equal(s.held, 0);
        tier_store_release(&s);
    }
}

/* Its replica fails between: a store of its own is empty then, a node's is not. */
static void test_a_failed_replica_loses_its_own_store(void **state)
{
    (void)state;
    const struct asked requests[] = {{0, 18, 1, 16}, {30, 18, 1, 16}};
#define FAILS                                                                                                          \
    "\"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 10e-6, \"for_s\": 5e-6}]}, \"tiers\": {\"host\": {" LINK \
    ", \"bytes\": 1000, \"write\": \"through\", \"shared_by\": "
    struct told own = run_tiers(FAILS "\"replica\"}}", 1, requests, 2),
                node = run_tiers(FAILS "\"node\"}}", 1, requests, 2);
    assert_int_equal(own.last_token[1], 30000 + 1180);
    assert_int_equal(own.summary.totals.tiers[0].evicted, 64);
    assert_int_equal(node.last_token[1], 30000 + 564 + 1036);
    assert_int_equal(node.summary.totals.tiers[0].evicted, 0);
}

/* 0 fails while it loads: it is computed again from nothing, and its time adds up. */
static void test_a_load_ends_with_its_replica(void **state)
{
    (void)state;
    struct told t = run_tiers("\"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 20.1e-6, \"for_s\": 5e-6}]}, "
                              "\"tiers\": {\"host\": {" LINK ", \"bytes\": 1000}}",
                              1, evicting, 3);
    assert_int_equal(t.load[2], 100);
    assert_int_equal(t.last_token[2], 25100 + 1180);
    assert_int_equal(t.summary.totals.kv_held, 0);
}

#define SCENARIO(CLUSTER, POLICY)                                                                                      \
    "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {" CLUSTER "}, \"policy\": {" POLICY   \
    "}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "   \
    "\"tokens\": 4}, \"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}"
#define ON "\"prefix_caching\": true"

static void test_what_makes_no_sense_is_refused(void **state)
{
    (void)state;
#define TIERS "\"tiers\": {\"host\": {\"bytes\": 1000}}"
    expect_scenario_refused(SCENARIO(TIERS, "\"kv_blocks\": 10"),
                            "cluster.tiers: expected policy.prefix_caching to be true with tiers");
    expect_scenario_refused(SCENARIO(TIERS, ON ", \"batching\": \"static_padded\""), "forms batches anew");
    expect_scenario_refused(SCENARIO(TIERS, ON ", \"batching\": \"decode_priority\""), "forms batches anew");
    expect_scenario_refused(SCENARIO(TIERS ", \"replicas\": 2, \"placement\": \"redundant_kv\"", ON),
                            "no tiers with redundant_kv");
    expect_scenario_refused(SCENARIO("\"pools\": {\"a\": {\"kv_tiers\": [\"ssd\"]}}, " TIERS, ON),
                            "cluster.pools.a.kv_tiers[0]: expected the name of a tier");
    expect_scenario_refused(SCENARIO("\"pools\": {\"a\": {}, \"b\": {\"kv_tiers\": [\"host\"]}}, \"flow\": [\"a\", "
                                     "\"b\"], " TIERS,
                                     ON),
                            "no tiers in a pool that decodes");
    expect_scenario_refused(SCENARIO("\"nodes\": {\"gpus\": 4}", ON), "nothing here without cluster.tiers");
    expect_scenario_refused(SCENARIO("\"tiers\": {\"host\": {\"bytes\": 10, \"write\": \"back\"}}", ON), "evict");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_evicted_prefix_is_loaded),
        cmocka_unit_test(test_without_a_tier_it_is_computed_again),
        cmocka_unit_test(test_a_tier_without_room_is_as_none),
        cmocka_unit_test(test_a_load_overlaps_with_what_others_compute),
        cmocka_unit_test(test_who_shares_a_tier_loads_what_others_wrote),
        cmocka_unit_test(test_a_write_can_be_read_when_it_has_arrived),
        cmocka_unit_test(test_loads_at_once_share_the_link),
        cmocka_unit_test(test_the_faster_way_is_taken),
        cmocka_unit_test(test_a_full_tier_evicts_to_the_one_below),
        cmocka_unit_test(test_a_store_evicts_in_order),
        cmocka_unit_test(test_a_failed_replica_loses_its_own_store),
        cmocka_unit_test(test_a_load_ends_with_its_replica),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
