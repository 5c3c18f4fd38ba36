/* SPDX-License-Identifier: MIT */
/* Who stands where in the waiting queue. */
#include "tests/harness.h"

#include "base/random.h"

static struct bench_replica b;

static uint32_t finds_nothing(const struct replica_view *view, const struct request *r)
{
    (void)view, (void)r;
    return 0;
}

static void begin(const char *order, const char *policy)
{
    b.order = order;
    bench_init(&b, policy, 1000);
    b.order = NULL;
    b.predicted = true;
}

static void end(void)
{
    assert_int_equal(b.replica->kv->allocated, b.replica->kv->freed);
    replica_destroy(b.replica);
}

#define ONE_AT_A_TIME "{\"name\": \"continuous\", \"max_sequences\": 1}"

/* Queues three requests, in this order, and says who stands where. */
static void queue_of(const char *name, const char *spec, struct request r[3], const char *expected)
{
    struct error err = {0};
    struct json root;
    struct param_set params;
    struct request_list queue = {0};
    char found[64] = "";
    expect_ok(json_parse(spec, "order", &root, &err), &err);
    const struct order_policy *order = order_policy_find(name);
    expect_ok(param_set_read(&params, order->params, &root, &err), &err);
    for (int i = 0; i < 3; i++)
        order_insert(order, &params, &queue, &r[i]);
    for (const struct request *q = queue.head; q; q = q->next)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%llu", (unsigned long long)q->id);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    assert_string_equal(found, expected);
}

/* Prompts 100, 300, 90; outputs predicted 50, 20, 50; arrivals 0, 1 and 2 s; the second has had 5 of its tokens;
 * deadlines 1 s and 10 ms a prompt token after arrival: 2, 5, 3.9 s. Equals stand by arrival. */
static void test_orders_by_hand(void **state)
{
    (void)state;
    struct request r[3] = {
        {.id = 0, .prompt_tokens = 100, .predicted_tokens = 50},
        {.id = 1, .prompt_tokens = 300, .predicted_tokens = 20, .generated = 5, .arrival = 1000000000},
        {.id = 2, .prompt_tokens = 90, .predicted_tokens = 50, .arrival = 2000000000},
    };
    queue_of("fcfs", "{}", r, "012");
    queue_of("sjf", "{}", r, "102");
    queue_of("sjf", "{\"prompt_weight\": 1}", r, "201");
    queue_of("srpt", "{}", r, "102");
    queue_of("edf", "{\"per_prompt_token_s\": 0.01}", r, "021");
    queue_of("length_bucket", "{\"smallest\": 128}", r, "021");
    queue_of("skip_predict", "{\"short_tokens\": 30}", r, "102");
    queue_of("skip_predict", "{\"short_tokens\": 50}", r, "012");
}

/* With the shortest first, a newcomer passes who has waited longer. */
static void test_shortest_first_in_a_replica(void **state)
{
    (void)state;
    begin("srpt", ONE_AT_A_TIME);
    for (uint64_t i = 0; i < 3; i++)
        bench_arrive(&b, i, 4, 3 - (uint32_t)i);
    bench_step(&b, "2:4");
    bench_step(&b, "1:4");
    bench_step(&b, "1:1");
    bench_step(&b, "0:4");
    bench_step(&b, "0:1");
    bench_step(&b, "0:1");
    end();
}

/* Priority 0 passes two of priority 1. With aging of 10 s the second of these, which came at 0 s, is worth 10 and
 * stands before a 0 that comes at 20. */
static void test_priority_with_and_without_aging(void **state)
{
    (void)state;
    begin("priority", ONE_AT_A_TIME);
    bench_arrive_from(&b, 0, 4, 1, (struct origin){.priority = 1});
    bench_arrive_from(&b, 1, 4, 1, (struct origin){.priority = 1});
    bench_arrive_from(&b, 2, 4, 1, (struct origin){.priority = 0});
    bench_step(&b, "2:4");
    bench_step(&b, "0:4");
    bench_step(&b, "1:4");
    end();
    struct request r[3] = {{.id = 0, .origin = {.priority = 2}, .arrival = 0},
                           {.id = 1, .origin = {.priority = 1}, .arrival = 0},
                           {.id = 2, .arrival = 20000000000}};
    queue_of("priority", "{}", r, "210");
    queue_of("priority", "{\"aging_s\": 10}", r, "102"); /* 20, 10 and 20: 0 came before 2 */
}

