/* SPDX-License-Identifier: MIT */
#include "profiles/accuracy.h"

#include <math.h>

#include "tests/harness.h"

static const char file[] =
    "{\"rows\": ["
    "{\"device\": \"fitted\", \"system\": \"h100-sxm\", \"engine\": \"vllm\", \"models\": \"dense\", \"weights\": "
    "\"fp8\","
    " \"points\": 8, \"servers\": 4, \"tpot\": {\"bias\": -0.03, \"spread\": 0.2}, \"ttft\": {\"bias\": 0.1, "
    "\"spread\": 0.3}},"
    "{\"device\": \"fitted\", \"engine\": \"vllm\", \"models\": \"dense\","
    " \"points\": 20, \"servers\": 9, \"tpot\": {\"bias\": 0.05, \"spread\": 0.25}, \"ttft\": {\"bias\": 0, "
    "\"spread\": 0.4}},"
    "{\"device\": \"datasheet\","
    " \"points\": 70, \"servers\": 30, \"tpot\": {\"bias\": 0.3, \"spread\": 0.5}, \"ttft\": {\"bias\": 0.6, "
    "\"spread\": 0.9}},"
    "{\"points\": 0, \"servers\": 0, \"tpot\": {\"bias\": 0, \"spread\": 1}, \"ttft\": {\"bias\": 0, \"spread\": 2}}]}";

static struct accuracy found(struct accuracy_key key)
{
    struct json root;
    struct error err = {0};
    struct accuracy a = {0};
    assert_int_equal(json_parse(file, "file", &root, &err), 0);
    assert_int_equal(accuracy_find_in(&root, &key, &a, &err), 0);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return a;
}

static void test_the_closest_kind_that_has_a_row_counts(void **state)
{
    (void)state;
    struct accuracy_key key = {.system = "h100-sxm", .engine = "vllm", .fitted = true, .weights = DTYPE_FP8};
    struct accuracy a = found(key);
    assert_int_equal(a.points, 8);
    assert_int_equal(a.servers, 4);
    assert_float_equal(a.tpot.bias, -0.03, 1e-12);
    assert_float_equal(a.ttft.spread, 0.3, 1e-12);
    assert_string_equal(a.of, "h100-sxm, vllm, dense, fp8");
    key.weights = DTYPE_BF16; /* no row of its own: any system and format */
    a = found(key);
    assert_int_equal(a.points, 20);
    assert_string_equal(a.of, "vllm, dense");
    key.fitted = false;
    a = found(key);
    assert_int_equal(a.points, 70);
    assert_string_equal(a.of, "datasheet alone");
    key = (struct accuracy_key){.system = "x", .engine = "y", .fitted = true, .experts = true};
    a = found(key);
    assert_int_equal(a.points, 0);
    assert_float_equal(a.tpot.spread, 1, 1e-12);
    assert_string_equal(a.of, "all");
}

static void refused(const char *text, const char *sentence)
{
    struct json root;
    struct error err = {0};
    struct accuracy a;
    const struct accuracy_key key = {.engine = "vllm"};
    assert_int_equal(json_parse(text, "file", &root, &err), 0);
    assert_int_equal(accuracy_find_in(&root, &key, &a, &err), -1);
    if (!strstr(err.text, sentence))
        fail_msg("%s", err.text);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

static void test_a_file_of_another_form_is_refused(void **state)
{
    (void)state;
    refused("{}", "rows: is missing, expected a list of rows, of which the last one fits everything");
    refused("{\"rows\": [{\"engine\": \"other\"}]}", "of which the last one fits everything");
    refused("{\"rows\": [{\"engine\": 3}]}", "rows[0].engine: expected");
    refused("{\"rows\": [{\"points\": 1, \"servers\": 1}]}",
            "tpot: is missing, expected an object with \"bias\" and \"spread\"");
    refused("{\"rows\": [{\"points\": 1, \"servers\": 1, \"tpot\": {\"bias\": 0, \"spread\": -1}}]}", "spread");
}

/* What a scenario's cost model is filed under. */
static struct accuracy_key key_of(const char *model, const char *device, const char *engine)
{
    struct error err = {0};
    struct accuracy_key key = {0};
    struct json root;
    struct engine e;
    struct device d;
    struct model m;
    assert_int_equal(json_parse(engine, "engine", &root, &err), 0);
    assert_int_equal(engine_read(&root, &e, &err), 0);
    assert_int_equal(device_load(device, &d, &err), 0);
    assert_int_equal(model_load(model, &m, &err), 0);
    accuracy_key_of(&d, &e, &m, &key);
    device_release(&d);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return key;
}

static void test_a_server_is_filed_under_its_system_engine_and_format(void **state)
{
    (void)state;
    struct accuracy_key key = key_of("llama-3.1-8b", "b200-sxm-trtllm-1.2", "\"trtllm-1.2\"");
    assert_string_equal(key.system, "b200-sxm");
    assert_string_equal(key.engine, "trtllm");
    assert_true(key.fitted && !key.experts);
    assert_int_equal(key.weights, DTYPE_BF16);
    key = key_of("gpt-oss-120b", "h100-sxm", "{\"preset\": \"vllm-0.19\"}");
    assert_string_equal(key.system, "h100-sxm");
    assert_string_equal(key.engine, "vllm");
    assert_true(!key.fitted && key.experts);
    assert_int_equal(key.weights, DTYPE_FP4);
    key = key_of("llama-3.1-8b", "rtx-pro-6000-vllm-0.19", "{}");
    assert_string_equal(key.engine, "none");
}

static struct accuracy shipped(const char *model, const char *device, const char *engine)
{
    struct error err = {0};
    struct accuracy a = {0};
    struct accuracy_key key = key_of(model, device, engine);
    assert_int_equal(accuracy_find(&key, &a, &err), 0);
    return a;
}

/* Where points are, their own row; elsewhere a wider one, which is never narrower than 5 %. */
static void test_the_shipped_file_has_an_answer_for_everything(void **state)
{
    (void)state;
    struct accuracy a = shipped("qwen3-32b", "h100-sxm-vllm-0.19", "\"vllm-0.12\"");
    assert_string_equal(a.of, "h100-sxm, vllm, dense, bf16");
    assert_true(a.points >= 8 && a.servers >= 3);
    assert_true(fabs(a.tpot.bias) < 0.1 && a.tpot.spread > 0 && a.tpot.spread < 0.2);
    a = shipped("qwen3-32b", "a100-80gb-vllm-0.14", "\"vllm-0.14\"");
    assert_string_equal(a.of, "vllm, dense, bf16");
    a = shipped("kimi-k2.5", "b300-sxm-trtllm-1.3", "\"trtllm-1.2\"");
    assert_string_equal(a.of, "trtllm, experts");
    a = shipped("llama-3.1-8b", "mi300x", "{}");
    assert_string_equal(a.of, "dense, bf16, datasheet alone");
    assert_true(a.tpot.spread > 0.05);
    a = shipped("demo-11m", "cpu-xeon-2s", "\"tandem-cuda\"");
    assert_true(a.points > 0 && a.tpot.spread > 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_closest_kind_that_has_a_row_counts),
        cmocka_unit_test(test_a_file_of_another_form_is_refused),
        cmocka_unit_test(test_a_server_is_filed_under_its_system_engine_and_format),
        cmocka_unit_test(test_the_shipped_file_has_an_answer_for_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
