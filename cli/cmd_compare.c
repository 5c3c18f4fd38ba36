/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "reports/compare.h"

enum { OPT_DB };

static const struct option_spec options[] = {
    {"--db", "FILE", "results database (default tandem.db)"},
    {0},
};

struct label {
    char text[320];
    bool found;
};

static int take_label(void *state, int columns, char **values, struct error *err)
{
    struct label *l = state;
    (void)columns, (void)err;
    l->found = true;
    snprintf(l->text, sizeof l->text, "%.80s (%.60s, %.60s on %.60s, seed %.20s)", values[0], values[1], values[2],
             values[3], values[4]);
    return 0;
}

static int read_label(struct store *store, int64_t run, struct label *out, struct error *err)
{
    *out = (struct label){0};
    if (store_read(store, take_label, out, err, "SELECT name, batching, model, device, seed FROM run WHERE id = ?", "i",
                   run))
        return -1;
    return out->found ? 0 : error_set(err, ERROR_INPUT, "there is no run %lld", (long long)run);
}

static void print_value(const struct compared *c, double v)
{
    size_t length = strlen(c->name);
    bool time = length > 2 && strcmp(c->name + length - 2, "_s") == 0 && strstr(c->name, "per_s") == NULL;
    if (!time)
        printf(" %12.5g", v);
    else if (v < 1)
        printf(" %9.3g ms", v * 1e3);
    else
        printf(" %10.4g s", v);
}

/* "B is better by x % ± y" where the interval says so, and nothing where it does not. */
static void print_row(const struct compared *c)
{
    double half = 50 * (c->relative.high - c->relative.low), change = 100 * c->relative.value;
    int verdict = compare_verdict(c);
    printf("  %-24s", c->title);
    print_value(c, c->a);
    print_value(c, c->b);
    if (isfinite(change))
        printf("  %+8.1f %%", change);
    else
        printf("  %8s  ", "–");
    if (isfinite(half))
        printf(" ± %.1f", half);
    if (verdict)
        printf("  %s is better by %.1f %%", verdict > 0 ? "B" : "A", fabs(change));
    else
        printf(isfinite(half) ? "  no more than chance" : "  no interval");
    if (c->pairs)
        printf(" (%zu requests in pairs)", c->pairs);
    printf("\n");
}

static int compare(struct store *store, int64_t a, int64_t b, struct error *err)
{
    struct compared rows[COMPARED];
    struct label first, second;
    size_t count;
    if (read_label(store, a, &first, err) || read_label(store, b, &second, err) ||
        compare_runs(store, a, b, rows, &count, err))
        return -1;
    printf("A  run %lld: %s\nB  run %lld: %s\n\n  %-24s %12s %12s  %10s\n", (long long)a, first.text, (long long)b,
           second.text, "", "A", "B", "B against A");
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
    return 0;
}

static int run(const struct arguments *args, struct error *err)
{
    const char *file = args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db";
    long long ids[WORDS_MAX];
    if (need_words(args, 2, WORDS_MAX, command_compare.usage, err))
        return EXIT_BAD_INPUT;
    for (int i = 0; i < args->word_count; i++) {
        char *end = NULL;
        ids[i] = strtoll(args->words[i], &end, 10);
        if (*end || ids[i] < 1) {
            error_set(err, ERROR_INPUT, "%s: expected a run's number", args->words[i]);
            return EXIT_BAD_INPUT;
        }
    }
    if (access(file, R_OK) != 0) {
        error_set(err, ERROR_INPUT, "%s: there is no such database; tandem run makes one", file);
        return EXIT_BAD_INPUT;
    }
    struct store *store = NULL;
    if (store_open(file, &store, err))
        return exit_for(err);
    int status = EXIT_DONE;
    for (int i = 1; i < args->word_count && status == EXIT_DONE; i++) {
        printf("%s", i > 1 ? "\n" : "");
        status = compare(store, ids[0], ids[i], err) ? exit_for(err) : EXIT_DONE;
    }
    store_close(store);
    return status;
}

const struct command command_compare = {
    .name = "compare",
    .usage = "compare RUN RUN...",
    .summary = "kept runs beside the first one: differences with intervals, request by request where rows were kept",
    .options = options,
    .run = run,
};
