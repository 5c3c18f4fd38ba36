/* SPDX-License-Identifier: MIT */
#include "workloads/durations.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

static const struct param_spec fixed_params[] = {
    {"value", PARAM_NUMBER, "s", 0, 0, 1e6, "every draw", NULL, NULL},
    {0},
};

static const struct param_spec uniform_params[] = {
    {"min", PARAM_NUMBER, "s", 0, 0, 1e6, "smallest draw", NULL, NULL},
    {"max", PARAM_NUMBER, "s", 1, 0, 1e6, "largest draw", NULL, NULL},
    {0},
};

static const struct param_spec exponential_params[] = {
    {"mean", PARAM_NUMBER, "s", 1, 0, 1e6, "mean", NULL, NULL},
    {0},
};

static const struct param_spec gamma_params[] = {
    {"mean", PARAM_NUMBER, "s", 1, 0, 1e6, "mean", NULL, NULL},
    {"cv", PARAM_NUMBER, "", 0.5, 1e-3, 100, "standard deviation over the mean", NULL, NULL},
    {0},
};

static const struct param_spec lognormal_params[] = {
    {"median", PARAM_NUMBER, "s", 1, 0, 1e6, "median", NULL, NULL},
    {"sigma", PARAM_NUMBER, "", 0.5, 0, 3, "standard deviation of the logarithm", NULL, NULL},
    {0},
};

static double first(const struct param_set *p)
{
    return p->number[0];
}

static double nothing(const struct param_set *p)
{
    (void)p;
    return 0;
}

static double one(const struct param_set *p)
{
    (void)p;
    return 1;
}

static double fixed_draw(const struct param_set *p, gsl_rng *rng)
{
    (void)rng;
    return p->number[0];
}

static double uniform_draw(const struct param_set *p, gsl_rng *rng)
{
    return p->number[0] + gsl_rng_uniform(rng) * (p->number[1] - p->number[0]);
}

static double uniform_mean(const struct param_set *p)
{
    return (p->number[0] + p->number[1]) / 2;
}

static double uniform_scv(const struct param_set *p)
{
    double width = p->number[1] - p->number[0], mean = uniform_mean(p);
    return width * width / 12 / (mean * mean);
}

static double exponential_draw(const struct param_set *p, gsl_rng *rng)
{
    return gsl_ran_exponential(rng, p->number[0]);
}

static double gamma_draw(const struct param_set *p, gsl_rng *rng)
{
    double scv = p->number[1] * p->number[1];
    return gsl_ran_gamma(rng, 1 / scv, scv * p->number[0]);
}

static double gamma_scv(const struct param_set *p)
{
    return p->number[1] * p->number[1];
}

static double lognormal_draw(const struct param_set *p, gsl_rng *rng)
{
    return p->number[0] * exp(gsl_ran_gaussian_ziggurat(rng, p->number[1]));
}

static double lognormal_mean(const struct param_set *p)
{
    return p->number[0] * exp(p->number[1] * p->number[1] / 2);
}

static double lognormal_scv(const struct param_set *p)
{
    return expm1(p->number[1] * p->number[1]);
}

static const struct duration_distribution fixed = {"fixed", "always the same", fixed_params, fixed_draw, first,
                                                   nothing};
static const struct duration_distribution uniform = {"uniform",    "between two ends", uniform_params,
                                                     uniform_draw, uniform_mean,       uniform_scv};
static const struct duration_distribution exponential = {"exponential",    "exponential", exponential_params,
                                                         exponential_draw, first,         one};
static const struct duration_distribution gamma_distribution = {"gamma",      "Gamma with a given CV",
                                                                gamma_params, gamma_draw,
                                                                first,        gamma_scv};
static const struct duration_distribution lognormal = {"lognormal",    "log-normal",   lognormal_params,
                                                       lognormal_draw, lognormal_mean, lognormal_scv};

const struct duration_distribution *const duration_distributions[] = {&fixed,       &uniform,
                                                                      &exponential, &gamma_distribution,
                                                                      &lognormal,   NULL};

bool duration_distribution_at(size_t index, struct named *out)
{
    const struct duration_distribution *d = duration_distributions[index];
    if (d)
        *out = (struct named){d->name, d->summary, NULL, d->params, NULL};
    return d != NULL;
}

const struct field duration_forms[] = {{.is = {"SECONDS", PARAM_NUMBER, "s", 0, 0, 1e6, "always the same", NULL, NULL}},
                                       {.is = {.name = "DISTRIBUTION", .help = "a distribution"},
                                        .kind = FIELD_NAMED,
                                        .names = duration_distribution_at,
                                        .listed = "workloads",
                                        .title = "duration"},
                                       {.is.name = NULL}};

static const char *distribution_name(const void *names, size_t index)
{
    (void)names;
    return duration_distributions[index] ? duration_distributions[index]->name : NULL;
}

int duration_read(const struct json *at, struct duration *out, struct error *err)
{
    const char *name = NULL;
    if (cJSON_IsNumber(at->node)) {
        struct json none = {0};
        if (!(at->node->valuedouble >= 0 && at->node->valuedouble <= 1e6))
            return json_complain(at, "a number of seconds from 0 to 1e6", err);
        out->kind = &fixed;
        if (param_set_read(&out->params, fixed.params, &none, err))
            return -1;
        out->params.number[0] = at->node->valuedouble;
        return 0;
    }
    if (cJSON_IsString(at->node))
        name = at->node->valuestring;
    else if (!cJSON_IsObject(at->node))
        return json_complain(at, "a number of seconds, or a distribution's name or an object with it", err);
    else if (json_read_string(at, "name", true, &name, err))
        return -1;
    for (size_t i = 0; (out->kind = duration_distributions[i]) && strcmp(out->kind->name, name) != 0;)
        i++;
    if (!out->kind)
        return json_complain_of_name(at, "a distribution of durations (tandem list workloads)", name, distribution_name,
                                     NULL, err);
    if (param_set_read(&out->params, out->kind->params, at, err))
        return -1;
    return out->kind == &uniform && out->params.number[0] > out->params.number[1]
               ? json_complain(at, "a \"min\" that is not above \"max\"", err)
               : 0;
}

sim_time duration_draw(const struct duration *d, gsl_rng *rng)
{
    return sim_time_from_s(fmin(d->kind->draw(&d->params, rng), 1e9));
}

double duration_mean_s(const struct duration *d)
{
    return d->kind->mean(&d->params);
}

double duration_scv(const struct duration *d)
{
    return duration_mean_s(d) > 0 ? d->kind->scv(&d->params) : 0;
}
