/* SPDX-License-Identifier: MIT */
/* Results of benchmarks: what is read of them; and parameters that are fitted to them. */
#include <math.h>

#include "profiles/cost.h"
#include "profiles/engine.h"
#include "tests/harness.h"
#include "validation/calibrate.h"
#include "validation/calibrate_parts.h"
#include "validation/level_run.h"

#define FORMS "tests/data/forms/"

static void assert_near(double found, double expected, double part)
{
    if (!(fabs(found - expected) <= part * fabs(expected)))
        fail_msg("found %.9g, expected %.9g", found, expected);
}

static void read_levels(const char *file, struct levels *out)
{
    struct error err = {0};
    *out = (struct levels){0};
    expect_ok(levels_read(file, NULL, out, &err), &err);
}

static void expect_refused(const char *file, const char *words)
{
    struct error err = {0};
    struct levels levels = {0};
    assert_int_equal(levels_read(file, NULL, &levels, &err), -1);
    if (!strstr(err.text, words))
        fail_msg("expected \"%s\" in \"%s\"", words, err.text);
    assert_int_equal(err.code, ERROR_INPUT);
    levels_release(&levels);
}

/* What every sample says: 50 requests of 500 and 100 tokens, and their times. */
static void expect_sample(const struct level *l)
{
    static const double expected[MEASURED_METRICS][MEASURED_STATISTICS] = {{0.1, 0.095, 0.13, 0.14, 0.16},
                                                                           {0.01, 0.0099, 0.0105, 0.0107, 0.011},
                                                                           {1.09, 1.075, 1.17, 1.2, 1.25}};
    assert_near(l->requests, 50, 0);
    assert_near(l->prompt_tokens, 500, 0);
    assert_near(l->output_tokens, 100, 0);
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            assert_near(l->measured[m][i], expected[m][i], 1e-12);
}

static void expect_clients(const struct level *l, double clients)
{
    assert_int_equal(l->load, LOAD_CLOSED);
    assert_near(l->concurrency, clients, 0);
}

static void expect_rate(const struct level *l, double rate)
{
    assert_int_equal(l->load, LOAD_RATE);
    assert_near(l->rate_per_s, rate, 0);
}

