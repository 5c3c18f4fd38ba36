/* SPDX-License-Identifier: MIT */
/* The arrival processes and length distributions, one function and one table each. */
#include <gsl/gsl_math.h>
#include <gsl/gsl_randist.h>
#include <math.h>

#include "workloads/generator.h"

static const struct param_spec rate_params[] = {
    {"rate_per_s", PARAM_NUMBER, "1/s", 1, 1e-9, 1e9, "mean arrival rate", NULL, NULL},
    {0},
};

static const struct param_spec gamma_params[] = {
    {"rate_per_s", PARAM_NUMBER, "1/s", 1, 1e-9, 1e9, "mean arrival rate", NULL, NULL},
    {"cv", PARAM_NUMBER, "", 2, 1e-3, 100, "coefficient of variation of the gaps; 1 is Poisson", NULL, NULL},
    {0},
};

static double poisson_gap(const struct param_set *p, double now_s, gsl_rng *rng)
{
    (void)now_s;
    return gsl_ran_exponential(rng, 1 / p->number[0]);
}

static double gamma_gap(const struct param_set *p, double now_s, gsl_rng *rng)
{
    (void)now_s;
    double shape = 1 / (p->number[1] * p->number[1]);
    return gsl_ran_gamma(rng, shape, 1 / (shape * p->number[0]));
}

static double deterministic_gap(const struct param_set *p, double now_s, gsl_rng *rng)
{
    (void)now_s, (void)rng;
    return 1 / p->number[0];
}

static double together_gap(const struct param_set *p, double now_s, gsl_rng *rng)
{
    (void)p, (void)now_s, (void)rng;
    return 0;
}

static const struct param_spec diurnal_params[] = {
    {"rate_per_s", PARAM_NUMBER, "1/s", 1, 1e-9, 1e9, "arrival rate, averaged over a period", NULL, NULL},
    {"amplitude", PARAM_NUMBER, "", 0.5, 0, 1, "the peak is 1 + amplitude times the average", NULL, NULL},
    {"period_s", PARAM_NUMBER, "s", 86400, 1e-3, 1e9, "from peak to peak", NULL, NULL},
    {"peak_s", PARAM_NUMBER, "s", 43200, 0, 1e9, "when the first peak is", NULL, NULL},
    {0},
};

/* A Poisson process of rate r(t) = r (1 + a cos(2π (t − peak) / period)), by thinning (Lewis and Shedler 1979). */
static double diurnal_gap(const struct param_set *p, double now_s, gsl_rng *rng)
{
    double rate = p->number[0], amplitude = p->number[1], t = now_s, accepted;
    do {
        t += gsl_ran_exponential(rng, 1 / (rate * (1 + amplitude)));
        accepted = 1 + amplitude * cos(2 * M_PI * (t - p->number[3]) / p->number[2]);
    } while (gsl_rng_uniform(rng) * (1 + amplitude) > accepted);
    return t - now_s;
}

static const struct param_spec closed_params[] = {
    {"concurrency", PARAM_INTEGER, "clients", 1, 1, 1e6, "clients, each with one request at a time", NULL, NULL},
    {"think_s", PARAM_NUMBER, "s", 0, 0, 1e6, "from the end of a client's request to its next one", NULL, NULL},
    {"turns", PARAM_INTEGER, "requests", 1, 1, 1e6,
     "of a conversation: each prompt begins with all that was said before, and lengths are of what is new", NULL, NULL},
    {0},
};

static const struct param_spec no_params[] = {{0}};

static const struct arrival_process poisson = {"poisson", "exponential gaps", rate_params, poisson_gap, false};
static const struct arrival_process gamma_arrivals = {"gamma", "Gamma gaps with a given CV", gamma_params, gamma_gap,
                                                      false};
static const struct arrival_process deterministic = {"deterministic", "equal gaps", rate_params, deterministic_gap,
                                                     false};
static const struct arrival_process diurnal = {"diurnal", "Poisson, at a rate that rises and falls once a period",
                                               diurnal_params, diurnal_gap, false};
