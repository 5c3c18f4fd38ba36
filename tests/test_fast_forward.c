/* SPDX-License-Identifier: MIT */
/* Stretches of decode iterations run at once give what one iteration at a time gives, bit for bit: every sum, every
 * bucket of every histogram, every point of the time series, every request's stamps and time parts. */
#include <gsl/gsl_rng.h>
#include <math.h>

#include "base/random.h"
#include "tests/harness.h"
#include "tests/random_scenario.h"
#include "tests/same_run.h"

enum { SCENARIOS = 1000 };

/* What a run left behind: everything the database would get, and a hash of all rows. */
struct trail {
    struct simulation *simulation;
    uint64_t rows;
};

static struct trail stepped, fast;

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x100000001b3u;
}

static void add_request(void *state, struct station_id station, const struct request *r)
{
    uint64_t *hash = &((struct trail *)state)->rows;
    mix(hash, station.index);
    mix(hash, r->id);
    mix(hash, (uint64_t)r->first_scheduled);
    mix(hash, (uint64_t)r->first_token);
    mix(hash, (uint64_t)r->last_token);
    mix(hash, r->preemptions * 1000003u + r->recomputed_tokens);
    for (int i = 0; i < PART_COUNT; i++)
        mix(hash, (uint64_t)r->parts[i]);
}

static void add_point(void *state, const char *series, sim_time at, double value)
{
    uint64_t *hash = &((struct trail *)state)->rows, bits;
    memcpy(&bits, &value, sizeof bits);
    mix(hash, (uint64_t)series[0]);
    mix(hash, (uint64_t)at);
    mix(hash, bits);
}

static void run(const char *text, bool step, struct trail *t)
{
    struct error err = {0};
    const struct simulation_options o = {.step = step,
                                         .rows = {.state = t, .add_request = add_request, .add_point = add_point}};
    t->simulation = open_simulation(text);
    t->rows = 1;
    expect_ok(simulation_run(t->simulation, &o, &err), &err);
}

static const char *difference(const struct trail *a, const struct trail *b)
{
    return a->rows != b->rows ? "rows" : first_difference(a->simulation, b->simulation);
}

static void test_fast_forward_equals_stepping(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(20261125, "fast forward");
    uint64_t preemptions = 0, iterations = 0, loads = 0, delays[2] = {0}, answered[2] = {0};
    for (int i = 0; i < SCENARIOS; i++) {
        char text[7000];
        random_scenario(rng, text, sizeof text);
        run(text, true, &stepped);
        run(text, false, &fast);
        const char *found = difference(&stepped, &fast);
        if (found)
            fail_msg("scenario %d: %s differ(s): %s", i, found, text);
        preemptions += fast.simulation->summary.preemptions;
        iterations += fast.simulation->summary.totals.iterations;
        const struct cluster_config *c = &fast.simulation->scenario.cluster;
        delays[0] += c->delays_before;
        delays[1] += c->delay_count - c->delays_before;
        for (size_t k = 0; k < c->delay_count; k++)
            answered[isnan(c->delays[k].answered)] += fast.simulation->summary.delays[k].answered;
        for (size_t k = 0; k < MOST_TIERS; k++)
            loads += fast.simulation->summary.totals.tiers[k].loads;
        simulation_close(stepped.simulation);
        simulation_close(fast.simulation);
    }
    gsl_rng_free(rng);
    assert_true(preemptions > 1000 && iterations > 1000000 && delays[0] > 30 && delays[1] > 30 && answered[0] > 100 &&
                answered[1] > 50 && loads > 500); /* the scenarios reach the hard cases */
}

struct stretches {
    uint64_t iterations[2], longest[2]; /* by pool: those that prefill, those that decode */
    const struct cluster_config *config;
};

static void note_stretch(void *state, const struct iteration_record *record)
{
    struct stretches *s = state;
    bool decodes = s->config->step_count > 1 && record->station.index >= s->config->pools[0].stations;
    s->iterations[decodes] += record->count;
    s->longest[decodes] = record->count > s->longest[decodes] ? record->count : s->longest[decodes];
}

