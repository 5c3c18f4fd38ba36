/* SPDX-License-Identifier: MIT */
/* What must hold of every run, on random scenarios: conservation of requests, tokens and KV blocks, time
 * parts that sum to the whole, Little's law, no overlapping iterations, the same rows for the same seed. */
#include <math.h>

#include "base/random.h"
#include "tests/harness.h"
#include "tests/random_scenario.h"

enum { SCENARIOS = 330 };

/* Checks as it listens. */
struct checker {
    sim_time busy_from[RANDOM_STATIONS_MAX], busy_until[RANDOM_STATIONS_MAX];
    size_t ranks; /* that step together, in every pool */
    const struct cluster_config *config;
    uint64_t steps_shared; /* by two of them */
    uint64_t wasted;       /* rows of requests that had ended */
    uint64_t early;        /* answered by a cache */
    uint64_t finished_output, batch_tokens, needed_tokens, recomputed, found;
    uint64_t hash;
    uint32_t block_tokens;
    struct kv_layout layout;
    uint64_t windows_left; /* chunks and single decodes that began with blocks out of the window */
};

static struct checker checker;

static void preempted(void *state, struct station_id station, const struct request *r)
{
    (void)state, (void)station;
    assert_int_equal(r->kv_blocks, 0);
}

/* Iterations of ranks that step together are the same in time, or apart. */
static void check_step(const struct iteration_record *i, sim_time start)
{
    for (size_t r = i->station.index - i->station.index % checker.ranks, k = 0; k < checker.ranks; k++, r++) {
        bool same = checker.busy_from[r] == start && checker.busy_until[r] == i->end;
        assert_true(r == i->station.index || same || checker.busy_until[r] <= start);
        checker.steps_shared += r != i->station.index && same;
    }
}

/* A windowed group has every block that the iteration's tokens see, and none that the next one does not. */
static void check_window(const struct batch_item *item)
{
    const struct request *r = item->req;
    if (checker.layout.groups.windowed == 0)
        return;
    assert_true(r->kv_left <= kv_layout_left(&checker.layout, r->computed));
    assert_true((uint64_t)r->kv_left + r->kv_window >=
                kv_layout_full(&checker.layout, (uint64_t)r->computed + item->new_tokens));
    assert_true(r->kv_left + r->kv_window <= r->kv_blocks);
    checker.windows_left += r->kv_left > 0;
}

static void iterated(void *state, const struct iteration_record *i)
{
    (void)state;
    sim_time start = i->stretch->start, end = stretch_end(i->stretch, i->count);
    assert_true(i->end > start && i->end == end);
    if (cluster_pool_of(checker.config, i->station)->tied == 1) { /* else micro-batches overlap */
        assert_true(start >= checker.busy_until[i->station.index]);
        check_step(i, start);
    }
    checker.busy_from[i->station.index] = start;
    checker.busy_until[i->station.index] = i->end;
    assert_true(i->cost->decode_alone <= i->cost->total);
    fine_time by_source = 0;
    for (int k = 0; k < COST_SOURCES; k++)
        by_source += i->cost->by[k];
    assert_true(by_source <= i->cost->total);
    assert_true(batch_padded_tokens(i->batch) >= batch_real_tokens(i->batch));
    assert_true(i->steady <= i->batch->decodes);
    assert_true(i->count == 1 || i->batch->count <= 1);
    for (size_t k = 0; k < i->batch->count; k++) {
        const struct batch_item *item = &i->batch->items[k];
        assert_true(item->new_tokens >= 1 && i->count * item->new_tokens <= request_uncomputed(item->req));
        assert_true((uint64_t)item->req->kv_blocks * checker.block_tokens >= item->req->computed + item->new_tokens);
        check_window(item);
        for (size_t j = 0; j < k; j++)
            assert_ptr_not_equal(i->batch->items[j].req, item->req);
        checker.batch_tokens += i->count * item->new_tokens;
    }
    checker.batch_tokens += i->count * (i->batch->decodes - i->batch->wasted);
    checker.wasted += i->batch->wasted;
}

static void gap(void *state, sim_time at, sim_time between, uint64_t count)
{
    (void)state, (void)at, (void)count;
    assert_true(between > 0);
}

static void finished(void *state, struct station_id station, const struct request *r)
{
    (void)state;
    assert_int_equal(r->generated, r->output_tokens);
    if (station.index == NO_STATION.index) {
        assert_true(r->computed == 0 && !r->scheduled && r->parts[PART_DELAY] == r->first_token - r->arrival);
        checker.early++;
        return;
    }
    assert_int_equal(r->computed, r->prompt_tokens + r->output_tokens - 1);
    assert_true(r->arrival <= r->first_scheduled && r->first_scheduled < r->first_token &&
                r->first_token <= r->last_token);
    assert_true((uint64_t)r->kv_blocks * checker.block_tokens >= r->computed || r->kv_blocks == 0);
    checker.hash = (checker.hash ^ (uint64_t)r->last_token ^ r->id << 40) * 0x100000001b3u;
    checker.needed_tokens += r->computed;
    checker.recomputed += r->recomputed_tokens;
    checker.found += r->prefix_cached_tokens;
}

static void evicted(void *state, struct station_id station, const struct request *r, sim_time at)
{
    (void)state, (void)station;
    assert_true(r->computed == 0 && at >= r->entered && r->generated < r->output_tokens);
}

/* What was computed for it was computed in vain. */
static void lost(void *state, const struct request *r, sim_time at, const char *reason)
{
    (void)state, (void)reason;
    assert_true(at >= r->arrival);
    checker.needed_tokens += r->peak_computed;
    checker.recomputed += r->recomputed_tokens;
    checker.found += r->prefix_cached_tokens;
}

