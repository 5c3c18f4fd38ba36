/* SPDX-License-Identifier: MIT */
/* `validate theory`: a table of closed forms beside simulated mean waits. `validate measured`: a measured server's
 * latencies beside simulated ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "planner/parallel.h"
#include "reports/store.h"
#include "reports/validate_theory.h"

enum { OPT_PROFILE, OPT_SET, OPT_DB, OPT_NO_DB, OPT_SEEDS, OPT_REQUESTS, OPT_PRECISION, OPT_RHO, OPT_THREADS };

static const struct option_spec options[] = {
    {"--profile", "DEVICE", "measured: the device or profile that costs come from"},
    {"--set", "PATH=VALUE", "measured: override a value of the scenario made from meta.json; may be repeated"},
    {"--db", "FILE", "measured: results database (default tandem.db)"},
    {"--no-db", NULL, "measured: keep nothing"},
    {"--seeds", "N", "theory: runs of each row (default 20)"},
    {"--requests", "N", "theory: requests of each run (default 1000000)"},
    {"--precision", "PERCENT",
     "theory: make each run so long that its 99 % interval is at most so wide on either side"},
    {"--rho", "RHO", "theory: one utilisation, from 0.01 to 0.99, instead of 0.3, 0.7, 0.9 and 0.95"},
    {"-j", "N", "theory: threads (default: as many as there are processors)"},
    {0},
};

static int read_count(const char *text, unsigned long preset, unsigned long most, unsigned long *out, struct error *err)
{
    char *end = NULL;
    *out = text ? strtoul(text, &end, 10) : preset;
    if (text && (*end || *out < 1 || *out > most))
        return error_set(err, ERROR_INPUT, "%s: expected a whole number from 1 to %lu", text, most);
    return 0;
}

/* One row of the table: runs of a case at one utilisation, a seed each. */
struct row {
    const struct theory_case *c;
    double rho;
    unsigned long requests;
    double precision;
    struct estimate *waits; /* [seeds] */
};

static int simulate_seed(void *job, size_t index, struct error *err)
{
    struct row *row = job;
    return theory_case_simulate(row->c, row->rho, (unsigned)index + 1, row->requests, row->precision,
                                &row->waits[index], err);
}

/* The first seed's estimate, and how many seeds' intervals hold the closed form. */
static void print_row(const struct row *row, unsigned long seeds)
{
    double exact = theory_case_exact_s(row->c, row->rho), sum = 0, half = 0;
    unsigned long covers = 0;
    for (unsigned long i = 0; i < seeds; i++) {
        const struct estimate *e = &row->waits[i];
        covers += exact >= e->low && exact <= e->high;
        sum += e->value / (double)seeds;
        half += (e->high - e->value) / (double)seeds;
    }
    double first = row->waits[0].value;
    printf("%-18s %4.2f %11.6f %11.6f %8.2f %% %11.6f %8.2f %% %9.2f %% %5lu of %lu\n", row->c->formula, row->rho,
           exact * 1e3, first * 1e3, 100 * (first / exact - 1), sum * 1e3, 100 * (sum / exact - 1), 100 * half / exact,
           covers, seeds);
    fflush(stdout);
}

struct theory_options {
    unsigned long seeds, requests, threads;
    double precision, rho; /* 0: as long as `requests` says; all of them */
};