static const struct arrival_process closed_loop = {"closed_loop",
                                                   "clients that send their next request when the last has finished",
                                                   closed_params, NULL, true};
static const struct arrival_process together = {"at_once", "all at time 0 (offline job)", no_params, together_gap,
                                                false};

const struct arrival_process *const arrival_processes[] = {&poisson, &gamma_arrivals, &deterministic,
                                                           &diurnal, &together,       &closed_loop,
                                                           NULL};

static const struct param_spec fixed_params[] = {
    {"tokens", PARAM_INTEGER, "tokens", 512, 1, 1e8, "every draw", NULL, NULL},
    {0},
};

static const struct param_spec uniform_params[] = {
    {"min", PARAM_INTEGER, "tokens", 1, 1, 1e8, "smallest draw", NULL, NULL},
    {"max", PARAM_INTEGER, "tokens", 1024, 1, 1e8, "largest draw", NULL, NULL},
    {0},
};

static const struct param_spec lognormal_params[] = {
    {"median", PARAM_NUMBER, "tokens", 256, 1, 1e8, "median before clipping", NULL, NULL},
    {"sigma", PARAM_NUMBER, "", 1, 0, 10, "standard deviation of the logarithm", NULL, NULL},
    {"max", PARAM_INTEGER, "tokens", 1e8, 1, 1e8, "draws above are clipped to it", NULL, NULL},
    {0},
};

static const struct param_spec mean_params[] = {
    {"mean", PARAM_NUMBER, "tokens", 256, 1, 1e8, "mean before rounding", NULL, NULL},
    {0},
};

static const struct param_spec empirical_params[] = {
    {"trace", PARAM_TEXT, "", 0, 0, 0, "file whose (prompt, output) pairs are drawn, with replacement", NULL, NULL},
    {"format", PARAM_TEXT, "", 0, 0, 0, "the file's format; detected when absent", NULL,
     "azure|mooncake|stamps|tandem"},
    {"time_unit", PARAM_TEXT, "", 0, 0, 0, "of its time stamps; the format's when absent", NULL, "s|ms|us|ns"},
    {"block_tokens", PARAM_INTEGER, "tokens", 0, 0, 1e8, "that a hash id stands for; 0: told from the file", NULL,
     NULL},
    {0},
};

static double fixed_draw(const struct param_set *p, gsl_rng *rng)
{
    (void)rng;
    return p->number[0];
}

static double uniform_draw(const struct param_set *p, gsl_rng *rng)
{
    double low = p->number[0], high = p->number[1];
    return low + floor(gsl_rng_uniform(rng) * (high - low + 1));
}

static bool uniform_ordered(const struct param_set *p)
{
    return p->number[0] <= p->number[1];
}

static double lognormal_draw(const struct param_set *p, gsl_rng *rng)
{
    double drawn = p->number[0] * exp(gsl_ran_gaussian_ziggurat(rng, p->number[1]));
    return drawn < p->number[2] ? drawn : p->number[2];
}

static double exponential_draw(const struct param_set *p, gsl_rng *rng)
{
    return gsl_ran_exponential(rng, p->number[0]);
}

static const struct length_distribution fixed = {"fixed", "always the same", fixed_params, fixed_draw, NULL};
static const struct length_distribution uniform = {"uniform", "whole numbers, equally likely", uniform_params,
                                                   uniform_draw, uniform_ordered};
static const struct length_distribution lognormal = {"lognormal", "log-normal, clipped", lognormal_params,
                                                     lognormal_draw, NULL};
static const struct length_distribution exponential = {"exponential", "exponential", mean_params, exponential_draw,
                                                       NULL};
static const struct length_distribution empirical = {"empirical", "pairs drawn from a trace", empirical_params, NULL,
                                                     NULL};

const struct length_distribution *const length_distributions[] = {&fixed,       &uniform,   &lognormal,
                                                                  &exponential, &empirical, NULL};
