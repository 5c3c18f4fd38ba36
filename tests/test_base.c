/* SPDX-License-Identifier: MIT */
/* Names that nobody has, and what was meant by them; objects that are read from tables; who is to blame. */
#include <errno.h>

#include "base/choice.h"
#include "base/field_paths.h"
#include "base/field_schema.h"
#include "base/json_syntax.h"
#include "base/nearest.h"
#include "base/present.h"
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
    static const char *const names[] = {"llama-2-7b", "llama-3.1-8b", "replicas", "h100-pcie", "h100-sxm", "run", NULL};
    static const char *const cases[][2] = {{"llama-3-8b", "llama-3.1-8b"},
                                           {"replica", "replicas"},
                                           {"h100", "h100-sxm"}, /* the shorter of two that it begins */
                                           {"H100-SXM", "h100-sxm"},
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

struct said {
    double rate;
    long long count;
    bool kept;
    const char *text;
    int way;
};

static const struct choice ways[] = {{"first", 3, "one way", NULL}, {"second", 5, "another", NULL}, {0}};

static const struct field inner_fields[] = {{.is = {"count", PARAM_INTEGER, "", 4, 1, 9, "how many", NULL, NULL},
                                             .into = FIELD_INTO(struct said, count)},
                                            {.is = {"kept", PARAM_BOOL, "", 1, 0, 0, "kept", NULL, NULL},
                                             .into = FIELD_INTO(struct said, kept)},
                                            {.is.name = NULL}};

static const struct field outer_fields[] = {{.is = {"rate", PARAM_NUMBER, "1/s", 0, 0.5, 2, "how fast", NULL, NULL},
                                             .otherwise = "as before",
                                             .into = FIELD_INTO(struct said, rate)},
                                            FIELDS_OF(inner_fields),
                                            {.is = {"text", PARAM_TEXT, "", 0, 0, 0, "a text", "preset", NULL},
                                             .into = FIELD_INTO(struct said, text)},
                                            {.is = {.name = "way", .preset_text = "second", .help = "which way"},
                                             .kind = FIELD_CHOICE,
                                             .choices = ways,
                                             .into = FIELD_INTO(struct said, way)},
                                            {.is = {.name = "own", .help = "for the reader itself"},
                                             .kind = FIELD_FREE},
                                            {.is.name = NULL}};

static const struct field outer = {.is = {.name = "outer", .help = "all"},
                                   .kind = FIELD_OBJECT,
                                   .members = outer_fields};

/* A value that is said, one that is not and has a default, and one whose default is what was there. */
static void test_fields_are_read_with_their_defaults(void **state)
{
    (void)state;
    struct error err = {0};
    struct json root;
    struct said said = {.rate = 1.5};
    expect_ok(json_parse("{\"count\": 7, \"way\": {\"name\": \"first\"}, \"own\": {\"any\": 1}}", "test", &root, &err),
              &err);
    expect_ok(fields_read(&root, outer_fields, &said, &err), &err);
    assert_true(said.rate == 1.5);
    assert_int_equal(said.count, 7);
    assert_true(said.kept);
    assert_string_equal(said.text, "preset");
    assert_int_equal(said.way, 3);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);

    struct json absent = {0};
    expect_ok(fields_read(&absent, outer_fields, &said, &err), &err);
    assert_true(said.rate == 1.5);
    assert_int_equal(said.count, 4);
    assert_int_equal(said.way, 5);
}

static void test_fields_that_are_wrong(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"cuont\": 7}",
         "test: (top): unknown key \"cuont\"; did you mean \"count\"? allowed: rate, count, kept, text, way, own"},
        {"{\"rate\": 2.5}", "test: rate: expected a number from 0.5 to 2, found 2.5"},
        {"{\"count\": 1.5}", "test: count: expected a whole number from 1 to 9, found 1.5"},
        {"{\"kept\": 1}", "test: kept: expected true or false, found 1"},
        {"{\"text\": 1}", "test: text: expected a string, found 1"},
        {"{\"way\": {\"name\": \"first\", \"of\": 1}}", "test: way: unknown key \"of\"; allowed: name"},
        {"[]", "test: (top): expected an object, found []"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct json root;
        struct said said = {0};
        expect_ok(json_parse(cases[i][0], "test", &root, &err), &err);
        assert_int_equal(fields_read(&root, outer_fields, &said, &err), -1);
        assert_string_equal(err.text, cases[i][1]);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
}

