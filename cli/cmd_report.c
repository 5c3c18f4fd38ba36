/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/command.h"
#include "cli/kept.h"
#include "cli/page_owner.h"
#include "cli/session.h"
#include "planner/headroom.h"
#include "reports/formats/formats.h"
#include "reports/pages/page.h"
#include "reports/pages/page_study.h"
#include "reports/store/kept_run.h"

enum { OPT_DB, OPT_FORMAT, OPT_OUT, OPT_HEADROOM, OPT_NO_HEADROOM, OPT_RUNS, OPT_THREADS, OPT_QUIET };

static const struct option_spec options[] = {
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--format", "html|text|csv|json|markdown|perfetto|prometheus|openmetrics|vllm|vllm-detailed",
     "a page (default), rows, or what other tools read: a trace of batches for Perfetto, Prometheus' text and "
     "OpenMetrics over the simulated time with vLLM's names, the JSON of vllm bench serve"},
    {"--out", "FILE",
     "where to write; a page goes to run-N.html, sweep-N.html or plan-N.html if nothing else is said, which then may "
     "only take the place of a page of the same database"},
    {"--headroom", NULL, "look for the rate at which the SLO would break, however long it takes"},
    {"--no-headroom", NULL, "do not look for it (default: look where that takes seconds)"},
    {"--runs", NULL, "write the pages of a sweep's runs, too"},
    {"-j", "N", "threads to look with (default: as many as there are processors)"},
    {"--quiet", NULL, "print nothing but errors"},
    PLUGIN_OPTION,
    {0},
};

enum { QUICK_RUN_MS = 1500 }; /* headroom takes some fifty times as long */

static int take_count(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(int64_t *)state = kept_integer(values[0]);
    return 0;
}

/* A run's page tells its headroom; it is looked for once, and kept. */
static int look_for_headroom(const struct arguments *args, const struct kept_run *run, struct store *store,
                             struct error *err)
{
    struct session session;
    struct plan plan;
    struct headroom h;
    if (kept_run_check_plugins(run, err))
        return -1;
    cJSON *scenario = cJSON_Duplicate(run->scenario, 1), *wrapped = scenario ? headroom_plan(scenario) : NULL;
    if (!wrapped)
        return error_no_memory(err);
    struct session_wishes wishes = {.threads = args->values[OPT_THREADS], .quiet = args->values[OPT_QUIET] != NULL};
    if (plan_read(&plan, (struct json){.node = wrapped, .file = "scenario"}, err))
        return -1;
    int status = session_open(&session, &wishes, err);
    if (status == 0)
        status = headroom_find(&plan, &session.pool, &h, err);
    session_close(&session, status != 0, err);
    plan_release(&plan);
    return status ? -1 : headroom_keep(&h, store, run->id, err);
}

static bool was_served(const struct kept_run *run)
{
    return strncmp(run->texts[RUN_DEVICE], "engine (", 8) == 0;
}

enum { PAGE_NAME = 64 };

static const char *database(const struct arguments *args)
{
    return args->values[OPT_DB] ? args->values[OPT_DB] : KEPT_USUAL;
}

/* The name of a page that nobody has named; fails where it would take the place of what is not ours. */
static int name_page(const struct arguments *args, const char *what, int64_t id, char name[PAGE_NAME],
                     struct error *err)
{
    snprintf(name, PAGE_NAME, "%s-%lld.html", what, (long long)id);
    return page_check_owner(name, database(args), err);
}

/* Without --headroom a page is written whether or not this comes to anything: the workload may be a closed loop, or its
 * trace elsewhere. */
