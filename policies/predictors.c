/* SPDX-License-Identifier: MIT */
/* The predictors, and the list of them: a new one is a function and a line here. */
#include "policies/predicting.h"

#include <gsl/gsl_randist.h>
#include <math.h>

/* The last parameter of all. */
#define SERVER_TIME                                                                                                    \
    {                                                                                                                  \
        "server_s", PARAM_NUMBER, "s", 0, 0, 100,                                                                      \
            "that a prediction takes on the replica, before its next iteration; 0: it is made elsewhere", NULL, NULL   \
    }

static const struct param_spec no_params[] = {SERVER_TIME, {0}};

static double predict_truth(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s)
{
    (void)rng;
    *server_s += param_number(params, "server_s");
    return r->output_tokens;
}

static const struct param_spec noisy_params[] = {
    {"sigma", PARAM_NUMBER, "", 0.5, 0, 10, "of the logarithm of predicted over true; its median is 1", NULL, NULL},
    SERVER_TIME,
    {0},
};

static double predict_noisily(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s)
{
    *server_s += param_number(params, "server_s");
    return r->output_tokens * exp(gsl_ran_gaussian(rng, param_number(params, "sigma")));
}

static const struct param_spec bucketed_params[] = {
    {"bucket_tokens", PARAM_INTEGER, "tokens", 200, 1, 1e8, "width of a bucket", NULL, NULL},
    {"buckets", PARAM_INTEGER, "", 10, 2, 100000, "how many; the last one holds all longer outputs", NULL, NULL},
    {"right", PARAM_NUMBER, "", 0.9, 0, 1, "chance of the right bucket; else any other, equally likely", NULL, NULL},
    SERVER_TIME,
    {0},
};

/* The upper end of the bucket that is predicted. */
static double predict_bucket(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s)
{
    *server_s += param_number(params, "server_s");
    double width = param_number(params, "bucket_tokens");
    unsigned long count = (unsigned long)param_number(params, "buckets");
    unsigned long bucket = (unsigned long)((r->output_tokens - 1) / width);
    bucket = bucket < count ? bucket : count - 1;
    double luck = gsl_rng_uniform(rng);
    unsigned long other = gsl_rng_uniform_int(rng, count - 1);
    if (luck >= param_number(params, "right"))
        bucket = other < bucket ? other : other + 1;
    return (double)(bucket + 1) * width;
}

static const struct param_spec constant_params[] = {
    {"tokens", PARAM_INTEGER, "tokens", 200, 1, 1e8, "predicted of every request", NULL, NULL},
    SERVER_TIME,
    {0},
};

static double predict_constant(const struct param_set *params, const struct request *r, gsl_rng *rng, double *server_s)
{
    (void)r, (void)rng;
    *server_s += param_number(params, "server_s");
    return param_number(params, "tokens");
}

static const struct param_spec two_step_params[] = {
    {"short_tokens", PARAM_INTEGER, "tokens", 200, 1, 1e8, "outputs up to this are short", NULL, NULL},
    {"cheap_right", PARAM_NUMBER, "", 0.9, 0, 1, "chance that the first step tells short from long", NULL, NULL},
    {"sigma", PARAM_NUMBER, "", 0.5, 0, 10, "of the second step's log-normal error", NULL, NULL},
    {"cheap_server_s", PARAM_NUMBER, "s", 0, 0, 100, "that the first step takes on the replica", NULL, NULL},
    {"server_s", PARAM_NUMBER, "s", 0, 0, 100, "that the second step takes there", NULL, NULL},
    {0},
};

/* Who is called short is asked no further; both draws are made, so that every request has its own. */
static double predict_in_two_steps(const struct param_set *params, const struct request *r, gsl_rng *rng,
                                   double *server_s)
{
    double most = param_number(params, "short_tokens");
    bool is_short = r->output_tokens <= most, right = gsl_rng_uniform(rng) < param_number(params, "cheap_right");
    double tokens = r->output_tokens * exp(gsl_ran_gaussian(rng, param_number(params, "sigma")));
    *server_s += param_number(params, "cheap_server_s");
    if (is_short == right)
        return most;
    *server_s += param_number(params, "server_s");
    return fmax(tokens, most + 1);
}

static const struct predictor two_step = {
    "two_step", "short or long by a cheap step; a length by a second one, of the long ones alone",
    "SkipPredict (Shahout and Mitzenmacher 2024, arXiv 2402.03564)", two_step_params, predict_in_two_steps};

static const struct predictor oracle = {"oracle", "the true output length", "none: a bound", no_params, predict_truth};
static const struct predictor noisy = {"noisy", "the true length times a log-normal error",
                                       "Mitzenmacher 2020, Scheduling with Predictions", noisy_params, predict_noisily};
static const struct predictor bucketed = {"bucketed", "the right bucket of lengths with a given chance",
                                          "S3 (Jin et al. 2023, arXiv 2306.06000)", bucketed_params, predict_bucket};
static const struct predictor constant = {"constant", "the same length for every request", "none", constant_params,
                                          predict_constant};

const struct predictor *const predictors[] = {&oracle, &noisy, &bucketed, &constant, &two_step, NULL};
