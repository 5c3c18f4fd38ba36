/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "cli/command.h"
#include "cli/signals.h"
#include "cli/watch.h"
#include "profiles/server_command.h"
#include "profiles/shipped.h"
#include "reports/formats/text.h"
#include "simulation/alone.h"

enum { OPT_SET, OPT_DB, OPT_NO_DB, OPT_CHECK_SLO, OPT_QUIET, OPT_STEP, OPT_WATCH, OPT_THREADS, OPT_LIKE, OPT_IDEAL };

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "override a scenario value, e.g. --set policy.batching=continuous; may be repeated"},
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--no-db", NULL, "keep nothing; only print the summary"},
    {"--check-slo", NULL, "exit with status 3 when the SLO is not met"},
    {"--quiet", NULL, "print nothing but errors"},
    {"--step", NULL, "simulate every iteration one by one: the same rows, more slowly"},
    {"--watch", NULL, "show rates, queue and percentiles while it runs; plain lines where there is no terminal"},
    {"-j", "N",
     "threads, where replicas never wait for one another (default: as many as there are processors): the same rows"},
    {"--like", "COMMAND",
     "serve as this command line of vllm serve, sglang serve, python -m sglang.launch_server or trtllm-serve would, on "
     "the scenario's device; --set goes before it"},
    {"--ideal", NULL, "run the same requests by themselves, too: ideal_e2e_s, and how much contention makes of it"},
    PLUGIN_OPTION,
    {0},
};

/* What a server's command line says in a scenario's words, and what of it cannot be honoured. */
static void print_command(const struct server_command *c)
{
    printf("like");
    for (size_t i = 0; i < c->word_count; i++)
        printf(" %s=%s", c->words[i].path, PRINTABLE(c->words[i].value));
    putchar('\n');
    for (size_t i = 0; i < c->note_count; i++)
        printf("left out %s\n", c->notes[i]);
}

/* Settings say on which device the server starts, and have the last word, too. */
static int apply_command(const struct arguments *args, struct json *root, struct error *err)
{
    struct server_command command;
    if (server_command_read(args->values[OPT_LIKE], &command, err) || server_command_apply(&command, root, err))
        return -1;
    if (!args->values[OPT_QUIET])
        print_command(&command);
    return apply_settings(args, root, err);
}

static int open_scenario(const struct arguments *args, struct simulation **out, struct error *err)
{
    struct json root;
    if (shipped_load("scenario", args->word_count > 0 ? args->words[0] : "default", &root, err))
        return -1;
    if (apply_settings(args, &root, err) || (args->values[OPT_LIKE] && apply_command(args, &root, err))) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return simulation_open(root, out, err);
}

static int simulate(const struct arguments *args, struct simulation *s, struct store *store, struct error *err)
{
    struct run_watch view;
    unsigned threads;
    if (read_threads(args->values[OPT_THREADS], &threads, err))
        return -1;
    if (args->values[OPT_WATCH])
        threads = 1; /* which are watched as they come */
    struct simulation_options o = {.control = {.stop = stop_on_signal(), .tick = watch_tick, .state = &view},
                                   .store = store,
                                   .threads = threads,
                                   .step = args->values[OPT_STEP] != NULL,
                                   .sustainable = true};
    watch_begin(&view, &s->scenario, &s->metrics, args->values[OPT_WATCH] != NULL);
    int status = simulation_run(s, &o, err);
    watch_end(&view, &s->summary.totals);
    return status;
}

static void print_alone(const struct simulation *s)
{
    const struct summary *alone = &s->summary.alone;
    if (alone->count > 0)
        printf("  alone      E2E mean %.4g s, p99 %.4g s: the same requests by themselves; contention makes %.3g times "
               "that of the mean\n",
               alone->at[STAT_MEAN].value * 1e-9, alone->at[STAT_P99].value * 1e-9, simulation_contention(s));
}

static int run_and_keep(const struct arguments *args, struct simulation *s, struct store *store, struct error *err)
{
    const struct run_summary *summary = &s->summary;
    bool ideal = args->values[OPT_IDEAL] != NULL;
    if ((ideal && simulation_alone_check(s, err)) || simulate(args, s, store, err) ||
        (ideal && !summary->totals.stopped && simulation_alone(s, stop_on_signal(), err)))
        return exit_for(err);
    if (summary->totals.stopped || signal_came())
        signals_wait_for_keeping();
    int64_t id = store ? simulation_keep(s, store, err) : 0;
    if (id < 0)
        return exit_for(err);
    if (!args->values[OPT_QUIET]) {
        text_print_summary(stdout, &s->scenario, summary, &s->metrics, s->wall_s);
        print_alone(s);
        if (store)
            printf("  kept       run %lld in %s\n", (long long)id,
                   PRINTABLE(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db"));
    }
    if (ideal && !summary->totals.stopped && summary->alone.count == 0 && signal_came()) {
        error_set(err, ERROR_RUN, "interrupted%s",
                  store ? "; the run was kept, without its requests by themselves" : "");
        return EXIT_FAILED;
    }
    if (summary->totals.stopped) {
        error_set(err, ERROR_RUN,
                  store ? "interrupted; what had finished was kept with status \"interrupted\"" : "interrupted");
        return EXIT_FAILED;
    }
    return args->values[OPT_CHECK_SLO] && summary->slo.asked && !summary->slo.met ? EXIT_SLO_MISSED : EXIT_DONE;
}

static int run(const struct arguments *args, struct error *err)
{
    struct simulation *s = NULL;
    struct store *store = NULL;
    if (need_words(args, args->values[OPT_LIKE] ? 0 : 1, 1, command_run.usage, err) || open_scenario(args, &s, err))
        return exit_for(err);
    stop_on_signal();
    bool keeps = !args->values[OPT_NO_DB];
    int status = keeps && store_open(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", &store, err)
                     ? exit_for(err)
                     : run_and_keep(args, s, store, err);
    store_close(store);
    simulation_close(s);
    return status;
}

const struct command command_run = {
    .name = "run",
    .usage = "run SCENARIO [--set PATH=VALUE]...",
    .summary = "simulate one scenario (a file, or \"default\", which --like takes by itself); print the summary, keep "
               "the rows",
    .options = options,
    .run = run,
};