static void test_every_form_says_the_same(void **state)
{
    static const struct {
        const char *file;
        double clients, rate;
    } cases[] = {{FORMS "vllm.json", 16, 0},
                 {FORMS "aiperf.json", 16, 0},
                 {FORMS "aiperf_phases.json", 0, 2.5},
                 {FORMS "genai_perf.json", 16, 0},
                 {FORMS "stage_0_lifecycle_metrics.json", 0, 2.5},
                 {FORMS "stage_1_lifecycle_metrics.json", 16, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct levels levels;
        read_levels(cases[i].file, &levels);
        assert_int_equal(levels.count, 1);
        expect_sample(&levels.items[0]);
        if (cases[i].clients > 0)
            expect_clients(&levels.items[0], cases[i].clients);
        else
            expect_rate(&levels.items[0], cases[i].rate);
        levels_release(&levels);
    }
}

static void test_files_of_several_loads(void **state)
{
    struct levels levels;
    (void)state;
    read_levels(FORMS "guidellm.json", &levels);
    assert_int_equal(levels.count, 3);
    expect_clients(&levels.items[0], 16);
    expect_rate(&levels.items[1], 2.5);
    expect_clients(&levels.items[2], 1);
    for (size_t i = 0; i < 3; i++)
        expect_sample(&levels.items[i]);
    levels_release(&levels);
    read_levels(FORMS "vllm_appended.json", &levels);
    assert_int_equal(levels.count, 2);
    expect_clients(&levels.items[1], 32);
    levels_release(&levels);
    read_levels("tests/data/forms", &levels); /* inference-perf's folder: stages in order, no summary */
    assert_int_equal(levels.count, 2);
    expect_rate(&levels.items[0], 2.5);
    expect_clients(&levels.items[1], 16);
    levels_release(&levels);
}

/* Of three requests the second failed. The first decodes 4 tokens in 40 ms, the third 2 in 60. */
static void test_requests_of_a_detailed_result(void **state)
{
    struct levels levels;
    (void)state;
    read_levels(FORMS "vllm_detailed.json", &levels);
    const struct level *l = &levels.items[0];
    assert_int_equal(l->load, LOAD_STAMPED);
    assert_int_equal(l->sent_count, 2);
    assert_near(l->sent[0].arrival_s, 0, 0);
    assert_near(l->sent[1].arrival_s, 0.5, 1e-12);
    assert_near(l->sent[0].tpot_s, 0.01, 1e-9);
    assert_near(l->sent[1].tpot_s, 0.03, 1e-9);
    assert_near(l->sent[1].e2e_s, 0.26, 1e-9);
    assert_near(l->measured[0][0], 0.15, 1e-9);
    assert_near(l->prompt_tokens, 350, 0);
    levels_release(&levels);
}

static void test_a_line_a_level(void **state)
{
    struct levels levels;
    (void)state;
    read_levels(FORMS "levels.csv", &levels);
    assert_int_equal(levels.count, 2);
    assert_string_equal(levels.items[0].name, "night");
    expect_rate(&levels.items[0], 2.5);
    expect_clients(&levels.items[1], 16);
    assert_near(levels.items[0].measured[0][4], 0.16, 1e-12);
    assert_true(isnan(levels.items[1].measured[0][4]) && isnan(levels.items[0].measured[1][1]));
    levels_release(&levels);
}

static void write_file(const char *file, const char *text)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

#define VLLM "\"request_throughput\": 1, \"mean_ttft_ms\": 5, \"total_input_tokens\": 10, \"total_output_tokens\": 10"

static void test_wrong_results_are_one_sentence(void **state)
{
    static const char file[] = "build/test_calibrate.json", csv[] = "build/test_calibrate.csv";
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{\"a\": 1}", "expected a result of vLLM's bench serve, GuideLLM, AIPerf, genai-perf or an inference-perf"},
        {"{" VLLM ", \"completed\": 1}", "request_rate: is missing, expected a number from 1e-09 to 1e+09"},
        {"{" VLLM ", \"completed\": 0, \"request_rate\": 2}", "expected at least one finished request"},
        {"{" VLLM ", \"completed\": 1, \"request_rate\": 2, \"ramp_up_strategy\": \"linear\"}", "a rate that rises"},
        {"{" VLLM ", \"completed\": 1, \"request_rate\": 2, \"max_concurrency\": 4, \"max_concurrent_requests\": 4}",
         "max_concurrency: expected none next to a request_rate"},
        {"{" VLLM ", \"completed\": 1, \"request_rate\": \"inf\", \"ttfts\": [1, 2], \"input_lens\": [1]}",
         "input_lens: expected 2 elements, as many as in ttfts, found 1"},
        {"{\"benchmarks\": [{\"metrics\": {}, \"config\": {\"strategy\": {\"type_\": \"sweep\"}}}]}",
         "type_: expected synchronous, concurrent, throughput, constant or poisson"},
        {"{\"input_config\": {\"loadgen\": {}}, \"time_to_first_token\": {\"avg\": 5, \"unit\": \"ms\"}}",
         "input_config: expected loadgen.concurrency or loadgen.request_rate"},
        {"{\"input_config\": {\"concurrency\": 1}, \"time_to_first_token\": {\"avg\": 5, \"unit\": \"h\"}}",
         "time_to_first_token.unit: expected ms, sec, us or ns, found \"h\""},
        {"not json", "not valid JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(file, cases[i].text);
        expect_refused(file, cases[i].words);
    }
    expect_refused(FORMS "summary_lifecycle_metrics.json", "load_summary: expected requested_rate or concurrency");
    write_file(csv, "concurrency,rate_per_s,requests,prompt_tokens,output_tokens\n1,1,5,5,5\n");
    expect_refused(csv, "record 1: expected either concurrency or rate_per_s, found both");
    expect_refused("build/nowhere.json", "build/nowhere.json");
    expect_refused("tests/data/measured", "a measured run needs --profile DEVICE");
}

static double decode_ns(const char *engine)
{
    struct error err = {0};
    struct json root;
    struct engine e;
    struct cost_model cm;
    struct parallel one = tensor_parallel(1);
    struct iteration_cost cost;
    const struct batch decodes = {.decodes = 16, .decode_kv = 16000};
    expect_ok(json_parse(engine, "engine", &root, &err), &err);
    expect_ok(engine_read(&root, &e, &err), &err);
    expect_ok(cost_model_create(&cm, "llama-3.1-8b", "h100-sxm", &one, &e, NULL, &err), &err);
    cost_model_iteration(&cm, &decodes, &cost);
    cost_model_release(&cm);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return fine_to_ns(cost.total);
}

/* Without host work an iteration is kernels alone; host work that the GPU waits for stays as it is. */
static void test_the_kernel_factor_is_of_kernels_alone(void **state)
{
    (void)state;
    double kernels = decode_ns("{\"host_ns\": 0, \"host_ns_per_sequence\": 0}");
    double slow =
        decode_ns("{\"host_ns\": 0, \"host_ns_per_sequence\": 0, \"kernel_factor\": 1.5, \"exposed_ns\": 1e6}");
    assert_near(slow, 1.5 * kernels + 1e6, 1e-6);
}

static void test_an_engine_file_says_how_far_it_is_off(void **state)
{
    static const struct {
        const char *text, *words;
    } wrong[] = {{"{\"kernel_factor\": 0}", "kernel_factor: expected a number from 0.01 to 100, found 0"},
                 {"{\"errors\": {\"tpot\": {}}}", "errors.points: is missing, expected a number"},
                 {"{\"errors\": {\"points\": 4, \"tpot\": {\"median\": 0.1}}}", "errors.tpot.signed_median"},
                 {"{\"intervals\": {\"exposed_ns\": [2, 1]}}",
                  "intervals.exposed_ns: expected a list of two ascending"},
                 {"{\"intervals\": {\"host_ns\": [1, 2]}}", "host_ns"}};
    struct error err = {0};
    struct json root;
    struct engine e;
    (void)state;
    expect_ok(json_parse("{\"errors\": {\"points\": 4, \"tpot\": {\"signed_median\": -0.01, \"median\": 0.02, \"p90\": "
                         "0.07}}, \"intervals\": {\"exposed_ns\": [1, 2]}}",
                         "engine", &root, &err),
              &err);
    expect_ok(engine_read(&root, &e, &err), &err);
    assert_true(e.errors.points == 4 && e.errors.tpot.p90 == 0.07 && e.errors.tpot.signed_median == -0.01);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        expect_ok(json_parse(wrong[i].text, "engine", &root, &err), &err);
        assert_int_equal(engine_read(&root, &e, &err), -1);
        if (!strstr(err.text, wrong[i].words))
            fail_msg("expected \"%s\" in \"%s\"", wrong[i].words, err.text);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
}

/* Seven loads in no order: four are the least, the most, and two between at equal distance. */
static void test_fitted_loads_are_spread(void **state)
{
    struct level items[7] = {0};
    struct levels levels = {.items = items, .count = 7};
    struct calibration c = {0};
    struct error err = {0};
    static const double loads[7] = {4, 1, 64, 16, 2, 32, 8};
    (void)state;
    for (size_t i = 0; i < 7; i++)
        items[i].concurrency = loads[i];
    expect_ok(parts_make(&levels, 4, &c, &err), &err);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(c.parts[i].fitted, loads[i] == 1 || loads[i] == 4 || loads[i] == 16 || loads[i] == 64);
    calibration_release(&c);
    assert_int_equal(parts_make(&levels, 8, &c, &err), -1);
    assert_non_null(strstr(err.text, "--fit 8: expected at most 7, as many as there are load levels"));
    calibration_release(&c);
}

/* On the slow line a request that is alone has, with kernels 1.2 times as long and 10 ms on the way, its first token
 * after 10 + 1.2 · (5 + 0.02 P) ms; each of ten decodes over P + 1 to P + 10 tokens takes
 * 1.2 · (5.1 + 0.0001 (P + 5.5)) ms. Nothing is left to chance, so two loads say both, and the others are met. */
static void test_two_parameters_by_hand(void **state)
{
    struct calibration c;
    struct error err = {0};
    struct json root;
    struct levels levels;
    FILE *f = fopen("build/test_calibrate.csv", "w");
    (void)state;
    assert_non_null(f);
    fputs("concurrency,rate_per_s,requests,prompt_tokens,output_tokens,ttft_mean_ms,tpot_mean_ms\n", f);
    for (int p = 100; p <= 700; p += 200)
        fprintf(f, ",%.3f,20,%d,11,%.6f,%.6f\n", 1 + p * 1e-3, p, 10 + 1.2 * (5 + 0.02 * p),
                1.2 * (5.1 + 1e-4 * (p + 5.5)));
    fclose(f);
    read_levels("build/test_calibrate.csv", &levels);
    for (size_t i = 0; i < levels.count; i++)
        levels.items[i].cv = 0;
    expect_ok(json_parse("{\"model\": \"ideal\", \"device\": \"tests/data/slow_line.json\"}", "test", &root, &err),
              &err);
    const struct calibration_wishes wishes = {
        .fitted = {[KERNEL_FACTOR] = true, [FRONT_END_S] = true}, .fit = 2, .seeds = 1, .share = 0.95, .threads = 1};
    expect_ok(calibrate(&levels, root.node, &wishes, &c, &err), &err);
    assert_near(c.parameters[KERNEL_FACTOR].value, 1.2, 0.01);
    assert_near(c.parameters[FRONT_END_S].value, 0.01, 0.05);
    assert_true(c.parameters[KERNEL_FACTOR].low < 1.2 && 1.2 < c.parameters[KERNEL_FACTOR].high);
    assert_true(c.parameters[EXPOSED_NS].value == 0 && !c.parameters[EXPOSED_NS].fitted);
    assert_true(c.before.points == 2 && c.before.tpot.median > 0.16 && c.after.tpot.median < 0.01);
    assert_true(c.before.ttft.median > 0.3 && c.after.ttft.median < 0.02);
    assert_true(c.parts[0].fitted && !c.parts[1].fitted && !c.parts[2].fitted && c.parts[3].fitted);
    calibration_release(&c);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    levels_release(&levels);
}

/* The pool stands first in the flow; what replicas are goes into a pool of its own. */
static void test_a_scenario_gets_a_front_end(void **state)
{
    static const bool all[CALIBRATED] = {true, true, true, true};
    struct level item = {.load = LOAD_RATE};
    const struct levels levels = {.items = &item, .count = 1};
    double before[CALIBRATED];
    const double values[CALIBRATED] = {1.1, 5, 6, 0.02};
    struct error err = {0};
    struct json root;
    cJSON *base = NULL;
    (void)state;
    expect_ok(json_parse("{\"engine\": \"vllm-0.12\", \"cluster\": {\"replicas\": 2, \"tensor_parallel\": 4}}", "test",
                         &root, &err),
              &err);
    expect_ok(calibration_base(&levels, root.node, all, &base, before, &err), &err);
    assert_true(before[KERNEL_FACTOR] == 1 && before[EXPOSED_NS] == 600000 && before[FRONT_END_S] == 0);
    assert_true(before[EXPOSED_NS_PER_SEQUENCE] == 68000);
    expect_ok(calibration_set(base, all, values, &err), &err);
    char *text = cJSON_PrintUnformatted(base);
    assert_string_equal(text, "{\"cluster\":{\"pools\":{\"serve\":{\"replicas\":2,\"tensor_parallel\":4},"
                              "\"latency\":{\"kind\":\"delay\",\"servers\":\"unlimited\",\"service_s\":0.02}},"
                              "\"flow\":[\"latency\",\"serve\"]},\"engine\":{\"preset\":\"vllm-0.12\","
                              "\"kernel_factor\":1.1,\"exposed_ns\":5,\"exposed_ns_per_sequence\":6}}");
    cJSON_free(text);
    cJSON_Delete(base);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    expect_ok(json_parse("{\"cluster\": {\"placement\": \"disaggregated\"}}", "test", &root, &err), &err);
    assert_int_equal(calibration_base(&levels, root.node, all, &base, before, &err), -1);
    assert_non_null(strstr(err.text, "cluster.placement: expected cluster.pools and cluster.flow"));
    cJSON_Delete(base);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_says_the_same),
        cmocka_unit_test(test_files_of_several_loads),
        cmocka_unit_test(test_requests_of_a_detailed_result),
        cmocka_unit_test(test_a_line_a_level),
        cmocka_unit_test(test_wrong_results_are_one_sentence),
        cmocka_unit_test(test_the_kernel_factor_is_of_kernels_alone),
        cmocka_unit_test(test_an_engine_file_says_how_far_it_is_off),
        cmocka_unit_test(test_fitted_loads_are_spread),
        cmocka_unit_test(test_a_scenario_gets_a_front_end),
        cmocka_unit_test(test_two_parameters_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