static void gather(const struct field_row *row, void *context)
{
    char type[FIELD_TEXT], range[FIELD_TEXT], otherwise[FIELD_TEXT], *text = context;
    field_type_text(row->field, type);
    field_range_text(row->field, range);
    field_default_text(row->field, otherwise);
    size_t used = strlen(text);
    snprintf(text + used, 2000 - used, "%s: %s; %s; %s\n", row->path, type, range, otherwise);
}

static void test_fields_as_rows_of_paths(void **state)
{
    (void)state;
    char text[2000] = "";
    struct error err = {0};
    struct field found;
    field_paths(&outer, "", gather, text);
    assert_string_equal(text, "rate: number; 0.5 … 2; as before\n"
                              "count: whole number; 1 … 9; 4\n"
                              "kept: true or false; ; true\n"
                              "text: text; ; preset\n"
                              "way: name; first, second; second\n"
                              "own: object; ; none\n");
    expect_ok(field_at_path(&outer, "outer", "kept", &found, &err), &err);
    assert_string_equal(found.is.help, "kept");
    assert_int_equal(field_at_path(&outer, "outer", "kpet", &found, &err), -1);
    assert_string_equal(
        err.text, "outer: unknown key \"kpet\"; did you mean \"kept\"? allowed: rate, count, kept, text, way, own");
}

/* What is told of a number, and that nothing else may be there. */
static void test_fields_as_a_schema(void **state)
{
    (void)state;
    cJSON *schema = field_schema(&outer), *properties = cJSON_GetObjectItem(schema, "properties");
    char *rate = cJSON_PrintUnformatted(cJSON_GetObjectItem(properties, "rate"));
    char *count = cJSON_PrintUnformatted(cJSON_GetObjectItem(properties, "count"));
    assert_string_equal(rate, "{\"type\":\"number\",\"minimum\":0.5,\"maximum\":2,"
                              "\"description\":\"how fast (1/s). Default: as before\"}");
    assert_string_equal(count, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,"
                               "\"description\":\"how many\",\"default\":4}");
    assert_int_equal(cJSON_GetArraySize(properties), 6);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(schema, "additionalProperties")));
    cJSON_free(rate);
    cJSON_free(count);
    cJSON_Delete(schema);
}

/* A program whose memory ran out does not say that its input is wrong. */
static void test_what_failed_for_lack_of_memory_is_no_wrong_input(void **state)
{
    (void)state;
    struct error err = {0};
    expect_ok(memory_check(&err), &err);
    memory_note_failure();
    assert_int_equal(error_set(&err, ERROR_INPUT, "scenario: not valid JSON"), -1);
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_string_equal(err.text, "out of memory");
    error_set(&err, ERROR_IO, "disk full"); /* that is another matter */
    assert_int_equal(err.code, ERROR_IO);
    assert_int_equal(memory_check(&err), -1);
    memory_forget_failure();
    expect_ok(memory_check(&err), &err);
    error_set(&err, ERROR_INPUT, "scenario: not valid JSON");
    assert_int_equal(err.code, ERROR_INPUT);
    error_no_memory(&err); /* counts even where nobody looks at the error */
    assert_true(memory_has_failed());
    memory_forget_failure();
}

