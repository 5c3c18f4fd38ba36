/* SPDX-License-Identifier: MIT */
/* `validate theory`: a table of closed forms next to simulated mean waits. `validate measured`: a measured server's
 * latencies next to simulated ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/validate_distserve.h"
#include "cli/validate_engine.h"
#include "cli/validate_levels.h"
#include "cli/validate_points.h"
#include "planner/parallel.h"
#include "reports/store/store.h"
#include "validation/plot.h"
#include "validation/theory_cases.h"

enum {
    OPT_PROFILE,
    OPT_SET,
    OPT_PLOT,
    OPT_DB,
    OPT_NO_DB,
    OPT_SEEDS,
    OPT_REQUESTS,
    OPT_PRECISION,
    OPT_RHO,
    OPT_THREADS,
    OPT_POLICIES,
    OPT_REPEATS,
    OPT_BACKEND,
    OPT_NO_HASHES,
    OPT_HALF,
    OPT_CSV,
    OPT_LOADS,
    OPT_SECONDS,
    OPT_ENGINE_THREADS,
    OPT_NO_REFERENCE,
    OPT_SCENARIO
};

static const struct option_spec options[] = {
    {"--profile", "DEVICE", "measured: the device or profile that costs come from"},
    {"--set", "PATH=VALUE", "measured, distserve, engine: override a value of the scenario; may be repeated"},
    {"--plot", "FILE", "measured, engine: write the comparison as an HTML page with charts"},
    {"--db", "FILE", "measured: results database (default tandem.db)"},
    {"--no-db", NULL, "measured: keep nothing"},
    {"--seeds", "N", "theory: runs of each row (default 20)"},
    {"--requests", "N", "theory: requests of each run (default 1000000)"},
    {"--precision", "PERCENT",
     "theory: make each run so long that its 99 % interval is at most so wide on either side"},
    {"--rho", "RHO", "theory: one utilisation, from 0.01 to 0.99, instead of 0.3, 0.7, 0.9 and 0.95"},
    {"-j", "N", "theory: threads (default: as many as there are processors)"},
    {"--policies", "LIST",
     "engine: of static_padded, static_prepacked, continuous, chunked_prefill, unified_budget, "
     "prefill_first, disaggregated (default: the first five and the last)"},
    {"--repeats", "N",
     "engine: so many times a profile, and each policy served and simulated (default 1, which has no interval); kept "
     "in "
     "engine-validation.points until all are there, so that an interrupted one goes on"},
    {"--backend", "NAME", "engine: cpu, cpu-reference, or cuda where it is built in"},
    {"--no-hashes", NULL, "measured: leave the folder's prefix_hashes.jsonl out, so that no prompts share prefixes"},
    {"--half", "NAME",
     "measured, operating points: fit, the half that constants of engine versions may be fitted to, or judge, the "
     "other (default: both)"},
    {"--csv", "FILE", "measured, operating points: write each point, its half, and what was measured and simulated"},
    {"--loads", "LIST",
     "engine: percent of each policy's measured capacity that it is served at, up to 8 numbers (default 50,85,95)"},
    {"--seconds", "S",
     "engine: time for a repeat, from 10 to 100000 (default 110): so many requests of the scenario are served as fit, "
     "but at least 16 a run"},
    {"--threads", "N",
     "engine: threads of a CPU backend (default 1, whose CPU time is counted; with more, the wall clock)"},
    {"--no-reference", NULL, "engine: take times as they are measured, not corrected by reference steps"},
    {"--scenario", "SCENARIO",
     "measured, results of a benchmark (see calibrate): the model, device, engine and cluster that were measured"},
    PLUGIN_OPTION,
    {0},
};

/* The first seed's estimate, and how many seeds' intervals hold the closed form. */
static void print_row(const struct theory_case *c, const struct theory_runs *runs, const struct theory_row *row)
{
    printf("%-20s %4.2f %11.6f %11.6f %8.2f %% %11.6f %8.2f %% %9.2f %% %5zu of %zu\n", c->formula, runs->rho,
           row->exact_s * 1e3, row->first_s * 1e3, 100 * (row->first_s / row->exact_s - 1), row->mean_s * 1e3,
           100 * (row->mean_s / row->exact_s - 1), 100 * row->half_s / row->exact_s, row->covers, runs->seeds);
    fflush(stdout);
}

