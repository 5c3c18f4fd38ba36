/* SPDX-License-Identifier: MIT */
/* Names that nobody has, and what was meant by them. */
#include "base/choice.h"
#include "base/nearest.h"
#include "tests/harness.h"

static void test_distances_by_hand(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance("", ""), 0);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3); /* k → s, e → i, and a g */
    assert_int_equal(nearest_distance("rnu", "run"), 1);        /* two exchanged */
    assert_int_equal(nearest_distance("ca", "abc"), 3);         /* restricted: no letter is touched twice */
    assert_int_equal(nearest_distance("replicas", "replica"), 1);
}

static void test_the_nearest_name_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-2-7b", "llama-3.1-8b", "replicas", "h100-sxm", "run", NULL};
    static const char *const cases[][2] = {{"llama-3-8b", "llama-3.1-8b"},
                                           {"replica", "replicas"},
                                           {"h100", "h100-sxm"},
                                           {"runs", "run"},
                                           {"zzzz", NULL},
                                           {"", NULL},
                                           {"replicas_", "replicas"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = nearest_in(cases[i][0], names);
        if (!cases[i][1])
            assert_null(found);
        else
            assert_string_equal(found, cases[i][1]);
    }
}

static void test_choices_are_read_from_their_table(void **state)
{
    (void)state;
    static const struct choice table[] = {{"first", 3, "", NULL}, {"second", 5, "", NULL}, {"third", 7, "", NULL}, {0}};
    static const struct {
        const char *text;
        int value; /* 0: it is wrong, and said so: */
        const char *error;
    } cases[] = {{"{\"a\": \"second\"}", 5, NULL},
                 {"{\"a\": {\"name\": \"third\"}}", 7, NULL},
                 {"{}", 1, NULL},
                 {"{\"a\": \"thrid\"}", 0,
                  "test: a: expected \"first\", \"second\" or \"third\", found \"thrid\"; did you mean \"third\"?"},
                 {"{\"a\": 2}", 0, "test: a: expected \"first\", \"second\" or \"third\", found 2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct json root;
        int value = 1;
        expect_ok(json_parse(cases[i].text, "test", &root, &err), &err);
        struct json at = json_member(&root, "a");
        assert_int_equal(choice_read(&at, table, &value, &err), cases[i].value ? 0 : -1);
        if (cases[i].value)
            assert_int_equal(value, cases[i].value);
        else
            assert_string_equal(err.text, cases[i].error);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
}

static void test_a_key_that_nobody_knows(void **state)
{
    (void)state;
    static const char *const keys[] = {"replicas", "routing", NULL};
    struct error err = {0};
    struct json root;
    expect_ok(json_parse("{\"replcias\": 2}", "test", &root, &err), &err);
    assert_int_equal(json_check_keys(&root, keys, &err), -1);
    assert_string_equal(err.text,
                        "test: (top): unknown key \"replcias\"; did you mean \"replicas\"? allowed: replicas, routing");
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances_by_hand),
        cmocka_unit_test(test_the_nearest_name_is_named),
        cmocka_unit_test(test_choices_are_read_from_their_table),
        cmocka_unit_test(test_a_key_that_nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
