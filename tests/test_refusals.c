/* SPDX-License-Identifier: MIT */
/* What is refused, and with which sentence: tables in tests/refusals, one for each kind of document. An entry is what
 * is wrong, in lines that begin at the margin, and the whole sentence, indented. A table of scenarios has settings,
 * path=value, of the default scenario; the others have the document itself, as the file that the sentence names. */
#include <unistd.h>

#include "planner/plan.h"
#include "planner/sweep.h"
#include "profiles/shipped.h"
#include "tests/harness.h"

enum { LONGEST = 8192 };

/* Runs a scenario of which three requests are left, after these settings. */
static int refuse_settings(char *settings, struct error *err)
{
    struct json root;
    struct simulation *s = NULL;
    expect_ok(shipped_load("scenario", "default", &root, err), err);
    root.file = "scenario";
    int status = json_set_path(&root, "workload.requests", "3", err);
    for (char *line = strtok(settings, "\n"); line && !status; line = strtok(NULL, "\n")) {
        char *equals = strchr(line, '=');
        assert_non_null(equals);
        *equals = 0;
        status = json_set_path(&root, line, equals + 1, err);
    }
    if (status) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    if (simulation_open(root, &s, err))
        return -1;
    status = simulation_run(s, NULL, err);
    simulation_close(s);
    return status;
}

static int with_file(const char *setting, const char *name, const char *text, struct error *err)
{
    char line[100];
    FILE *out = fopen(name, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
    snprintf(line, sizeof line, "%s", setting);
    int status = refuse_settings(line, err);
    unlink(name);
    return status;
}

static int refuse_model(char *text, struct error *err)
{
    return with_file("model=model.json", "model.json", text, err);
}

static int refuse_device(char *text, struct error *err)
{
    return with_file("device=device.json", "device.json", text, err);
}

static int refuse_engine(char *text, struct error *err)
{
    return with_file("engine=engine.json", "engine.json", text, err);
}

static int refuse_technique(char *text, struct error *err)
{
    return with_file("techniques=[\"technique.json\"]", "technique.json", text, err);
}

static int refuse_trace(char *text, struct error *err)
{
    return with_file("workload={\"trace\":\"trace\"}", "trace", text, err);
}

static int refuse_plan(char *text, struct error *err)
{
    struct json root;
    struct plan p;
    struct family *families = NULL;
    size_t count = 0;
    if (json_parse(text, "plan", &root, err) || plan_read(&p, root, err))
        return -1;
    int status = families_make(&p, &families, &count, err);
    if (status == 0)
        families_release(families, count);
    plan_release(&p);
    return status;
}

static int refuse_sweep(char *text, struct error *err)
{
    struct json root;
    struct sweep s;
    struct sweep_point *points = NULL;
    size_t count = 0;
    if (json_parse(text, "sweep", &root, err) || sweep_read(&s, root, err))
        return -1;
    int status = sweep_points_make(&s, &points, &count, err);
    if (status == 0)
        sweep_points_release(points, count);
    sweep_release(&s);
    return status;
}

static const struct table {
    const char *name;
    int (*refuse)(char *text, struct error *err);
} tables[] = {{"scenario", refuse_settings}, {"model", refuse_model},         {"device", refuse_device},
              {"engine", refuse_engine},     {"technique", refuse_technique}, {"trace", refuse_trace},
              {"plan", refuse_plan},         {"sweep", refuse_sweep}};

/* One entry; returns whether it ended as it says. */
static bool holds(const struct table *table, const char *input, const char *sentence)
{
    struct error err = {0};
    char copy[LONGEST];
    snprintf(copy, sizeof copy, "%s", input);
    int status = table->refuse(copy, &err);
    bool as_said = status == -1 && err.code == ERROR_INPUT && strcmp(err.text, sentence) == 0;
    if (!as_said)
        fprintf(stderr, "%s: of\n%s    expected: %s\n    found:    %s%s\n", table->name, input, sentence,
                status == 0               ? "nothing wrong"
                : err.code == ERROR_INPUT ? ""
                                          : "not blamed on the input: ",
                err.text);
    return as_said;
}

/* The table's entries that did not end as they say; adds to *entries. */
static int failures(const struct table *table, const char *folder, int *entries)
{
    char path[600], line[LONGEST], input[LONGEST] = "";
    int failed = 0;
    snprintf(path, sizeof path, "%s/tests/refusals/%s", folder, table->name);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (strncmp(line, "    ", 4) != 0) {
            assert_true(strlen(input) + strlen(line) < sizeof input);
            strcat(input, line);
            continue;
        }
        line[strcspn(line, "\n")] = 0;
        failed += !holds(table, input, line + 4);
        input[0] = 0;
        ++*entries;
    }
    fclose(in);
    assert_string_equal(input, ""); /* every entry has its sentence */
    return failed;
}

static void test_everything_wrong_has_its_sentence(void **state)
{
    char folder[400], scratch[] = "/tmp/tandem_refusals_XXXXXX";
    int entries = 0, failed = 0;
    (void)state;
    assert_non_null(getcwd(folder, sizeof folder));
    assert_non_null(mkdtemp(scratch));
    assert_int_equal(chdir(scratch), 0); /* so that sentences name files without a folder */
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        failed += failures(&tables[i], folder, &entries);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(rmdir(scratch), 0);
    assert_true(entries > 0);
    if (failed)
        fail_msg("%d of %d sentences", failed, entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_wrong_has_its_sentence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
