/* SPDX-License-Identifier: MIT */
/* theory_cases.h — the simulator's own replica and generator against closed forms of queueing theory.
 *
 * Served alone, a request is a prompt with one output token, one iteration of 10 ns a prompt token on the shipped ideal
 * server; prompts of 100 000 tokens on average make a mean service time of 1 ms. In bulk, it is a prompt of 10 000
 * tokens with 1 to 8 outputs, equally likely, on the ideal batch server: a batch of b takes 1 + 0.1 b ms for its
 * prompts, and for every further output 1 ms and 0.02 ms for each row that is left (b of them when finished rows stay).
 */
#ifndef TANDEM_VALIDATION_THEORY_CASES_H
#define TANDEM_VALIDATION_THEORY_CASES_H

#include "base/error.h"
#include "reports/stats/samples.h"

struct theory_case {
    const char *formula; /* "M/M/1" */
    const char *prompt;  /* length distribution, as in a scenario */
    double service_scv;
    unsigned servers;
    const char *order;    /* NULL: first come, first served */
    const char *batching; /* NULL: one at a time */
    unsigned least, most; /* of a batch */
};

/* Ends with a NULL formula. */
extern const struct theory_case theory_cases[];

/* The mean wait in seconds by the closed form, at utilisation rho. */
double theory_case_exact_s(const struct theory_case *c, double rho);

/* The mean wait in seconds by simulation, warm-up cut, with its 99 % interval. With `precision` above 0 the run is
 * made as long as it takes for the interval's half-width to be at most that share of the mean. */
int theory_case_simulate(const struct theory_case *c, double rho, unsigned seed, uint64_t requests, double precision,
                         struct estimate *out, struct error *err);

/* A case at one utilisation, run once for every seed from 1 on. Times in seconds. */
struct theory_runs {
    double rho;
    size_t seeds;
    uint64_t requests; /* of each run, at the start */
    double precision;  /* as in theory_case_simulate */
    unsigned threads;
};

struct theory_row {
    double exact_s, first_s, mean_s; /* by the closed form, of the first seed, of all */
    double half_s;                   /* of the seeds' 99 % intervals, on average */
    size_t covers;                   /* seeds whose interval holds the closed form */
};

/* Returns 0, or -1 when memory is short or a run failed. */
int theory_case_compare(const struct theory_case *c, const struct theory_runs *runs, struct theory_row *out,
                        struct error *err);

#endif