static int ask_headroom(const struct arguments *args, int64_t id, struct store *store, struct error *err)
{
    struct kept_run run;
    struct error ours = {0};
    int64_t known = 0;
    char usual[PAGE_NAME];
    bool forced = args->values[OPT_HEADROOM] != NULL;
    int status = kept_run_read(&run, store, id, err);
    bool read_only = store_is_read_only(store);
    if (status == 0)
        status = store_read(store, take_count, &known, err, "SELECT count(*) FROM headroom WHERE run_id = ?", "i", id);
    bool open = status == 0 && !known && cJSON_GetObjectItemCaseSensitive(run.scenario, "slo");
    bool quick = open && run.wall_s * 1e3 < QUICK_RUN_MS && strcmp(run.texts[RUN_STATUS], "done") == 0;
    if (status == 0 && forced && !cJSON_GetObjectItemCaseSensitive(run.scenario, "slo"))
        status = error_set(err, ERROR_INPUT, "--headroom: run %lld has no SLO that could break", (long long)id);
    else if (open && forced && was_served(&run))
        status = error_set(err, ERROR_INPUT,
                           "--headroom: run %lld was served by an engine; only simulated runs have one", (long long)id);
    else if (open && forced && read_only)
        status = error_set(err, ERROR_INPUT, "--headroom: run %lld is in a database that cannot be written to keep it",
                           (long long)id);
    else if (open && !read_only && (forced || (quick && !was_served(&run) && !args->values[OPT_NO_HEADROOM])))
        status = (!args->values[OPT_OUT] && name_page(args, "run", id, usual, err)) ||
                 look_for_headroom(args, &run, store, &ours);
    if (ours.code != ERROR_NONE && (forced || signal_came()))
        *err = ours;
    else if (ours.code != ERROR_NONE) {
        status = 0;
        if (!args->values[OPT_QUIET])
            fprintf(stderr, "no rate at which run %lld would break: %s\n", (long long)id, ours.text);
    }
    kept_run_release(&run);
    return status;
}

typedef int (*page_writer)(struct store *store, int64_t id, FILE *out, struct error *err);

static int write_page(const struct arguments *args, struct store *store, const char *what, int64_t id,
                      page_writer writer, const char *wanted, struct error *err)
{
    char usual[PAGE_NAME];
    struct output file;
    const char *name = wanted ? wanted : usual;
    if ((!wanted && name_page(args, what, id, usual, err)) || output_open(&file, name, err))
        return -1;
    int status = writer(store, id, file.out, err) ? -1 : store_check(store, err);
    if (status == 0)
        page_sign(file.out, database(args));
    if (output_close(&file, status != 0, err))
        return -1;
    if (!args->values[OPT_QUIET])
        printf("%s %lld is in %s\n", what, (long long)id, PRINTABLE(name));
    return 0;
}

static int write_run(const struct arguments *args, struct store *store, int64_t id, struct error *err)
{
    return ask_headroom(args, id, store, err) ||
                   write_page(args, store, "run", id, page_write, args->values[OPT_OUT], err)
               ? -1
               : 0;
}

struct run_pages {
    const struct arguments *args;
    struct store *store;
};

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct run_pages *p = state;
    (void)columns;
    return write_page(p->args, p->store, "run", kept_integer(values[0]), page_write, NULL, err);
}

/* "sweep:3" and "plan:1": the page of all its points. Returns 1 when the word is a run's. */
static int write_study(const struct arguments *args, struct store *store, const char *word, struct error *err)
{
    static const struct {
        const char *prefix, *what;
        page_writer writer;
    } studies[] = {{"sweep:", "sweep", page_write_sweep}, {"plan:", "plan", page_write_plan}};
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++) {
        size_t length = strlen(studies[i].prefix);
        int64_t id;
        struct run_pages pages = {args, store};
        if (strncmp(word, studies[i].prefix, length) != 0)
            continue;
        if (kept_read_id(word + length, &id, err))
            return error_set(err, ERROR_INPUT, "%s: expected a %s's number", word, studies[i].what);
        if (args->values[OPT_RUNS] && i == 0 &&
            store_read(store, take_run, &pages, err,
                       "SELECT DISTINCT run_id FROM sweep_point WHERE sweep_id = ? AND run_id IS NOT NULL", "i", id))
            return -1;
        return write_page(args, store, studies[i].what, id, studies[i].writer, args->values[OPT_OUT], err);
    }
    return 1;
}

