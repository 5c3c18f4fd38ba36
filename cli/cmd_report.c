/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "reports/store.h"

enum { OPT_DB, OPT_FORMAT };

static const struct option_spec options[] = {
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--format", "text|csv|json", "how to print (default text)"},
    {0},
};

static int run(const struct arguments *args, struct error *err)
{
    const char *file = args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db";
    const char *format = args->values[OPT_FORMAT] ? args->values[OPT_FORMAT] : "text";
    char *end = NULL;
    if (need_words(args, 0, 1, command_report.usage, err))
        return EXIT_BAD_INPUT;
    long long id = args->word_count ? strtoll(args->words[0], &end, 10) : 0;
    if (args->word_count && (*end || id < 1)) {
        error_set(err, ERROR_INPUT, "%s: expected a run's number", args->words[0]);
        return EXIT_BAD_INPUT;
    }
    if (strcmp(format, "text") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0) {
        error_set(err, ERROR_INPUT, "--format %s: allowed: text, csv, json", format);
        return EXIT_BAD_INPUT;
    }
    if (access(file, R_OK) != 0) {
        error_set(err, ERROR_INPUT, "%s: there is no such database; tandem run makes one", file);
        return EXIT_BAD_INPUT;
    }
    struct store *store = NULL;
    if (store_open(file, &store, err))
        return exit_for(err);
    int status = store_print_run(store, id, format, err) ? exit_for(err) : EXIT_DONE;
    store_close(store);
    return status;
}

const struct command command_report = {
    .name = "report",
    .usage = "report [RUN] [--format text|csv|json]",
    .summary = "print a kept run's metrics (the last one when no number is given)",
    .options = options,
    .run = run,
};