/* L = λW at every delay station. */
static void check_delays(const struct run_summary *r)
{
    uint64_t early = 0;
    for (size_t i = 0; i < r->delay_count; i++) {
        assert_true(r->delays[i].little_residual <= 1e-9);
        assert_true(fabs(r->delays[i].number - r->delays[i].arrival_rate * r->delays[i].stay_s) <=
                    1e-9 * r->delays[i].number);
        early += r->delays[i].answered;
    }
    assert_int_equal(early, checker.early);
}

static void run_checked(const char *text, struct run_summary *out)
{
    struct error err = {0};
    struct simulation *s = open_simulation(text);
    const struct cluster_config *c = &s->scenario.cluster;
    checker = (struct checker){.hash = 1,
                               .block_tokens = c->pools[0].replica.kv_block_tokens,
                               .layout = replica_kv_layout(&c->pools[0].replica),
                               .ranks = c->pools[0].ranks,
                               .config = c};
    const struct observer observer = {.preempted = preempted,
                                      .iterated = iterated,
                                      .gap = gap,
                                      .finished = finished,
                                      .evicted = evicted,
                                      .lost = lost};
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    check_delays(&s->summary);
    *out = s->summary;
    simulation_close(s);
}

/* What tiers took in they hold or have evicted, and never more than they have room for. Returns how many loads there
 * were. */
static uint64_t check_tiers(const struct run_summary *r)
{
    uint64_t loads = 0;
    for (size_t i = 0; i < r->tier_count; i++) {
        const struct tier_totals *t = &r->totals.tiers[i];
        assert_true(t->written == t->evicted + t->held);
        assert_true(t->held <= t->peak && t->peak <= t->capacity);
        assert_true(t->tokens <= t->asked_tokens && r->tiers[i].reads.little_residual < 1e-9);
        loads += t->loads;
    }
    return loads;
}

static void test_random_scenarios_keep_every_invariant(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(20261128, "random scenarios");
    uint64_t preemptions = 0, rejections = 0, shared = 0, failures = 0, losses = 0, windows_left = 0, wasted = 0,
             early = 0, loads = 0;
    for (int i = 0; i < SCENARIOS; i++) {
        char text[7000];
        struct run_summary first, again;
        random_scenario(rng, text, sizeof text);
        run_checked(text, &first);
        const struct cluster_totals *t = &first.totals;
        uint64_t hash = checker.hash;
        if (t->unfinished != 0 || t->arrived != t->finished + t->rejected + t->lost || t->kv_held != 0 ||
            t->kv_allocated != t->kv_freed ||
            checker.batch_tokens + checker.found != checker.needed_tokens + checker.recomputed)
            fail_msg("scenario %d: %s", i, text);
        /* run_metrics_summarise has failed already if parts do not sum or Little's law does not hold. */
        assert_true(first.metrics[METRIC_E2E].count + first.metrics[METRIC_E2E].cut == t->finished);
        run_checked(text, &again);
        assert_true(checker.hash == hash && again.totals.end == first.totals.end);
        loads += check_tiers(&first);
        preemptions += first.preemptions;
        shared += checker.steps_shared;
        windows_left += checker.windows_left;
        wasted += checker.wasted;
        early += checker.early;
        rejections += t->rejected;
        failures += t->failures;
        losses += t->lost;
    }
    gsl_rng_free(rng);
    assert_true(preemptions > 100 && rejections > 100 && shared > 1000 && failures > 50 && losses > 50 &&
                windows_left > 1000 && wasted > 100 && early > 50 &&
                loads > 150); /* the scenarios reach the hard cases */
}

/* Scheduling ahead, the next batch has taken blocks for its decodes when its replica fails. */
static void test_a_failed_replica_gives_back_what_its_next_batch_took(void **state)
{
    (void)state;
    struct run_summary r;
    static const char text[] =
        "{\"seed\": 1, \"model\": \"llama-3.1-8b\", \"device\": \"rtx-4090\", \"engine\": {\"schedule_ahead\": "
        "true},"
        "\"cluster\": {\"replicas\": 3, \"failures\": {\"mtbf_s\": 2, \"mttr_s\": 0.2, \"requests\": \"lost\"}},"
        "\"policy\": {\"batching\": \"unified_budget\", \"kv_block_tokens\": 3, \"kv_blocks\": 2352},"
        "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 20}, \"requests\": 200, \"lengths\": {"
        "\"prompt\": {\"name\": \"fixed\", \"tokens\": 100}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": "
        "66}}}}";
    run_checked(text, &r);
    assert_true(r.totals.lost > 0);
    assert_int_equal(r.totals.kv_held, 0);
    assert_int_equal(r.totals.kv_allocated, r.totals.kv_freed);
}

/* Twice the load, never-ending queue: said in the first line instead of quoting a p99. */
static void test_an_overloaded_run_says_so(void **state)
{
    (void)state;
    struct run_summary r;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"ideal-server\","
        "\"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}},"
        "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %u}, \"requests\": 5000,"
        "\"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 100000}, \"output\": {\"name\": \"fixed\", "
        "\"tokens\": 1}}}}";
    char with_rate[600];
    snprintf(with_rate, sizeof with_rate, text, 2000);
    run_scenario(with_rate, &r);
    assert_true(r.overloaded);
    snprintf(with_rate, sizeof with_rate, text, 800);
    run_scenario(with_rate, &r);
    assert_false(r.overloaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_scenarios_keep_every_invariant),
        cmocka_unit_test(test_a_failed_replica_gives_back_what_its_next_batch_took),
        cmocka_unit_test(test_an_overloaded_run_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
