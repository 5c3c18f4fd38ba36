/* SPDX-License-Identifier: MIT */
/* Every fuzz target on the inputs that it begins with, among them all that it once found: once each, without a fuzzer.
 * FUZZ_TARGETS comes from the Makefile: X(fuzz_csv) X(fuzz_trace) … */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/harness.h"

typedef int target(const uint8_t *data, size_t size);

#define X(name) target name;
FUZZ_TARGETS
#undef X

static const struct {
    const char *name; /* "fuzz_csv" */
    target *run;
} targets[] = {
#define X(name) {#name, name},
    FUZZ_TARGETS
#undef X
};

enum { TARGETS = sizeof targets / sizeof *targets };

static void replay_file(target *run, const char *path)
{
    struct stat info;
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &info), 0);
    size_t size = (size_t)info.st_size;
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, in), size);
    fclose(in);
    fprintf(stderr, "%s\n", path); /* the last one is what broke */
    run(bytes, size);
    free(bytes);
}

/* Returns how many files it has; 0 where there is none. */
static size_t replay_folder(target *run, const char *folder)
{
    DIR *all = opendir(folder);
    size_t count = 0;
    for (const struct dirent *e; all && (e = readdir(all));) {
        char path[600];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        replay_file(run, path);
        count++;
    }
    if (all)
        closedir(all);
    return count;
}

/* The other folders of a target are in a file, "TARGET FOLDER" a line. */
static size_t replay_corpora(size_t target_index)
{
    char line[200], name[40], folder[120];
    size_t count = 0;
    FILE *in = fopen("tests/fuzz/corpora", "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in))
        if (line[0] != '#' && sscanf(line, "%39s %119s", name, folder) == 2 &&
            strcmp(name, targets[target_index].name + 5) == 0)
            count += replay_folder(targets[target_index].run, folder);
    fclose(in);
    return count;
}

static void test_every_target_takes_its_seeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < TARGETS; i++) {
        char folder[80];
        snprintf(folder, sizeof folder, "tests/seeds/%s", targets[i].name + 5);
        if (replay_folder(targets[i].run, folder) + replay_corpora(i) == 0)
            fail_msg("%s has no seeds", targets[i].name);
        targets[i].run((const uint8_t *)"", 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_target_takes_its_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