/* A row for each case and utilisation; `rho` 0: the usual ones. */
static int compare_all(struct theory_runs *runs, double rho, struct error *err)
{
    static const double utilizations[] = {0.3, 0.7, 0.9, 0.95};
    size_t count = rho > 0 ? 1 : sizeof utilizations / sizeof *utilizations;
    printf("%-20s %4s %11s %11s %10s %11s %10s %11s  in 99 %% interval\n", "formula", "rho", "exact ms", "seed 1 ms",
           "error", "mean ms", "error", "half-width");
    for (const struct theory_case *c = theory_cases; c->formula; c++)
        for (size_t i = 0; i < count; i++) {
            struct theory_row row = {0};
            runs->rho = rho > 0 ? rho : utilizations[i];
            if (theory_case_compare(c, runs, &row, err))
                return -1;
            print_row(c, runs, &row);
        }
    return 0;
}

static int read_share(const char *option, const char *text, double least, double most, double *out, struct error *err)
{
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0;
    if (text && (*end || !(*out >= least && *out <= most)))
        return error_set(err, ERROR_INPUT, "%s %s: expected a number from %g to %g", option, text, least, most);
    return 0;
}

static int validate_theory(const struct arguments *args, struct error *err)
{
    size_t seeds, requests;
    unsigned threads;
    double precision, rho;
    if (need_words(args, 1, 1, command_validate.usage, err) ||
        read_count("--seeds", args->values[OPT_SEEDS], 20, 100000, &seeds, err) ||
        read_count("--requests", args->values[OPT_REQUESTS], 1000000, 1000000000, &requests, err) ||
        read_share("--precision", args->values[OPT_PRECISION], 0.1, 100, &precision, err) ||
        read_share("--rho", args->values[OPT_RHO], 0.01, 0.99, &rho, err) ||
        read_threads(args->values[OPT_THREADS], &threads, err))
        return -1;
    struct theory_runs runs = {.seeds = seeds, .requests = requests, .precision = precision / 100, .threads = threads};
    return compare_all(&runs, rho, err);
}

static void print_comparison(const struct comparison *c)
{
    static const char *const labels[MEASURED_METRICS] = {"TTFT", "TPOT", "E2E"};
    printf("%-12s %12s %12s %9s\n", "", "measured ms", "simulated ms", "error");
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            printf("%-5s %-6s %12.2f %12.2f %+8.2f %%\n", labels[m], measured_statistics[i], c->measured[m][i] * 1e3,
                   c->simulated[m][i] * 1e3, 100 * c->error[m][i]);
}

static void print_means(const char *label, const struct error_means *means)
{
    printf("%-8s %+7.2f %% TTFT %+7.2f %% TPOT %+7.2f %% E2E;", label, 100 * means->by_metric[0],
           100 * means->by_metric[1], 100 * means->by_metric[2]);
    for (int i = 0; i < MEASURED_STATISTICS; i++)
        printf(" %+.2f %% %s%s", 100 * means->by_statistic[i], measured_statistics[i],
               i + 1 < MEASURED_STATISTICS ? "," : ";");
    printf(" %+.2f %% all\n", 100 * means->all);
}

/* Signed means next to absolute ones: two errors that cancel look like none in a signed mean alone. */
static void print_verdict(const struct comparison *c)
{
    struct error_means with_sign = latencies_signed_means(c), absolute = latencies_absolute_means(c);
    print_means("signed", &with_sign);
    print_means("absolute", &absolute);
    printf("mean absolute error %.2f %%, worst %.2f %%\n", 100 * c->mean_absolute, 100 * c->worst_absolute);
}

/* The run and what it is against the measured one; not committed. */
static int keep_validation(struct simulation *s, struct store *store, const char *folder, const struct comparison *c,
                           struct error *err)
{
    int64_t run_id = store_begin(store, err) ? -1 : simulation_keep(s, store, err);
    return run_id < 0 ? -1 : store_save_validation(store, run_id, folder, c, err);
}

