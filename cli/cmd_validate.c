/* SPDX-License-Identifier: MIT */
/* `validate theory`: a table of closed forms beside simulated mean waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "planner/parallel.h"
#include "reports/validate_theory.h"

enum { OPT_SEEDS, OPT_REQUESTS, OPT_PRECISION, OPT_RHO, OPT_THREADS };

static const struct option_spec options[] = {
    {"--seeds", "N", "runs of each row (default 20)"},
    {"--requests", "N", "requests of each run (default 1000000)"},
    {"--precision", "PERCENT", "make each run so long that its 99 % interval is at most so wide on either side"},
    {"--rho", "RHO", "one utilisation, from 0.01 to 0.99, instead of 0.3, 0.7, 0.9 and 0.95"},
    {"-j", "N", "threads (default: as many as there are processors)"},
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

struct comparison {
    unsigned long seeds, requests, threads;
    double precision, rho; /* 0: as long as `requests` says; all of them */
};

static int compare_all(const struct comparison *o, struct error *err)
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

static int run(const struct arguments *args, struct error *err)
{
    struct comparison o;
    if (need_words(args, 1, 1, command_validate.usage, err) ||
        read_count(args->values[OPT_SEEDS], 20, 100000, &o.seeds, err) ||
        read_count(args->values[OPT_REQUESTS], 1000000, 1000000000, &o.requests, err) ||
        read_share("--precision", args->values[OPT_PRECISION], 0.1, 100, &o.precision, err) ||
        read_share("--rho", args->values[OPT_RHO], 0.01, 0.99, &o.rho, err) ||
        read_count(args->values[OPT_THREADS], parallel_processors(), 1024, &o.threads, err))
        return EXIT_BAD_INPUT;
    o.precision /= 100;
    if (strcmp(args->words[0], "theory") != 0) {
        error_set(err, ERROR_INPUT, "validate %s: unknown; allowed: theory", args->words[0]);
        return EXIT_BAD_INPUT;
    }
    return compare_all(&o, err) ? exit_for(err) : EXIT_DONE;
}

const struct command command_validate = {
    .name = "validate",
    .usage = "validate theory [--seeds N] [--precision P] [-j N]",
    .summary = "hold simulated mean waits against closed forms of queueing theory",
    .options = options,
    .run = run,
};