static int compare_all(const struct theory_options *o, struct error *err)
{
    static const double utilizations[] = {0.3, 0.7, 0.9, 0.95};
    size_t count = o->rho > 0 ? 1 : sizeof utilizations / sizeof *utilizations;
    struct estimate *waits = calloc(o->seeds, sizeof *waits);
    if (!waits)
        return error_no_memory(err);
    printf("%-18s %4s %11s %11s %10s %11s %10s %11s  in 99 %% interval\n", "formula", "rho", "exact ms", "seed 1 ms",
           "error", "mean ms", "error", "half-width");
    int status = 0;
    for (const struct theory_case *c = theory_cases; c->formula && status == 0; c++)
        for (size_t i = 0; i < count && status == 0; i++) {
            struct row row = {c, o->rho > 0 ? o->rho : utilizations[i], o->requests, o->precision, waits};
            status = parallel_run(simulate_seed, &row, o->seeds, (unsigned)o->threads, err);
            if (status == 0)
                print_row(&row, o->seeds);
        }
    free(waits);
    return status;
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
    struct theory_options o;
    if (need_words(args, 1, 1, command_validate.usage, err) ||
        read_count(args->values[OPT_SEEDS], 20, 100000, &o.seeds, err) ||
        read_count(args->values[OPT_REQUESTS], 1000000, 1000000000, &o.requests, err) ||
        read_share("--precision", args->values[OPT_PRECISION], 0.1, 100, &o.precision, err) ||
        read_share("--rho", args->values[OPT_RHO], 0.01, 0.99, &o.rho, err) ||
        read_count(args->values[OPT_THREADS], parallel_processors(), 1024, &o.threads, err))
        return -1;
    o.precision /= 100;
    return compare_all(&o, err);
}

static void print_comparison(const struct comparison *c)
{
    static const char *const labels[MEASURED_METRICS] = {"TTFT", "TPOT", "E2E"};
    printf("%-12s %12s %12s %9s\n", "", "measured ms", "simulated ms", "error");
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            printf("%-5s %-6s %12.2f %12.2f %+8.2f %%\n", labels[m], measured_statistics[i], c->measured[m][i] * 1e3,
                   c->simulated[m][i] * 1e3, 100 * c->error[m][i]);
    printf("mean absolute error %.2f %%, worst %.2f %%\n", 100 * c->mean_absolute, 100 * c->worst_absolute);
}

static int compare_measured(const char *folder, struct scenario *s, struct store *store, struct error *err)
{
    struct latencies measured = {0}, simulated = {0};
    struct comparison comparison;
    struct run_summary summary;
    struct run_metrics *m = calloc(1, sizeof *m);
    if (!m)
        return error_no_memory(err);
    int status = measured_read(folder, &measured, err) || (store && store_keep_rows(store, err)) ||
                 measured_simulate(s, m, store ? store_sink(store) : (struct row_sink){0}, &simulated, &summary, err);
    int64_t run_id = status == 0 && store ? store_save_run(store, s, m, &summary, 0, err) : 0;
    if (status == 0 && run_id >= 0) {
        latencies_compare(&measured, &simulated, &comparison);
        print_comparison(&comparison);
        status = store && store_save_validation(store, run_id, folder, &comparison, err);
    }
    run_metrics_release(m);
    free(m);
    latencies_release(&measured);
    latencies_release(&simulated);
    return status || run_id < 0 ? -1 : 0;
}

static int validate_measured(const struct arguments *args, struct error *err)
{
    struct json root;
    struct scenario s;
    struct store *store = NULL;
    if (need_words(args, 2, 2, command_validate.usage, err))
        return -1;
    if (!args->values[OPT_PROFILE])
        return error_set(err, ERROR_INPUT, "validate measured: needs --profile DEVICE, what costs come from");
    if (measured_scenario(args->words[1], args->values[OPT_PROFILE], &root, err))
        return -1;
    if (apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    if (scenario_compile(&s, root, err))
        return -1;
    int status = 0;
    if (!args->values[OPT_NO_DB])
        status = store_open(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", &store, err);
    if (status == 0)
        status = compare_measured(args->words[1], &s, store, err);
    store_close(store);
    scenario_release(&s);
    return status;
}

static int run(const struct arguments *args, struct error *err)
{
    const char *what = args->word_count ? args->words[0] : "";
    if (strcmp(what, "theory") == 0)
        return validate_theory(args, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(what, "measured") == 0)
        return validate_measured(args, err) ? exit_for(err) : EXIT_DONE;
    error_set(err, ERROR_INPUT, "validate %s: expected theory or measured", what);
    return EXIT_BAD_INPUT;
}

const struct command command_validate = {
    .name = "validate",
    .usage = "validate theory, validate measured FOLDER",
    .summary = "hold simulated waits against closed forms, and latencies against a measured server's",
    .options = options,
    .run = run,
};