static int write_pages(const struct arguments *args, struct store *store, struct error *err)
{
    int64_t id;
    if (args->word_count == 0)
        return kept_run_last(store, &id, err) || write_run(args, store, id, err) ? -1 : 0;
    for (int i = 0; i < args->word_count; i++) {
        int study = write_study(args, store, args->words[i], err);
        if (study < 0 || (study && (kept_read_id(args->words[i], &id, err) || write_run(args, store, id, err))))
            return -1;
    }
    return 0;
}

static int print_run(const struct arguments *args, struct store *store, const char *format, struct error *err)
{
    const char *wanted = args->values[OPT_OUT];
    int64_t id;
    const char *word = args->word_count ? args->words[0] : "";
    if (args->word_count > 1)
        return error_set(err, ERROR_INPUT, "--format %s: one run at a time", format);
    if (strncmp(word, "sweep:", 6) == 0 || strncmp(word, "plan:", 5) == 0)
        return error_set(err, ERROR_INPUT, "--format %s: is of runs; a %.*s is a page (html), and %s", format,
                         (int)strcspn(word, ":"), word,
                         *word == 's' ? "rows by sweep --csv" : "JSON or Markdown by plan --json or --markdown");
    if (args->word_count ? kept_read_id(args->words[0], &id, err) : kept_run_last(store, &id, err))
        return -1;
    if (!wanted)
        return run_format_find(format)(store, id, stdout, err) ? -1 : store_check(store, err);
    struct output file;
    if (output_open(&file, wanted, err))
        return -1;
    int status = run_format_find(format)(store, id, file.out, err) ? -1 : store_check(store, err);
    return output_close(&file, status != 0, err);
}

/* Options of pages, and those of a sweep's and of a run's. */
static int check_page_options(const struct arguments *args, bool html, struct error *err)
{
    static const int of_pages[] = {OPT_HEADROOM, OPT_NO_HEADROOM, OPT_RUNS, OPT_THREADS};
    bool sweep = false;
    for (size_t i = 0; !html && i < sizeof of_pages / sizeof *of_pages; i++)
        if (refuse_option(args, options, of_pages[i], "pages (--format html)", err))
            return -1;
    for (int i = 0; i < args->word_count; i++)
        sweep |= strncmp(args->words[i], "sweep:", 6) == 0;
    if (args->values[OPT_HEADROOM] && args->values[OPT_NO_HEADROOM])
        return error_set(err, ERROR_INPUT, "--headroom and --no-headroom: expected one of them at most");
    return sweep ? 0 : refuse_option(args, options, OPT_RUNS, "a sweep's page (sweep:N)", err);
}

static int run(const struct arguments *args, struct error *err)
{
    const char *format = args->values[OPT_FORMAT] ? args->values[OPT_FORMAT] : "html";
    bool html = strcmp(format, "html") == 0;
    if (need_words(args, 0, WORDS_MAX, command_report.usage, err))
        return EXIT_BAD_INPUT;
    if (!html && !run_format_find(format)) {
        error_set(err, ERROR_INPUT,
                  "--format %s: allowed: html, text, csv, json, markdown, perfetto, prometheus, openmetrics, vllm, "
                  "vllm-detailed",
                  format);
        return EXIT_BAD_INPUT;
    }
    if (args->word_count > 1 && args->values[OPT_OUT]) {
        error_set(err, ERROR_INPUT, "--out: is for one page; several are named by themselves");
        return EXIT_BAD_INPUT;
    }
    if (check_page_options(args, html, err))
        return EXIT_BAD_INPUT;
    struct store *store = NULL;
    if (kept_open(args->values[OPT_DB], &store, err))
        return exit_for(err);
    int status = html ? write_pages(args, store, err) : print_run(args, store, format, err);
    store_close(store);
    return status ? exit_for(err) : EXIT_DONE;
}

const struct command command_report = {
    .name = "report",
    .usage = "report [RUN|sweep:N|plan:N]...",
    .summary = "kept runs, sweeps and plans as pages (the last run when nothing is named), or a run in another form",
    .options = options,
    .run = run,
};
