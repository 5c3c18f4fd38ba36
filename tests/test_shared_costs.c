/* SPDX-License-Identifier: MIT */
/* Compiled costs that runs share: the same as a run's own, made once, gone when nobody needs them. */
#include "profiles/shared_costs.h"
#include "tests/harness.h"

static const struct engine none = {.name = "none", .host_ns = -1, .host_ns_per_sequence = -1, .eager_layer_ns = -1};

static int make(struct shared_costs *c, const char *key, const char *model, struct cost_model *out, struct error *err)
{
    const struct parallel one = tensor_parallel(1);
    return shared_cost_model(c, key, out, model, "h100-sxm", &one, &none, NULL, err);
}

static void test_a_model_is_made_once(void **state)
{
    (void)state;
    struct error err = {0};
    struct shared_costs *c = shared_costs_create();
    struct cost_model own, first, second, other;
    const struct parallel one = tensor_parallel(1);
    expect_ok(cost_model_create(&own, "llama-3.1-8b", "h100-sxm", &one, &none, NULL, &err), &err);
    expect_ok(make(c, "8b", "llama-3.1-8b", &first, &err), &err);
    expect_ok(make(c, "8b", "llama-3.1-8b", &second, &err), &err);
    expect_ok(make(c, "30b", "qwen3-30b-a3b", &other, &err), &err);
    assert_ptr_equal(first.tokens, second.tokens);
    assert_ptr_not_equal(first.tokens, other.tokens);
    assert_memory_equal(first.tokens, own.tokens, (DENSE_TOKENS + 1) * sizeof *own.tokens);
    struct batch batch = {.layout = BATCH_RAGGED, .decodes = 7, .decode_kv = 7000};
    struct iteration_cost a, b;
    cost_model_iteration(&own, &batch, &a);
    cost_model_release(&first);
    cost_model_iteration(&second, &batch, &b);
    assert_true(a.total == b.total && a.growth == b.growth && a.total > 0);
    cost_model_release(&second);
    expect_ok(make(c, "8b", "no model is looked for", &first, &err), &err); /* it is still there */
    cost_model_release(&first);
    cost_model_release(&other);
    cost_model_release(&own);
    shared_costs_destroy(c);
}

/* The one that was borrowed longest ago goes when there are more than are kept, but none that is borrowed. */
static void test_old_ones_go(void **state)
{
    (void)state;
    struct error err = {0};
    struct shared_costs *c = shared_costs_create();
    struct cost_model held, model;
    char key[16];
    expect_ok(make(c, "held", "llama-3.1-8b", &held, &err), &err);
    for (int i = 0; i <= SHARED_COSTS_KEPT; i++) {
        snprintf(key, sizeof key, "%d", i);
        expect_ok(make(c, key, "llama-3.1-8b", &model, &err), &err);
        cost_model_release(&model);
    }
    assert_int_equal(make(c, "0", "none", &model, &err), -1); /* it has to be made again */
    expect_ok(make(c, "1", "none", &model, &err), &err);
    cost_model_release(&model);
    expect_ok(make(c, "held", "none", &model, &err), &err);
    cost_model_release(&model);
    cost_model_release(&held);
    shared_costs_destroy(c);
}

static void test_what_cannot_be_made_is_not_kept(void **state)
{
    (void)state;
    struct error err = {0};
    struct shared_costs *c = shared_costs_create();
    struct cost_model model;
    assert_int_equal(make(c, "k", "no such model", &model, &err), -1);
    assert_non_null(strstr(err.text, "no such model"));
    expect_ok(make(c, "k", "llama-3.1-8b", &model, &err), &err);
    cost_model_release(&model);
    shared_costs_destroy(c);
    shared_costs_destroy(NULL);
}

/* Scenarios that differ in what costs are made from share nothing. */
static void test_scenarios_share_what_is_the_same(void **state)
{
    (void)state;
    static const char form[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", %s \"workload\": {\"requests\": 10, \"arrivals\":"
        " {\"name\": \"at_once\"}, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, \"output\":"
        " {\"name\": \"fixed\", \"tokens\": 10}}}}";
    static const char *const differ[] = {
        "",
        "\"engine\": \"vllm-0.19\",",
        "\"engine\": {\"host_ns\": 5},",
        "\"techniques\": [\"kivi-2bit\"],",
        "\"cluster\": {\"tensor_parallel\": 2},",
        "\"cluster\": {\"tensor_parallel\": 2, \"links\": {\"tensor\": {\"bytes_per_s\": 1e9}}},"};
    struct shared_costs *c = shared_costs_create();
    const struct dense_cost *tokens[8];
    size_t count = 0;
    struct simulation *kept[8];
    for (size_t i = 0; i < sizeof differ / sizeof *differ; i++) {
        char text[1000];
        struct json root;
        struct error err = {0};
        struct simulation *s = NULL, *again = NULL;
        snprintf(text, sizeof text, form, differ[i]);
        expect_ok(json_parse(text, "test", &root, &err), &err);
        if (simulation_open_with(root, c, &s, &err))
            fail_msg("%s: %s", differ[i], err.text);
        expect_ok(json_parse(text, "test", &root, &err), &err);
        expect_ok(simulation_open_with(root, c, &again, &err), &err);
        assert_ptr_equal(s->scenario.pools[0].cost.tokens, again->scenario.pools[0].cost.tokens);
        for (size_t k = 0; k < count; k++)
            assert_ptr_not_equal(tokens[k], s->scenario.pools[0].cost.tokens);
        simulation_close(again);
        tokens[count] = s->scenario.pools[0].cost.tokens;
        kept[count++] = s;
    }
    for (size_t i = 0; i < count; i++)
        simulation_close(kept[i]);
    shared_costs_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_is_made_once),
        cmocka_unit_test(test_old_ones_go),
        cmocka_unit_test(test_what_cannot_be_made_is_not_kept),
        cmocka_unit_test(test_scenarios_share_what_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