/* One place. Client 0 sends four requests of 10 + 1 tokens at once, client 1 two of 30 + 1. Served in full, each counts
 * prompt + 2·output: 12 and 32. From 0 : 0 the lower number goes first: 0 (12 : 0), 4 (12 : 32), 1 (24), 2 (36 : 32), 5
 * (36 : 64), 3. */
static void test_fair_serves_who_was_served_least(void **state)
{
    (void)state;
    begin("fair", ONE_AT_A_TIME);
    for (uint64_t i = 0; i < 6; i++)
        bench_arrive_from(&b, i, i < 4 ? 10 : 30, 1, (struct origin){.client = i >= 4});
    bench_step(&b, "0:10");
    bench_step(&b, "4:30");
    bench_step(&b, "1:10");
    bench_step(&b, "2:10");
    bench_step(&b, "5:30");
    bench_step(&b, "3:10");
    end();
}

/* Client 1 comes when client 0 has been served for 12 and has more waiting: it starts from there and not from 0, or it
 * would be served twice in a row. */
static void test_fair_lifts_who_comes_late(void **state)
{
    (void)state;
    begin("fair", ONE_AT_A_TIME);
    for (uint64_t i = 0; i < 3; i++)
        bench_arrive(&b, i, 10, 1);
    bench_step(&b, "0:10");
    for (uint64_t i = 3; i < 6; i++)
        bench_arrive_from(&b, i, 10, 1, (struct origin){.client = 1});
    bench_step(&b, "1:10");
    bench_step(&b, "3:10");
    bench_step(&b, "2:10");
    bench_step(&b, "4:10");
    bench_step(&b, "5:10");
    end();
}

/* Outputs count as they come: while 0 of client 0 decodes, its second request falls behind client 1's, two places. */
static void test_fair_counts_tokens_as_they_come(void **state)
{
    (void)state;
    begin("fair", "{\"name\": \"continuous\", \"max_sequences\": 2}");
    bench_arrive(&b, 0, 10, 30);                                   /* counts 10, then 2 a token */
    bench_arrive_from(&b, 1, 12, 2, (struct origin){.client = 1}); /* 12 + 4 */
    bench_step(&b, "0:10 1:12");
    bench_arrive(&b, 2, 10, 1);
    bench_arrive_from(&b, 3, 10, 1, (struct origin){.client = 1});
    bench_step(&b, "0:1 1:1");  /* now 14 : 16 */
    bench_step(&b, "0:1 2:10"); /* 14 + 10 + 2·2 = 28 : 16 */
    bench_step(&b, "0:1 3:10");
    while (b.replica->running.count > 0)
        bench_step(&b, "0:1");
    end();
}

/* Groups by Σ output over Σ prompt, a common prefix once: group 1 has (5 + 5) / (20 + 10 + 10 − 8) = 0.31 though its
 * second request alone would have 0.5; request 3 by itself 0.4; group 2, 1 / 40. */
static void test_decode_ratio_keeps_groups_together(void **state)
{
    (void)state;
    begin("decode_ratio", ONE_AT_A_TIME);
    const struct origin one = {.prefix_group = 1, .prefix_tokens = 8}, two = {.prefix_group = 2, .prefix_tokens = 8};
    bench_arrive_from(&b, 0, 40, 1, two);
    bench_arrive_from(&b, 1, 20, 1, one);
    bench_arrive_from(&b, 2, 20, 9, one);
    bench_arrive_from(&b, 3, 10, 4, (struct origin){0});
    bench_step(&b, "3:10");
    for (int i = 0; i < 3; i++)
        bench_step(&b, "3:1");
    bench_step(&b, "1:20");
    bench_step(&b, "2:20");
    for (int i = 0; i < 8; i++)
        bench_step(&b, "2:1");
    bench_step(&b, "0:40");
    end();
}

/* Two places. The first and the second have 40 tokens in common that nobody has computed: the second stands last,
 * behind one of no prefix, and finds them one batch later. Then whoever finds more goes first; the shared 28 tokens of
 * a second group are too few to wait for. */
