/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/watch.h"
#include "planner/analytic.h"
#include "profiles/shipped.h"
#include "reports/store.h"
#include "reports/text.h"

enum { OPT_SET, OPT_DB, OPT_NO_DB, OPT_CHECK_SLO, OPT_QUIET, OPT_STEP, OPT_WATCH };

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "override a scenario value, e.g. --set policy.batching=continuous; may be repeated"},
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--no-db", NULL, "keep nothing; only print the summary"},
    {"--check-slo", NULL, "exit with status 3 when the SLO is not met"},
    {"--quiet", NULL, "print nothing but errors"},
    {"--step", NULL, "simulate every iteration one by one: the same rows, more slowly"},
    {"--watch", NULL, "show rates, queue and percentiles while it runs; plain lines where there is no terminal"},
    {0},
};

static int load_scenario(const struct arguments *args, struct scenario *s, struct error *err)
{
    struct json root;
    if (shipped_load("scenario", args->words[0], &root, err))
        return -1;
    if (apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return scenario_compile(s, root, err);
}

static int simulate(struct scenario *s, struct run_metrics *m, bool watch, struct run_summary *summary,
                    struct error *err)
{
    struct request_source source = {0};
    struct cluster_totals totals = {0};
    if (scenario_open_workload(s, &source, err))
        return -1;
    struct observer observer = run_metrics_observer(m);
    struct run_watch view;
    watch_begin(&view, s, m, watch);
    struct run_control control = {.stop = stop_on_signal(), .tick = watch_tick, .state = &view};
    m->sustainable_per_s = analytic_capacity_per_s(s);
    int status = cluster_run(&s->cluster, &source, &observer, &control, &totals, err);
    watch_end(&view, &totals);
    request_source_destroy(&source);
    return status ? -1 : run_metrics_summarise(m, s, &totals, summary, err);
}

static int run_and_keep(const struct arguments *args, struct scenario *s, struct store *store, struct run_metrics *m,
                        struct error *err)
{
    struct run_summary summary;
    double start = wall_clock_s();
    if (store && scenario_keeps_rows(s)) {
        if (store_keep_rows(store, err))
            return exit_for(err);
        m->sink = store_sink(store);
    }
    if (simulate(s, m, args->values[OPT_WATCH] != NULL, &summary, err))
        return exit_for(err);
    double wall = wall_clock_s() - start;
    int64_t id = store ? store_save_run(store, s, m, &summary, wall, err) : 0;
    if (id < 0)
        return exit_for(err);
    if (!args->values[OPT_QUIET]) {
        text_print_summary(stdout, s, &summary, m, wall);
        if (store)
            printf("  kept       run %lld in %s\n", (long long)id,
                   args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db");
    }
    if (summary.totals.stopped) {
        error_set(err, ERROR_RUN,
                  store ? "interrupted; what had finished was kept with status \"interrupted\"" : "interrupted");
        return EXIT_FAILED;
    }
    return args->values[OPT_CHECK_SLO] && summary.slo.asked && !summary.slo.met ? EXIT_SLO_MISSED : EXIT_DONE;
}

static int run(const struct arguments *args, struct error *err)
{
    struct scenario s;
    struct store *store = NULL;
    if (need_words(args, 1, 1, command_run.usage, err) || load_scenario(args, &s, err))
        return exit_for(err);
    s.cluster.step = args->values[OPT_STEP] != NULL;
    stop_on_signal();
    struct run_metrics *m = malloc(sizeof *m);
    int status;
    if (!m) {
        error_no_memory(err);
        status = EXIT_FAILED;
    } else if (!args->values[OPT_NO_DB] &&
               store_open(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", &store, err)) {
        status = exit_for(err);
    } else {
        status = run_metrics_init(m, &s, err) ? exit_for(err) : run_and_keep(args, &s, store, m, err);
        run_metrics_release(m);
    }
    store_close(store);
    free(m);
    scenario_release(&s);
    return status;
}

const struct command command_run = {
    .name = "run",
    .usage = "run SCENARIO [--set PATH=VALUE]...",
    .summary = "simulate one scenario (a file, or \"default\"); print the summary, keep the rows",
    .options = options,
    .run = run,
};