static struct stretches run_apart(bool ahead, bool step)
{
    struct error err = {0};
    struct stretches stretches = {0};
    const struct observer observer = {.state = &stretches, .iterated = note_stretch};
    char text[600];
    snprintf(text, sizeof text,
             "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"engine\": {\"schedule_ahead\": %s},"
             "\"cluster\": {\"placement\": \"disaggregated\"}, \"workload\": {\"arrivals\": \"at_once\", \"requests\": "
             "1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
             "\"tokens\": 10000}, \"output\": {\"name\": \"fixed\", \"tokens\": 101}}}}",
             ahead ? "true" : "false");
    struct simulation *s = open_simulation(text);
    stretches.config = &s->scenario.cluster;
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer, .step = step}, &err), &err);
    simulation_close(s);
    return stretches;
}

/* A prompt in five chunks of 2048, the last one shorter; then 100 decodes on another replica: 16 to the end of the
 * blocks that 10 001 tokens need, and 84. Scheduling ahead, the last one of each is by itself: the batch after it is
 * another. Stepping reaches both pools, or the comparison above would compare a thing with itself. */
static void test_stepping_reaches_every_pool(void **state)
{
    (void)state;
    for (unsigned ahead = 0; ahead < 2; ahead++) {
        struct stretches fast_ones = run_apart(ahead, false), steps = run_apart(ahead, true);
        assert_int_equal(fast_ones.longest[0], 4 - ahead);
        assert_int_equal(fast_ones.longest[1], 84 - ahead);
        assert_int_equal(fast_ones.iterations[1], 100);
        for (size_t pool = 0; pool < 2; pool++) {
            assert_int_equal(steps.longest[pool], 1);
            assert_int_equal(steps.iterations[pool], fast_ones.iterations[pool]);
        }
    }
}

/* While a request waits for blocks, what it would find of its prefix is taken by those that decode, one windowed block
 * after the other. It needs fewer free blocks then, and its batch starts in the middle of what would be a stretch. */
static void test_a_waiting_request_loses_its_prefix(void **state)
{
    (void)state;
    static const char text[] =
        "{\"seed\": 530, \"model\": \"tests/data/windows.json\", \"device\": \"tests/data/line2.json\","
        "\"cluster\": {\"replicas\": 1}, \"policy\": {\"order\": \"resource_aware\", \"batching\": {\"name\": "
        "\"unified_budget\", \"token_budget\": 128, \"max_sequences\": 13}, \"prefix_caching\": true, \"kv_blocks\": "
        "154}, \"workload\": {\"priorities\": [1, 2], \"prefixes\": {\"groups\": 1, \"tokens\": 100}, \"arrivals\": "
        "{\"name\": \"closed_loop\", \"concurrency\": 11}, \"requests\": 21, \"lengths\": {\"prompt\": {\"name\": "
        "\"lognormal\", \"median\": 100, \"sigma\": 1, \"max\": 700}, \"output\": {\"name\": \"uniform\", \"min\": 1, "
        "\"max\": 264}}}}";
    run(text, true, &stepped);
    run(text, false, &fast);
    assert_null(difference(&stepped, &fast));
    simulation_close(stepped.simulation);
    simulation_close(fast.simulation);
}