static void test_lpm_has_one_of_a_group_compute_its_prefix(void **state)
{
    (void)state;
    b.prefix_caching = true;
    begin("lpm", "{\"name\": \"continuous\", \"max_sequences\": 2}");
    b.prefix_caching = false;
    const struct origin one = {.prefix_group = 1, .prefix_tokens = 40}, two = {.prefix_group = 2, .prefix_tokens = 28};
    bench_arrive_from(&b, 0, 50, 1, one);
    bench_arrive_from(&b, 1, 50, 1, one);
    bench_arrive_from(&b, 2, 30, 1, (struct origin){0});
    bench_step(&b, "0:50 2:30");
    bench_arrive_from(&b, 3, 20, 1, (struct origin){0});
    bench_arrive_from(&b, 4, 60, 1, one);
    bench_step(&b, "1:10 4:20"); /* both find 40 */
    bench_arrive_from(&b, 5, 30, 1, two);
    bench_arrive_from(&b, 6, 30, 1, two);
    bench_step(&b, "3:20 5:30");
    bench_step(&b, "6:2");
    end();
}

/* More than 128 wait: as they came, whatever they would find. */
static void test_lpm_of_a_long_queue_is_first_come_first_served(void **state)
{
    (void)state;
    static struct request r[129];
    struct replica_view view = {.waiting = &(struct request_list){0}, .finds_prefixes = true, .kv.block_tokens = 16};
    struct error err = {0};
    void *lpm = NULL;
    expect_ok(order_policy_find("lpm")->create(&lpm, NULL, &err), &err);
    const struct order_policy *order = order_policy_find("lpm");
    for (uint64_t i = 0; i < 129; i++) { /* one group: from the second on they would stand last */
        r[i] = (struct request){.id = i, .prompt_tokens = 100, .entered = (sim_time)i, .arrival = (sim_time)i};
        r[i].origin = (struct origin){.prefix_group = i < 2, .prefix_tokens = 64};
    }
    static const struct replica_verbs verbs = {.cached_tokens = finds_nothing};
    view.verbs = &verbs;
    for (size_t n = 128; n <= 129; n++) {
        for (size_t i = n == 128 ? 0 : 128; i < n; i++) {
            assert_int_equal(order->joins(lpm, &r[i]), 0);
            order_insert(order, NULL, view.waiting, &r[i]);
        }
        order->begins(lpm, &view);
        order->arrange(lpm, view.waiting);
        assert_int_equal(view.waiting->head->id, 0);
        if (n == 129)
            break;
        order_remove(view.waiting, &r[0]);
        order->admitted(lpm, &r[0]);
        order->arrange(lpm, view.waiting);
        assert_int_equal(view.waiting->head->id, 2); /* the second waits for the first one's prefix */
        assert_int_equal(order->joins(lpm, &r[0]), 0);
        order_insert(order, NULL, view.waiting, &r[0]);
    }
    order_remove(view.waiting, &r[0]);
    order->admitted(lpm, &r[0]);
    order->arrange(lpm, view.waiting);
    assert_int_equal(view.waiting->head->id, 1);
    order->destroy(lpm);
}

/* Two with long prompts and short outputs, two the other way round; two places. The first has the most tokens to
 * compute for each KV token read, so those who run are heavy on compute and the next one comes from the other end. */
static void test_resource_aware_mixes_both_ends(void **state)
{
    (void)state;
    begin("resource_aware", "{\"name\": \"continuous\", \"max_sequences\": 2}");
    bench_arrive_from(&b, 0, 10, 20, (struct origin){0});
    bench_arrive_from(&b, 1, 60, 1, (struct origin){0});
    bench_arrive_from(&b, 2, 80, 2, (struct origin){0});
    bench_arrive_from(&b, 3, 10, 30, (struct origin){0});
    bench_step(&b, "1:60 3:10"); /* densities: 30/400, 61/60.5, 82/162, 40/750 */
    bench_step(&b, "3:1 2:80");  /* 3 alone is heavy on memory */
    bench_step(&b, "3:1 2:1");
    bench_step(&b, "3:1 0:10");
    while (b.replica->running.count > 1)
        bench_step(&b, "3:1 0:1");
    while (b.replica->running.count > 0)
        bench_step(&b, b.replica->running.head->id == 3 ? "3:1" : "0:1");
    end();
}