/* JSON is told from what is not without cJSON, which reads whatever passes as JSON. */
static void test_texts_that_are_json(void **state)
{
    (void)state;
    static const char *const good[] = {"{}",
                                       " [ ] ",
                                       "0",
                                       "-0.5e+3",
                                       "1E9",
                                       "\"\"",
                                       "true",
                                       "[null,false]",
                                       "{\"a\":{\"b\":[1,2,{}]},\"c\":\"\\u00e9\\n\"}",
                                       "\"\\ud83d\\ude00\"",
                                       "{\"\\\"\" :\t1\n}",
                                       "99999999999999999999999999999999999999999999999999999999999999"};
    static const char *const bad[] = {"",
                                      "{",
                                      "[1,]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{a:1}",
                                      "01",
                                      "1.",
                                      "-",
                                      ".5",
                                      "1e",
                                      "\"a",
                                      "\"\\x\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "tru",
                                      "[1 2]",
                                      "{} {}",
                                      "[1]]",
                                      "\"\\u12\"",
                                      "+1",
                                      "{\"a\":1,}",
                                      "continuous",
                                      "nan",
                                      "\"\t\"",
                                      "999999999999999999999999999999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cJSON *node = cJSON_ParseWithOpts(good[i], NULL, 1);
        if (!json_syntax_is_met(good[i]) || !node)
            fail_msg("not taken for JSON: %s", good[i]);
        cJSON_Delete(node);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (json_syntax_is_met(bad[i]))
            fail_msg("taken for JSON: %s", bad[i]);
    char deep[2003];
    for (int levels = 1000; levels <= 1001; levels++) {
        memset(deep, '[', (size_t)levels);
        memset(deep + levels, ']', (size_t)levels);
        deep[2 * levels] = 0;
        cJSON *node = cJSON_ParseWithOpts(deep, NULL, 1);
        assert_int_equal(json_syntax_is_met(deep), levels == 1000);
        assert_int_equal(node != NULL, levels == 1000);
        cJSON_Delete(node);
    }
}

static void *allocate_none(size_t size)
{
    (void)size;
    return NULL;
}

/* Also where nobody notes what cJSON has missed, as in a library. */
static void test_a_document_without_memory_is_no_wrong_input(void **state)
{
    (void)state;
    struct error err = {0};
    struct json root;
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate_none, .free_fn = free});
    int status = json_parse("{\"a\": [1, 2]}", "test", &root, &err);
    cJSON_InitHooks(NULL);
    assert_int_equal(status, -1);
    assert_int_equal(err.code, ERROR_MEMORY);
    memory_forget_failure();
    assert_int_equal(json_parse("{\"a\": [1, 2}", "test", &root, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
}

/* The machine is to blame for what no other name would mend. */
static void test_who_is_to_blame_for_a_file(void **state)
{
    (void)state;
    static const struct {
        int reason;
        enum error_code code;
    } cases[] = {{ENOENT, ERROR_INPUT}, {EACCES, ERROR_INPUT}, {EISDIR, ERROR_INPUT}, {EIO, ERROR_IO},
                 {EMFILE, ERROR_IO},    {ENOSPC, ERROR_IO},    {ENOMEM, ERROR_MEMORY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        assert_int_equal(error_code_of_opening(cases[i].reason), cases[i].code);
        errno = cases[i].reason;
        assert_int_equal(error_not_opened(&err, "some.json"), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(error_is_of_machine(&err), cases[i].code != ERROR_INPUT);
        memory_forget_failure();
    }
    struct error err = {0};
    assert_int_equal(file_present("build/no/such", &err), 0);
    assert_int_equal(file_present("Makefile", &err), 1);
    assert_int_equal(err.code, ERROR_NONE);
}

static int allocations_left;

static void *allocate_so_many(size_t size)
{
    if (allocations_left-- > 0)
        return malloc(size);
    memory_note_failure();
    return NULL;
}

/* Every allocation of cJSON's fails once: a value is set whole, or not at all. */
static void test_a_setting_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (int n = 0; n < 100; n++) {
        struct error err = {0};
        struct json root;
        expect_ok(json_parse("{\"policy\":{\"batching\":\"continuous\"}}", "test", &root, &err), &err);
        allocations_left = n;
        cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate_so_many, .free_fn = free});
        int status = json_set_path(&root, "policy.batching.sizes", "[\"a\",{\"b\":2}]", &err);
        bool enough = allocations_left >= 0;
        cJSON_InitHooks(NULL);
        const cJSON *batching = cJSON_GetObjectItem(cJSON_GetObjectItem(root.node, "policy"), "batching");
        if (enough)
            assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(batching, "sizes")), 2);
        else
            assert_int_equal(err.code, ERROR_MEMORY);
        assert_int_equal(status, enough ? 0 : -1);
        memory_forget_failure();
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        if (enough)
            return;
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances_by_hand),
        cmocka_unit_test(test_the_nearest_name_is_named),
        cmocka_unit_test(test_choices_are_read_from_their_table),
        cmocka_unit_test(test_a_key_that_nobody_knows),
        cmocka_unit_test(test_fields_are_read_with_their_defaults),
        cmocka_unit_test(test_fields_that_are_wrong),
        cmocka_unit_test(test_fields_as_rows_of_paths),
        cmocka_unit_test(test_fields_as_a_schema),
        cmocka_unit_test(test_what_failed_for_lack_of_memory_is_no_wrong_input),
        cmocka_unit_test(test_a_setting_without_memory_changes_nothing),
        cmocka_unit_test(test_texts_that_are_json),
        cmocka_unit_test(test_a_document_without_memory_is_no_wrong_input),
        cmocka_unit_test(test_who_is_to_blame_for_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
