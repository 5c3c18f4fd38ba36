/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "reports/formats.h"
#include "reports/page.h"
#include "reports/store.h"

enum { OPT_DB, OPT_FORMAT, OPT_OUT };

static const struct option_spec options[] = {
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--format", "html|text|csv|json|markdown|prometheus|vllm",
     "a page (default where --out ends with .html), rows (text by default), or what other tools read: OpenMetrics with "
     "vLLM's names, the JSON of vllm bench serve"},
    {"--out", "FILE", "where to write; a page is written to run-N.html if nothing else is said"},
    {0},
};

static int take_id(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(int64_t *)state = values[0] ? strtoll(values[0], NULL, 10) : 0;
    return 0;
}

/* A page is there whole or not at all. */
static int write_page(struct store *store, int64_t id, const char *wanted, struct error *err)
{
    char file[1000], beside[1020];
    if (id == 0 && store_read(store, take_id, &id, err, "SELECT max(id) FROM run", ""))
        return -1;
    if (id == 0)
        return error_set(err, ERROR_INPUT, "there is no run to report");
    if (wanted && strlen(wanted) >= sizeof file)
        return error_set(err, ERROR_INPUT, "--out: the name is too long");
    if (wanted)
        snprintf(file, sizeof file, "%s", wanted);
    else
        snprintf(file, sizeof file, "run-%lld.html", (long long)id);
    snprintf(beside, sizeof beside, "%s.new", file);
    FILE *out = fopen(beside, "w");
    if (!out)
        return error_set(err, ERROR_IO, "%s: cannot be written: %s", file, strerror(errno));
    int status = page_write(store, id, out, err);
    bool whole = !ferror(out);
    whole = fclose(out) == 0 && whole;
    if (status == 0 && (!whole || rename(beside, file)))
        status = error_set(err, ERROR_IO, "%s: cannot be written: %s", file, strerror(errno));
    if (status)
        remove(beside);
    else
        printf("run %lld is in %s\n", (long long)id, file);
    return status;
}

static bool ends_with_html(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    return length > 5 && strcmp(name + length - 5, ".html") == 0;
}

static int run(const struct arguments *args, struct error *err)
{
    const char *file = args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", *wanted = args->values[OPT_OUT];
    const char *format = args->values[OPT_FORMAT] ? args->values[OPT_FORMAT] : ends_with_html(wanted) ? "html" : "text";
    char *end = NULL;
    if (need_words(args, 0, 1, command_report.usage, err))
        return EXIT_BAD_INPUT;
    long long id = args->word_count ? strtoll(args->words[0], &end, 10) : 0;
    if (args->word_count && (*end || id < 1)) {
        error_set(err, ERROR_INPUT, "%s: expected a run's number", args->words[0]);
        return EXIT_BAD_INPUT;
    }
    bool html = strcmp(format, "html") == 0;
    run_format foreign = run_format_find(format);
    if (!html && !foreign && strcmp(format, "text") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0) {
        error_set(err, ERROR_INPUT, "--format %s: allowed: html, text, csv, json, markdown, prometheus, vllm", format);
        return EXIT_BAD_INPUT;
    }
    if (access(file, R_OK) != 0) {
        error_set(err, ERROR_INPUT, "%s: there is no such database; tandem run makes one", file);
        return EXIT_BAD_INPUT;
    }
    if (wanted && !html && !freopen(wanted, "w", stdout)) {
        error_set(err, ERROR_IO, "%s: cannot be written: %s", wanted, strerror(errno));
        return EXIT_FAILED;
    }
    struct store *store = NULL;
    if (store_open(file, &store, err))
        return exit_for(err);
    int64_t run = id;
    int status = html || id > 0 ? 0 : store_read(store, take_id, &run, err, "SELECT max(id) FROM run", "");
    if (status == 0)
        status = html      ? write_page(store, id, wanted, err)
                 : foreign ? foreign(store, run, stdout, err)
                           : store_print_run(store, id, format, err);
    status = status ? exit_for(err) : EXIT_DONE;
    store_close(store);
    return status;
}

const struct command command_report = {
    .name = "report",
    .usage = "report [RUN] [--format html|csv|…]",
    .summary = "a kept run (the last one when no number is given): a page, or its metrics printed",
    .options = options,
    .run = run,
};