/* Who is called short is predicted to be so long and asked no further; the others get a length above it, and pay. */
static void test_two_steps_of_prediction(void **state)
{
    (void)state;
    struct error err = {0};
    struct json root;
    struct param_set params;
    gsl_rng *rng = random_stream_create(1, "test");
    const struct predictor *p = predictor_find("two_step");
    expect_ok(json_parse("{\"short_tokens\": 100, \"cheap_right\": 1, \"sigma\": 0, \"cheap_server_s\": 0.001, "
                         "\"server_s\": 0.01}",
                         "predictor", &root, &err),
              &err);
    expect_ok(param_set_read(&params, p->params, &root, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    struct request is_short = {.output_tokens = 60, .max_output_tokens = 500}, is_long = is_short;
    is_long.output_tokens = 400;
    predictor_apply(p, &params, &is_short, rng);
    predictor_apply(p, &params, &is_long, rng);
    assert_int_equal(is_short.predicted_tokens, 100);
    assert_int_equal(is_short.prediction, 1000000);
    assert_int_equal(is_long.predicted_tokens, 400);
    assert_int_equal(is_long.prediction, 11000000);
    assert_true(predictor_takes_time(&params));
    int called_short = 0; /* of 10 000 long ones, when the cheap step is right with chance 0.7 */
    params.number[1] = 0.7;
    for (int i = 0; i < 10000; i++) {
        predictor_apply(p, &params, &is_long, rng);
        called_short += is_long.predicted_tokens == 100;
    }
    assert_true(called_short > 2800 && called_short < 3200); /* 3 000 ± 4.4 standard deviations of 46 */
    gsl_rng_free(rng);
}

/* A single request's first token comes later by what its prediction takes on the server. */
static void test_predictions_on_the_server_take_its_time(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"policy\": {\"order\": \"sjf\", \"predictor\": "
        "{\"name\": \"oracle\", \"server_s\": %g}}, \"workload\": {\"arrivals\": \"poisson\", \"requests\": 1, "
        "\"lengths\": \"fixed\"}}";
    double ttft[2];
    for (int i = 0; i < 2; i++) {
        char spec[500];
        struct run_summary r;
        snprintf(spec, sizeof spec, text, i * 0.25);
        run_scenario(spec, &r);
        ttft[i] = r.metrics[METRIC_TTFT].at[STAT_MEAN].value;
    }
    assert_true(fabs(ttft[1] - ttft[0] - 0.25e9) < 1);
}

/* Of a run: which request was scheduled and served when. The order of rows does not matter. */
static void add_row(void *state, struct station_id station, const struct request *r)
{
    uint64_t *sum = state, row = 0;
    const uint64_t values[] = {
        station.index,           r->id,         (uint64_t)r->first_scheduled, (uint64_t)r->first_token,
        (uint64_t)r->last_token, r->preemptions};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        row = random_mix(row + values[i]);
    *sum += row;
}

static void ignore_point(void *state, const char *series, sim_time at, double value)
{
    (void)state, (void)series, (void)at, (void)value;
}

static uint64_t rows_of(const char *text, uint64_t *preemptions)
{
    struct error err = {0};
    uint64_t hash = 0;
    struct simulation *s = open_simulation(text);
    const struct simulation_options o = {.rows = {.state = &hash, .add_request = add_row, .add_point = ignore_point}};
    expect_ok(simulation_run(s, &o, &err), &err);
    *preemptions += s->summary.preemptions;
    simulation_close(s);
    return hash;
}

/* All requests have one priority, one predicted length, one bucket and one allowance: whatever ranks them, they are
 * served as they came, to the nanosecond, with pools small enough that many are preempted. Each replica has a queue of
 * its own: one that takes a request from a shared queue that another has preempted runs it out of order. */
static void test_equal_keys_are_served_as_they_came(void **state)
{
    (void)state;
    static const char *const orders[] = {
        "\"fcfs\"",        "\"priority\"", "{\"name\": \"priority\", \"aging_s\": 7}",
        "\"edf\"",         "\"sjf\"",      "{\"name\": \"length_bucket\", \"smallest\": 1000000}",
        "\"skip_predict\""};
    static const char *const policies[] = {
        "{\"name\": \"unified_budget\", \"token_budget\": 96, \"long_prefill_threshold\": 40}",
        "{\"name\": \"unified_budget\", \"token_budget\": 6}",
        "\"unified_budget\"",
        "\"chunked_prefill\"",
        "\"prefill_first\"",
        "\"lightllm\"",
        "{\"name\": \"static_padded\", \"batch_wait_s\": 0.1}",
        "{\"name\": \"continuous\"}"};
    gsl_rng *rng = random_stream_create(20261126, "equal keys");
    uint64_t preemptions = 0;
    for (int i = 0; i < 60; i++) {
        uint64_t expected = 0;
        unsigned seed = (unsigned)gsl_rng_uniform_int(rng, 100000), policy = (unsigned)gsl_rng_uniform_int(rng, 8),
                 blocks = 30 + (unsigned)gsl_rng_uniform_int(rng, 60), wide = (unsigned)gsl_rng_uniform_int(rng, 3),
                 caching = (unsigned)gsl_rng_uniform_int(rng, 2), ahead = gsl_rng_uniform_int(rng, 4) == 0;
        for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
            char text[1200];
            snprintf(text, sizeof text,
                     "{\"seed\": %u, \"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": "
                     "{\"schedule_ahead\": %s}, \"cluster\": {\"replicas\": %u, \"routing\": \"%s\"}, "
                     "\"output\": {\"warmup\": \"none\", \"requests\": true}, \"policy\": {\"order\": %s, "
                     "\"predictor\": {\"name\": \"constant\", \"tokens\": 1}, \"admission\": \"on_demand\", "
                     "\"batching\": %s, \"prefix_caching\": %s, \"kv_blocks\": %u}, \"workload\": "
                     "{\"prefixes\": {\"groups\": 3, \"tokens\": 50}, \"arrivals\": {\"name\": \"poisson\", "
                     "\"rate_per_s\": 60}, \"requests\": 80, \"lengths\": {\"prompt\": {\"name\": \"uniform\", "
                     "\"min\": 20, \"max\": 200}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": "
                     "200}}}}",
                     seed, ahead ? "true" : "false", wide > 0 ? 2 : 1,
                     wide > 1 ? "least_outstanding_tokens" : "round_robin", orders[k], policies[policy],
                     caching ? "true" : "false", blocks);
            uint64_t rows = rows_of(text, &preemptions);
            expected = k == 0 ? rows : expected;
            if (rows != expected)
                fail_msg("%s", text);
        }
    }
    gsl_rng_free(rng);
    assert_true(preemptions > 5000);
}

/* A queue of 100 000, whose keys rise, fall or neither, is no deeper than a tree of random shape: about 2 ln n, 23, and
 * rarely more than twice that. So each insertion takes so many steps. */
static void test_a_long_queue_is_not_searched_from_its_end(void **state)
{
    (void)state;
    enum { LENGTH = 100000 };
    struct request *r = calloc(LENGTH, sizeof *r);
    struct json nothing = {0};
    struct param_set params;
    struct error err = {0};
    const struct order_policy *sjf = order_policy_find("sjf");
    assert_non_null(r);
    expect_ok(param_set_read(&params, sjf->params, &nothing, &err), &err);
    for (int shape = 0; shape < 3; shape++) {
        struct request_list queue = {0};
        for (uint32_t i = 0; i < LENGTH; i++) {
            uint32_t key = shape == 0 ? i : shape == 1 ? LENGTH - i : i * 7919 % 1000;
            r[i] = (struct request){.id = i, .predicted_tokens = key};
            order_insert(sjf, &params, &queue, &r[i]);
        }
        size_t deepest = 0;
        for (uint32_t i = 0; i < LENGTH; i++) {
            size_t depth = 0;
            for (const struct ordered *o = &r[i].place; o->up; o = o->up)
                depth++;
            deepest = depth > deepest ? depth : deepest;
        }
        assert_true(deepest < 60);
        for (const struct request *q = queue.head; q->next; q = q->next)
            assert_true(ordered_before(&q->place, &q->next->place));
        assert_ptr_equal(queue.oldest, &r[0]);
        for (uint32_t i = 0; i < LENGTH; i++)
            order_remove(&queue, &r[i]);
        assert_true(queue.count == 0 && !queue.places && !queue.oldest && !queue.newest);
    }
    free(r);
}

/* Of two buckets of 1 600 tokens the right one is the first: its upper end is predicted, which holds every output of
 * the bucket. 1 601 tokens are of the second. Nothing beyond the request's limit is predicted. */
static void test_a_bucket_foretells_its_upper_end(void **state)
{
    (void)state;
    struct error err = {0};
    struct json root;
    struct param_set params;
    gsl_rng *rng = random_stream_create(1, "test");
    const struct predictor *p = predictor_find("bucketed");
    expect_ok(json_parse("{\"bucket_tokens\": 1600, \"buckets\": 2, \"right\": 1}", "predictor", &root, &err), &err);
    expect_ok(param_set_read(&params, p->params, &root, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    static const uint32_t outputs[][3] = {{10, 4000, 1600}, {1600, 4000, 1600}, {1601, 4000, 3200}, {10, 900, 900}};
    for (int i = 0; i < 4; i++) {
        struct request r = {.output_tokens = outputs[i][0], .max_output_tokens = outputs[i][1]};
        predictor_apply(p, &params, &r, rng);
        assert_int_equal(r.predicted_tokens, outputs[i][2]);
    }
    gsl_rng_free(rng);
}

/* 2 000 random steps with an order of 100 things, whose keys have many ties, against a plain search. */
static void test_an_order_agrees_with_a_plain_search(void **state)
{
    (void)state;
    struct ordered things[100], *root = NULL;
    bool in[100] = {false};
    gsl_rng *rng = random_stream_create(1, "ordered");
    for (int step = 0; step < 2000; step++) {
        uint64_t which = gsl_rng_uniform_int(rng, 100);
        struct ordered *o = &things[which], *first = NULL, *last = NULL, *after = NULL;
        if (in[which]) {
            ordered_remove(&root, o);
        } else {
            *o = (struct ordered){.key = (double)(which % 7), .time = (sim_time)(which % 3), .number = which};
            for (size_t i = 0; i < 100; i++)
                if (in[i] && ordered_before(o, &things[i]) && (!after || ordered_before(&things[i], after)))
                    after = &things[i];
            assert_ptr_equal(ordered_insert(&root, o), after);
        }
        in[which] = !in[which];
        for (size_t i = 0; i < 100; i++) {
            first = in[i] && (!first || ordered_before(&things[i], first)) ? &things[i] : first;
            last = in[i] && (!last || ordered_before(last, &things[i])) ? &things[i] : last;
        }
        assert_ptr_equal(ordered_first(root), first);
        assert_ptr_equal(ordered_last(root), last);
        assert_ptr_equal(ordered_find(root, o), in[which] ? o : NULL);
    }
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_by_hand),
        cmocka_unit_test(test_shortest_first_in_a_replica),
        cmocka_unit_test(test_priority_with_and_without_aging),
        cmocka_unit_test(test_fair_serves_who_was_served_least),
        cmocka_unit_test(test_fair_lifts_who_comes_late),
        cmocka_unit_test(test_fair_counts_tokens_as_they_come),
        cmocka_unit_test(test_decode_ratio_keeps_groups_together),
        cmocka_unit_test(test_resource_aware_mixes_both_ends),
        cmocka_unit_test(test_lpm_has_one_of_a_group_compute_its_prefix),
        cmocka_unit_test(test_lpm_of_a_long_queue_is_first_come_first_served),
        cmocka_unit_test(test_two_steps_of_prediction),
        cmocka_unit_test(test_predictions_on_the_server_take_its_time),
        cmocka_unit_test(test_an_order_agrees_with_a_plain_search),
        cmocka_unit_test(test_a_long_queue_is_not_searched_from_its_end),
        cmocka_unit_test(test_equal_keys_are_served_as_they_came),
        cmocka_unit_test(test_a_bucket_foretells_its_upper_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
