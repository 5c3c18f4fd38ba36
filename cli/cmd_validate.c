/* SPDX-License-Identifier: MIT */
/* `validate theory`: a table of closed forms beside simulated mean waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "reports/validate_theory.h"

enum { OPT_SEEDS, OPT_REQUESTS };

static const struct option_spec options[] = {
    {"--seeds", "N", "runs of each row (default 20)"},
    {"--requests", "N", "requests of each run (default 1000000)"},
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

/* One row: the first seed's estimate, and how many seeds' intervals hold the closed form. */
static int compare(const struct theory_case *c, double rho, unsigned long seeds, unsigned long requests,
                   struct error *err)
{
    double exact = theory_case_exact_s(c, rho), sum = 0;
    unsigned long covers = 0;
    struct estimate first = {0};
    for (unsigned seed = 1; seed <= seeds; seed++) {
        struct estimate e;
        if (theory_case_simulate(c, rho, seed, requests, &e, err))
            return -1;
        covers += exact >= e.low && exact <= e.high;
        sum += e.value / (double)seeds;
        first = seed == 1 ? e : first;
    }
    printf("%-18s %4.2f %11.6f %11.6f ± %8.6f %8.2f %% %11.6f %8.2f %% %5lu of %lu\n", c->formula, rho, exact * 1e3,
           first.value * 1e3, (first.high - first.value) * 1e3, 100 * (first.value / exact - 1), sum * 1e3,
           100 * (sum / exact - 1), covers, seeds);
    fflush(stdout);
    return 0;
}

static int run(const struct arguments *args, struct error *err)
{
    static const double utilizations[] = {0.3, 0.7, 0.9, 0.95};
    unsigned long seeds, requests;
    if (need_words(args, 1, 1, command_validate.usage, err) ||
        read_count(args->values[OPT_SEEDS], 20, 100000, &seeds, err) ||
        read_count(args->values[OPT_REQUESTS], 1000000, 1000000000, &requests, err))
        return EXIT_BAD_INPUT;
    if (strcmp(args->words[0], "theory") != 0) {
        error_set(err, ERROR_INPUT, "validate %s: unknown; allowed: theory", args->words[0]);
        return EXIT_BAD_INPUT;
    }
    printf("%-18s %4s %11s %22s %10s %11s %10s  in 99 %% interval\n", "formula", "rho", "exact ms",
           "simulated ms, seed 1", "error", "mean ms", "error");
    for (const struct theory_case *c = theory_cases; c->formula; c++)
        for (size_t i = 0; i < sizeof utilizations / sizeof *utilizations; i++)
            if (compare(c, utilizations[i], seeds, requests, err))
                return exit_for(err);
    return EXIT_DONE;
}

const struct command command_validate = {
    .name = "validate",
    .usage = "validate theory [--seeds N] [--requests N]",
    .summary = "hold simulated mean waits against closed forms of queueing theory",
    .options = options,
    .run = run,
};