static int compare_measured(const char *folder, struct simulation *s, const char *plot, struct store *store,
                            struct error *err)
{
    struct latencies measured = {0}, simulated = {0};
    struct comparison comparison;
    int status = measured_read(folder, &measured, err) || measured_simulate(s, store, &simulated, err) ? -1 : 0;
    if (status == 0) {
        latencies_compare(&measured, &simulated, &comparison);
        print_comparison(&comparison);
        print_verdict(&comparison);
        status = (store && keep_validation(s, store, folder, &comparison, err)) ||
                         (plot && plot_server(plot, folder, &measured, &simulated, &comparison, err)) ||
                         (store && store_commit(store, err))
                     ? -1
                     : 0;
    }
    if (store)
        store_roll_back(store);
    latencies_release(&measured);
    latencies_release(&simulated);
    return status;
}

/* The run's scenario, opened; with prefix hashes where the folder has them and they are wanted. */
static int open_server(const struct arguments *args, bool hashes, bool *found, struct simulation **s, struct error *err)
{
    struct json root;
    if (measured_scenario(args->words[1], args->values[OPT_PROFILE], &root, err))
        return -1;
    int status = hashes ? measured_share_prefixes(args->words[1], &root, found, err) : 0;
    if (status || apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return simulation_open(root, s, err);
}

/* What the figures would be if no prompts shared prefixes. */
static int print_without_hashes(const struct arguments *args, struct error *err)
{
    struct simulation *s = NULL;
    struct latencies measured = {0}, simulated = {0};
    struct comparison comparison;
    if (open_server(args, false, NULL, &s, err))
        return -1;
    int status = measured_read(args->words[1], &measured, err) || measured_simulate(s, NULL, &simulated, err) ? -1 : 0;
    simulation_close(s);
    if (status == 0) {
        latencies_compare(&measured, &simulated, &comparison);
        printf("without prefix hashes:\n");
        print_verdict(&comparison);
        printf("with prefix hashes:\n");
    }
    latencies_release(&measured);
    latencies_release(&simulated);
    return status;
}

/* Where results go; NULL: nowhere. */
static int open_results(const struct arguments *args, struct store **store, struct error *err)
{
    *store = NULL;
    return args->values[OPT_NO_DB] ? 0
                                   : store_open(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", store, err);
}

static int validate_server(const struct arguments *args, struct error *err)
{
    struct simulation *s = NULL;
    struct store *store = NULL;
    bool found = false;
    if (refuse_option(args, options, OPT_HALF, "operating points", err) ||
        refuse_option(args, options, OPT_CSV, "operating points", err) ||
        refuse_option(args, options, OPT_SCENARIO, "results of a benchmark", err))
        return -1;
    if (open_server(args, !args->values[OPT_NO_HASHES], &found, &s, err))
        return -1;
    int status = open_results(args, &store, err) || (found && print_without_hashes(args, err)) ||
                         compare_measured(args->words[1], s, args->values[OPT_PLOT], store, err)
                     ? -1
                     : 0;
    store_close(store);
    simulation_close(s);
    return status;
}

static int validate_measured(const struct arguments *args, struct error *err)
{
    const struct point_wishes wishes = {.device = args->values[OPT_PROFILE],
                                        .half = args->values[OPT_HALF],
                                        .csv = args->values[OPT_CSV],
                                        .plot = args->values[OPT_PLOT]};
    const struct server_wishes server = {args->values[OPT_SCENARIO], args->values[OPT_PROFILE]};
    struct store *store = NULL;
    int levels = args->word_count > 1 ? result_has_levels(args->words[1], err) : 0;
    if (levels < 0)
        return -1;
    if (levels && (refuse_option(args, options, OPT_HALF, "operating points", err) ||
                   refuse_option(args, options, OPT_CSV, "operating points", err) ||
                   refuse_option(args, options, OPT_PLOT, "a measured run and operating points", err) ||
                   refuse_option(args, options, OPT_DB, "a measured run and operating points", err) ||
                   refuse_option(args, options, OPT_NO_HASHES, "a measured run", err)))
        return -1;
    if (levels)
        return validate_levels(args, &server, err);
    if (need_words(args, 2, 2, command_validate.usage, err))
        return -1;
    if (!args->values[OPT_PROFILE])
        return error_set(err, ERROR_INPUT, "validate measured: needs --profile DEVICE, what costs come from");
    const char *dot = strrchr(args->words[1], '.');
    if (!dot || strcmp(dot, ".csv") != 0)
        return validate_server(args, err);
    if (refuse_option(args, options, OPT_NO_HASHES, "a measured run", err) ||
        refuse_option(args, options, OPT_SCENARIO, "results of a benchmark", err))
        return -1;
    int status = open_results(args, &store, err) || validate_points(args, &wishes, store, err) ? -1 : 0;
    store_close(store);
    return status;
}

/* Percent, separated by commas. */
static int read_loads(const char *text, double *loads, size_t *count, struct error *err)
{
    const size_t most = sizeof((struct engine_wishes *)0)->loads / sizeof *loads;
    for (*count = 0; *text; text += *text == ',') {
        char *end;
        double percent = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !(percent >= 1 && percent <= 100) || *count == most)
            return error_set(err, ERROR_INPUT, "--loads: found %s, expected up to %zu numbers from 1 to 100", text,
                             most);
        loads[(*count)++] = percent / 100;
        text = end;
    }
    return 0;
}

static int validate_served(const struct arguments *args, struct error *err)
{
    struct engine_wishes wishes = {.policies = args->values[OPT_POLICIES],
                                   .backend = args->values[OPT_BACKEND],
                                   .plot = args->values[OPT_PLOT],
                                   .uncorrected = args->values[OPT_NO_REFERENCE] != NULL};
    const char *loads = args->values[OPT_LOADS], *seconds = args->values[OPT_SECONDS];
    if (need_words(args, 1, 2, command_validate.usage, err) ||
        read_count("--repeats", args->values[OPT_REPEATS], 1, ENGINE_REPEATS, &wishes.repeats, err) ||
        read_count("--threads", args->values[OPT_ENGINE_THREADS], 1, 256, &wishes.threads, err) ||
        read_share("--seconds", seconds ? seconds : "110", 10, 1e5, &wishes.repeat_s, err) ||
        read_loads(loads ? loads : "50,85,95", wishes.loads, &wishes.load_count, err))
        return -1;
    return validate_engine(args, &wishes, err);
}

static int validate_published(const struct arguments *args, struct error *err)
{
    if (need_words(args, 2, 2, command_validate.usage, err))
        return -1;
    return validate_distserve(args, args->words[1], err);
}

static int run(const struct arguments *args, struct error *err)
{
    if (need_words(args, 1, args->word_count + 1, command_validate.usage, err))
        return exit_for(err);
    const char *what = args->words[0];
    if (strcmp(what, "theory") == 0)
        return validate_theory(args, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(what, "measured") == 0)
        return validate_measured(args, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(what, "engine") == 0)
        return validate_served(args, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(what, "distserve") == 0)
        return validate_published(args, err) ? exit_for(err) : EXIT_DONE;
    error_set(err, ERROR_INPUT, "expected theory, measured, distserve or engine, found \"%s\"", what);
    return EXIT_BAD_INPUT;
}

static const struct action actions[] = {
    {"theory", "--seeds --requests --precision --rho -j"},
    {"measured", "--profile --set --plot --db --no-db --no-hashes --half --csv --scenario"},
    {"distserve", "--set"},
    {"engine", "--set --plot --policies --repeats --backend --loads --seconds --threads --no-reference"},
    {0}};

const struct command command_validate = {
    .name = "validate",
    .usage = "validate theory | measured FOLDER|RESULT… | distserve FOLDER | engine [SCENARIO]",
    .summary = "hold the simulator against closed forms, measured servers, and the engine",
    .options = options,
    .actions = actions,
    .run = run,
};