/* From 5 with 7/65536 ns left over, iterations of 2 + i/2 ns: ends at 5 + 2, 4.5, 7.5, 11 and 15 ns, rounded down. */
static void test_a_stretch_by_hand(void **state)
{
    (void)state;
    struct stretch s = {.start = 5, .carry = 7, .first = 2 << FINE_BITS, .growth = 1 << (FINE_BITS - 1), .count = 5};
    const sim_time ends[] = {5, 7, 9, 12, 16, 20};
    for (uint64_t n = 0; n <= 5; n++)
        assert_int_equal(stretch_end(&s, n), ends[n]);
    assert_int_equal(stretch_ends_by(&s, 6), 1);
    assert_int_equal(stretch_ends_by(&s, 7), 1);
    assert_int_equal(stretch_ends_by(&s, 8), 2);
    assert_int_equal(stretch_ends_by(&s, 12), 3);
    assert_int_equal(stretch_ends_by(&s, 13), 4);
    assert_int_equal(stretch_ends_by(&s, 99), 5);
    struct stretch rest = s;
    stretch_drop(&rest, 2); /* 4.5 ns in: half a nanosecond is carried on */
    assert_int_equal(rest.start, 9);
    assert_int_equal(rest.carry, 7 + (1 << (FINE_BITS - 1)));
    assert_int_equal(rest.count, 3);
    for (uint64_t n = 0; n <= 3; n++)
        assert_int_equal(stretch_end(&rest, n), ends[n + 2]);
}

/* Who leaves a replica that fails takes along what an order has counted, in whatever iteration of a stretch that is. */
static void test_an_account_goes_with_those_who_leave(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 10; seed++) {
        char text[1200];
        snprintf(
            text, sizeof text,
            "{\"seed\": %u, \"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"failures\": "
            "{\"mtbf_s\": 3, \"mttr_s\": 0.5}}, \"policy\": {\"batching\": {\"name\": \"continuous\", "
            "\"max_sequences\": 3}, \"order\": \"fair\"}, \"workload\": {\"arrivals\": {\"name\": \"closed_loop\", "
            "\"concurrency\": 8, \"think_s\": 0.5}, \"requests\": 60, \"lengths\": {\"prompt\": {\"name\": "
            "\"uniform\", \"min\": 10, \"max\": 300}, \"output\": {\"name\": \"uniform\", \"min\": 50, \"max\": "
            "200}}}}",
            seed);
        run(text, true, &stepped);
        run(text, false, &fast);
        assert_true(fast.simulation->summary.totals.failures > 0);
        assert_null(difference(&stepped, &fast));
        simulation_close(stepped.simulation);
        simulation_close(fast.simulation);
    }
}

/* Ahead, who leaves with the iteration that runs is noticed one batch later by SGLang, and takes a token of a chunk, or
 * lets others in: a batch holds no longer than until then. */
static void test_a_batch_holds_until_who_leaves_is_noticed(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 6; seed++) {
        char text[1400];
        snprintf(
            text, sizeof text,
            "{\"seed\": %u, \"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": "
            "{\"schedule_ahead\": true}, \"cluster\": {\"placement\": \"mixed_pool\", \"failures\": {\"mtbf_s\": "
            "20, \"mttr_s\": 5}}, \"policy\": {\"batching\": {\"name\": \"sglang\", \"chunked_prefill_size\": 512, "
            "\"max_sequences\": 8, \"mixed_chunk\": %s}}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", "
            "\"rate_per_s\": 6}, \"requests\": 400, \"lengths\": {\"prompt\": {\"name\": \"lognormal\", "
            "\"median\": 600, \"sigma\": 1}, \"output\": {\"name\": \"lognormal\", \"median\": 150, \"sigma\": "
            "0.7}}}}",
            seed, seed % 2 ? "true" : "false");
        run(text, true, &stepped);
        run(text, false, &fast);
        assert_true(fast.simulation->summary.totals.failures > 0);
        assert_null(difference(&stepped, &fast));
        simulation_close(stepped.simulation);
        simulation_close(fast.simulation);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stretch_by_hand),
        cmocka_unit_test(test_stepping_reaches_every_pool),
        cmocka_unit_test(test_a_waiting_request_loses_its_prefix),
        cmocka_unit_test(test_an_account_goes_with_those_who_leave),
        cmocka_unit_test(test_a_batch_holds_until_who_leaves_is_noticed),
        cmocka_unit_test(test_fast_forward_equals_stepping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
