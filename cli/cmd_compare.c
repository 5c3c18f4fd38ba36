/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/command.h"
#include "cli/kept.h"
#include "reports/pages/page_compare.h"
#include "reports/store/compare.h"
#include "reports/store/kept_value.h"

enum { OPT_DB, OPT_OUT };

static const struct option_spec options[] = {
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--out", "FILE.html", "write a page instead of text"},
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
    snprintf(l->text, sizeof l->text, "%.80s (%.60s, %.60s on %.60s, seed %.20s)", kept_text(values[0]),
             kept_text(values[1]), kept_text(values[2]), kept_text(values[3]), kept_text(values[4]));
    printable_in_place(l->text, sizeof l->text);
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
    if (!compared_is_time(c))
        printf(" %12.5g", v);
    else if (v < 1)
        printf(" %9.3g ms", v * 1e3);
    else
        printf(" %10.4g s", v);
}

/* "B is better by x %" where the interval says so, and nothing where it does not. Of what is far apart the values say
 * more than a ratio does. */
static void print_row(const struct compared *c)
{
    double half = 50 * (c->relative.high - c->relative.low);
    int verdict = compare_verdict(c);
    char change[32];
    compared_change(c, change, sizeof change);
    printf("  %-24s", c->title);
    print_value(c, c->a);
    print_value(c, c->b);
    printf("  %10s", change);
    if (isfinite(half) && !compared_is_far(c))
        printf(" ± %.1f", half);
    if (verdict && compared_is_far(c)) {
        printf("  %s is better:", verdict > 0 ? "B" : "A");
        print_value(c, verdict > 0 ? c->b : c->a);
        printf(" against");
        print_value(c, verdict > 0 ? c->a : c->b);
    } else if (verdict)
        printf("  %s is better by %.1f %%", verdict > 0 ? "B" : "A", 100 * fabs(c->relative.value));
    else
        printf("  %s", c->not_compared ? c->not_compared : isfinite(half) ? "no more than chance" : "no interval");
    if (c->pairs)
        printf(" (%zu requests in pairs)", c->pairs);
    printf("\n");
}

static void print_label(char letter, int64_t run, const char *label, bool overloaded, double unserved)
{
    printf("%c  %srun %lld: %s", letter, overloaded ? "OVERLOADED: " : "", (long long)run, label);
    if (unserved > 0)
        printf("; %.3g %% of its requests were not served", 100 * unserved);
    printf("\n");
}

/* What was asked of the two, before what came of it. */
static void print_conditions(const struct comparability *c)
{
    if (*c->workload)
        printf("The workloads differ, so neither is better: %s\n", PRINTABLE(c->workload));
    if (*c->seeds)
        printf("The seeds differ, %s: requests are alike, not the same.\n", PRINTABLE(c->seeds));
    if (*c->configuration)
        printf("What serves them differs: %s\n", PRINTABLE(c->configuration));
}

static int compare(struct store *store, int64_t a, int64_t b, struct error *err)
{
    struct compared rows[COMPARED];
    struct label first, second;
    struct comparability conditions;
    size_t count;
    if (read_label(store, a, &first, err) || read_label(store, b, &second, err) ||
        compare_conditions(store, a, b, &conditions, err) || compare_runs(store, a, b, rows, &count, err))
        return -1;
    print_label('A', a, first.text, conditions.overloaded[0], conditions.unserved[0]);
    print_label('B', b, second.text, conditions.overloaded[1], conditions.unserved[1]);
    print_conditions(&conditions);
    printf("\n  %-24s %12s %12s  %10s\n", "", "A", "B", "B against A");
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
    return 0;
}

static int compare_in_words(struct store *store, const int64_t *ids, size_t count, struct error *err)
{
    for (size_t i = 1; i < count; i++) {
        printf("%s", i > 1 ? "\n" : "");
        if (compare(store, ids[0], ids[i], err))
            return -1;
    }
    return store_check(store, err);
}

static int compare_as_page(struct store *store, const int64_t *ids, size_t count, const char *name, struct error *err)
{
    struct output file;
    if (count > COMPARED_RUNS_MAX)
        return error_set(err, ERROR_INPUT, "--out: a page has room for %d runs", COMPARED_RUNS_MAX);
    if (output_open(&file, name, err))
        return -1;
    int status = page_write_comparison(store, ids, count, file.out, err) ? -1 : store_check(store, err);
    if (output_close(&file, status != 0, err))
        return -1;
    printf("the comparison is in %s\n", PRINTABLE(name));
    return 0;
}

static int run(const struct arguments *args, struct error *err)
{
    const char *page = args->values[OPT_OUT];
    int64_t ids[WORDS_MAX];
    if (need_words(args, 2, WORDS_MAX, command_compare.usage, err))
        return EXIT_BAD_INPUT;
    for (int i = 0; i < args->word_count; i++)
        if (kept_read_id(args->words[i], &ids[i], err))
            return EXIT_BAD_INPUT;
    struct store *store = NULL;
    if (kept_open(args->values[OPT_DB], &store, err))
        return exit_for(err);
    size_t count = (size_t)args->word_count;
    int status = page ? compare_as_page(store, ids, count, page, err) : compare_in_words(store, ids, count, err);
    store_close(store);
    return status ? exit_for(err) : EXIT_DONE;
}

const struct command command_compare = {
    .name = "compare",
    .usage = "compare RUN RUN...",
    .summary = "kept runs next to the first one: differences with intervals, request by request where rows were kept",
    .options = options,
    .run = run,
};
