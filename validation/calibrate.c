/* SPDX-License-Identifier: MIT */
#include "validation/calibrate.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_multimin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validation/calibrate_parts.h"

/* How far a parameter is believed to be from what the scenario says, before anything is seen: 15 % of all kernel times
 * (in logarithms), 1 ms of host work an iteration and 0.1 ms a sequence, 50 ms in a front end. The fit walks in these
 * units. */
static const double units[CALIBRATED] = {0.15, 1e6, 1e5, 0.05};

/* The model's own error of TTFT, TPOT and E2E, of which one more observation is assumed: an exact fit of few levels
 * would show none. */
static const double error_before[MEASURED_METRICS] = {0.05, 0.01, 0.02};

enum { ROUNDS = 3, CHANCE_RUNS = 6, STEPS = 8, SIMPLEX_STEPS = 40 };
static const double difference = 0.1; /* of derivatives, in units: wide enough to smooth over batches that change */
static const double simplex = 0.2;    /* its first edges, in units */
static const double far = 2;          /* standard deviations from which a residual counts for less */

struct fit {
    struct part_runs runs;
    const struct calibration_wishes *wishes;
    struct calibration *out;
    enum calibrated_parameter free[CALIBRATED]; /* [dims] those that are fitted */
    size_t dims, rows;
    double start[CALIBRATED];           /* in units */
    double simulated_at[CALIBRATED];    /* values of which `simulated` is; kernel_factor 0: of others */
    part_statistics *simulated;         /* [parts] scratch */
    part_statistics *chance;            /* [parts] variance of the logarithm by chance, of one run */
    double (*weight)[MEASURED_METRICS]; /* [parts] */
    double own[MEASURED_METRICS];       /* variance of the model's own error */
    struct error *err;
    bool failed;
};

static double in_units(enum calibrated_parameter p, double value)
{
    return (p == KERNEL_FACTOR ? log(value) : value) / units[p];
}

/* A time below 0 counts as one above, so that the fit has a slope on both sides of 0, and no way to stay below. */
static double from_units(enum calibrated_parameter p, double u)
{
    return p == KERNEL_FACTOR ? exp(u * units[p]) : fabs(u) * units[p];
}

static void values_at(const struct fit *f, const gsl_vector *x, double values[CALIBRATED])
{
    for (int i = 0; i < CALIBRATED; i++)
        values[i] = f->out->parameters[i].before;
    for (size_t i = 0; i < f->dims; i++)
        values[f->free[i]] = from_units(f->free[i], gsl_vector_get(x, i));
}

static size_t known_statistics(const struct calibration_part *part, int m)
{
    size_t n = 0;
    for (int i = 0; i < MEASURED_STATISTICS; i++)
        n += isfinite(part->measured[m][i]) ? 1 : 0;
    return n;
}

static double residual(const struct fit *f, size_t part, int m, int i)
{
    double r = log(f->simulated[part][m][i] / f->out->parts[part].measured[m][i]);
    return isfinite(r) ? r : 0;
}

/* The measured statistic, and that of the runs that are averaged, both by chance; and the model's error. */
static double variance(const struct fit *f, size_t part, int m, int i)
{
    return f->chance[part][m][i] * (1 + 1 / (double)f->wishes->seeds) + f->own[m];
}

/* A row for each statistic of the fitted parts, and one for each parameter. */
static void fill_residuals(const struct fit *f, const gsl_vector *x, gsl_vector *out)
{
    size_t row = 0;
    for (size_t p = 0; p < f->out->count; p++)
        for (int m = 0; m < MEASURED_METRICS; m++) {
            const struct calibration_part *part = &f->out->parts[p];
            if (!part->fitted || !part_compares(part, m))
                continue;
            double share = f->weight[p][m] / (double)known_statistics(part, m);
            for (int i = 0; i < MEASURED_STATISTICS; i++)
                if (isfinite(part->measured[m][i]))
                    gsl_vector_set(out, row++, residual(f, p, m, i) * sqrt(share / variance(f, p, m, i)));
        }
    for (size_t i = 0; i < f->dims; i++)
        gsl_vector_set(out, row++, gsl_vector_get(x, i) - f->start[f->free[i]]);
}

static int residuals_at(const gsl_vector *x, void *state, gsl_vector *out)
{
    struct fit *f = state;
    double values[CALIBRATED];
    values_at(f, x, values);
    bool there =
        memcmp(values, f->simulated_at, sizeof values) == 0; /* NOLINT(bugprone-suspicious-memory-comparison) */
    if (f->failed || (!there && parts_simulate(&f->runs, values, 0, f->wishes->seeds, false, f->simulated, f->err))) {
        f->failed = true;
        return GSL_EFAILED;
    }
    memcpy(f->simulated_at, values, sizeof values);
    fill_residuals(f, x, out);
    return GSL_SUCCESS;
}

static int derivatives_at(const gsl_vector *x, void *state, gsl_matrix *out)
{
    const struct fit *f = state;
    gsl_vector *here = gsl_vector_alloc(f->rows), *there = gsl_vector_alloc(f->rows),
               *moved = gsl_vector_alloc(f->dims);
    int status = here && there && moved ? residuals_at(x, state, here) : GSL_ENOMEM;
    for (size_t i = 0; i < f->dims && status == GSL_SUCCESS; i++) {
        gsl_vector_memcpy(moved, x);
        gsl_vector_set(moved, i, gsl_vector_get(x, i) + difference);
        status = residuals_at(moved, state, there);
        for (size_t row = 0; row < f->rows && status == GSL_SUCCESS; row++)
            gsl_matrix_set(out, row, i, (gsl_vector_get(there, row) - gsl_vector_get(here, row)) / difference);
    }
    gsl_vector_free(here);
    gsl_vector_free(there);
    gsl_vector_free(moved);
    return status;
}

/* Variances of logarithms over runs that differ by their seed alone. */
static int measure_chance(struct fit *f, const gsl_vector *x)
{
    double values[CALIBRATED];
    size_t parts = f->out->count;
    part_statistics *all = calloc(CHANCE_RUNS * parts, sizeof *all);
    int status = all ? 0 : error_no_memory(f->err);
    values_at(f, x, values);
    for (size_t k = 0; k < CHANCE_RUNS && status == 0; k++)
        status = parts_simulate(&f->runs, values, 1000 + k, 1, false, all + k * parts, f->err);
    for (size_t p = 0; p < parts && status == 0; p++)
        for (int m = 0; m < MEASURED_METRICS; m++)
            for (int i = 0; i < MEASURED_STATISTICS; i++) {
                double sum = 0, squares = 0;
                for (size_t k = 0; k < CHANCE_RUNS; k++) {
                    double l = log(all[k * parts + p][m][i]);
                    sum += l / CHANCE_RUNS;
                    squares += l * l / CHANCE_RUNS;
                }
                double v = (squares - sum * sum) * CHANCE_RUNS / (CHANCE_RUNS - 1);
                f->chance[p][m][i] = isfinite(v) ? fmax(0, v) : 0;
            }
    free(all);
    return status;
}

/* (JᵀJ)⁻¹, with the rows that hold the parameters in J. */
static int invert_information(struct fit *f, const gsl_vector *x, gsl_matrix *out)
{
    gsl_matrix *j = gsl_matrix_alloc(f->rows, f->dims);
    int status = j ? derivatives_at(x, f, j) : GSL_ENOMEM;
    for (size_t a = 0; a < f->dims && status == GSL_SUCCESS; a++)
        for (size_t b = 0; b < f->dims; b++) {
            double sum = 0;
            for (size_t row = 0; row < f->rows; row++)
                sum += gsl_matrix_get(j, row, a) * gsl_matrix_get(j, row, b);
            gsl_matrix_set(out, a, b, sum);
        }
    gsl_matrix_free(j);
    if (status == GSL_SUCCESS)
        status = gsl_linalg_cholesky_decomp1(out) || gsl_linalg_cholesky_invert(out);
    if (status != GSL_SUCCESS && !f->failed)
        return error_no_memory(f->err);
    return status == GSL_SUCCESS ? 0 : -1;
}

static size_t observations(const struct fit *f)
{
    size_t n = 0;
    for (size_t p = 0; p < f->out->count; p++)
        for (int m = 0; m < MEASURED_METRICS; m++)
            n += f->out->parts[p].fitted && part_compares(&f->out->parts[p], m);
    return n;
}

/* Parameters that the data say, and where they are held do not. */
static double said_by_data(const struct fit *f, const gsl_matrix *inverse)
{
    double said = (double)f->dims;
    for (size_t i = 0; i < f->dims; i++)
        said -= gsl_matrix_get(inverse, i, i);
    return fmax(0, said);
}

/* The model's own error is what residuals are beyond chance. Far residuals count for less afterwards; with fewer than
 * six observations nobody knows which ones are far. */
static void weigh(struct fit *f, double free_share)
{
    bool many = observations(f) >= 6;
    for (int m = 0; m < MEASURED_METRICS; m++) {
        double sum = error_before[m] * error_before[m], n = 1;
        for (size_t p = 0; p < f->out->count; p++) {
            const struct calibration_part *part = &f->out->parts[p];
            double beyond = 0;
            if (!part->fitted || !part_compares(part, m))
                continue;
            for (int i = 0; i < MEASURED_STATISTICS; i++)
                if (isfinite(part->measured[m][i])) {
                    double r = residual(f, p, m, i), v = variance(f, p, m, i) - f->own[m];
                    beyond += (r * r - v) / (double)known_statistics(part, m);
                }
            sum += f->weight[p][m] * beyond;
            n += f->weight[p][m] * free_share;
        }
        f->own[m] = fmax(sum / n, 1e-5);
    }
    for (size_t p = 0; p < f->out->count; p++)
        for (int m = 0; m < MEASURED_METRICS; m++) {
            const struct calibration_part *part = &f->out->parts[p];
            double square = 0;
            for (int i = 0; i < MEASURED_STATISTICS; i++)
                if (isfinite(part->measured[m][i]))
                    square += residual(f, p, m, i) * residual(f, p, m, i) / variance(f, p, m, i) /
                              (double)known_statistics(part, m);
            f->weight[p][m] = many && square > far * far ? far / sqrt(square) : 1;
        }
}

static int walk(struct fit *f, gsl_vector *x)
{
    gsl_multifit_nlinear_parameters how = gsl_multifit_nlinear_default_parameters();
    gsl_multifit_nlinear_fdf function = {
        .f = residuals_at, .df = derivatives_at, .n = f->rows, .p = f->dims, .params = f};
    how.scale = gsl_multifit_nlinear_scale_levenberg;
    gsl_multifit_nlinear_workspace *w = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &how, f->rows, f->dims);
    int info = 0;
    if (!w)
        return error_no_memory(f->err);
    /* Where no step helps any more, the fit has come to rest at a kink. */
    if (gsl_multifit_nlinear_init(x, &function, w) == GSL_SUCCESS)
        gsl_multifit_nlinear_driver(STEPS, 0.01, 1e-4, 0, NULL, NULL, &info, w);
    if (!f->failed)
        gsl_vector_memcpy(x, gsl_multifit_nlinear_position(w));
    gsl_multifit_nlinear_free(w);
    return f->failed ? -1 : 0;
}

static double squares_at(const gsl_vector *x, void *state)
{
    struct fit *f = state;
    gsl_vector *rows = gsl_vector_alloc(f->rows);
    double sum = 0;
    if (!rows || residuals_at(x, state, rows) != GSL_SUCCESS) {
        gsl_vector_free(rows);
        return GSL_NAN;
    }
    for (size_t i = 0; i < f->rows; i++)
        sum += gsl_vector_get(rows, i) * gsl_vector_get(rows, i);
    gsl_vector_free(rows);
    return sum;
}

/* Where a little more time changes which requests share a batch, slopes say little: a simplex looks around the place
 * that they have led to. */
static int look_around(struct fit *f, gsl_vector *x)
{
    gsl_multimin_function function = {.f = squares_at, .n = f->dims, .params = f};
    gsl_multimin_fminimizer *m = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, f->dims);
    gsl_vector *edges = gsl_vector_alloc(f->dims);
    int status = m && edges ? 0 : error_no_memory(f->err);
    if (status == 0) {
        gsl_vector_set_all(edges, simplex);
        bool set = gsl_multimin_fminimizer_set(m, &function, x, edges) == GSL_SUCCESS;
        for (int i = 0; set && i < SIMPLEX_STEPS && !f->failed; i++)
            if (gsl_multimin_fminimizer_iterate(m) ||
                gsl_multimin_test_size(gsl_multimin_fminimizer_size(m), 0.01) == GSL_SUCCESS)
                break;
        if (set && !f->failed)
            gsl_vector_memcpy(x, gsl_multimin_fminimizer_x(m));
    }
    gsl_multimin_fminimizer_free(m);
    gsl_vector_free(edges);
    return status || f->failed ? -1 : 0;
}

static void take_result(struct fit *f, const gsl_vector *x, const gsl_matrix *inverse)
{
    double rest = fmax(1, (double)observations(f) - said_by_data(f, inverse)) + 1;
    double t = gsl_cdf_tdist_Pinv(0.5 + f->wishes->share / 2, rest);
    for (size_t i = 0; i < f->dims; i++) {
        enum calibrated_parameter p = f->free[i];
        double at = gsl_vector_get(x, i), half = t * sqrt(gsl_matrix_get(inverse, i, i));
        double u = p == KERNEL_FACTOR ? at : fabs(at);
        struct calibrated *c = &f->out->parameters[p];
        c->value = from_units(p, u);
        c->low = from_units(p, p == KERNEL_FACTOR ? u - half : fmax(0, u - half));
        c->high = from_units(p, u + half);
    }
}

static int fit_rounds(struct fit *f, gsl_vector *x, gsl_matrix *inverse)
{
    for (int m = 0; m < MEASURED_METRICS; m++)
        f->own[m] = error_before[m] * error_before[m] * 9;
    for (int round = 0; round < ROUNDS; round++) {
        if (walk(f, x) || look_around(f, x) || (round == 0 && measure_chance(f, x)) ||
            invert_information(f, x, inverse))
            return -1;
        gsl_vector *ignored = gsl_vector_alloc(f->rows);
        int status = ignored ? residuals_at(x, f, ignored) : GSL_ENOMEM;
        gsl_vector_free(ignored);
        if (status != GSL_SUCCESS)
            return f->failed ? -1 : error_no_memory(f->err);
        double n = (double)observations(f);
        if (round + 1 < ROUNDS)
            weigh(f, fmax(1, n - said_by_data(f, inverse)) / n);
    }
    take_result(f, x, inverse);
    return 0;
}

static int simulate_all(struct fit *f, bool after)
{
    double values[CALIBRATED];
    for (int i = 0; i < CALIBRATED; i++)
        values[i] = after ? f->out->parameters[i].value : f->out->parameters[i].before;
    if (parts_simulate(&f->runs, values, 0, f->wishes->seeds, true, f->simulated, f->err))
        return -1;
    for (size_t p = 0; p < f->out->count; p++)
        memcpy(after ? f->out->parts[p].after : f->out->parts[p].before, f->simulated[p], sizeof *f->simulated);
    return 0;
}

static int prepare(struct fit *f, const cJSON *scenario, struct error *err)
{
    double before[CALIBRATED];
    size_t parts;
    if (calibration_base(f->runs.levels, scenario, f->wishes->fitted, &f->runs.base, before, err) ||
        parts_make(f->runs.levels, f->wishes->fit, f->out, err) || level_runs_open(&f->runs.runs, f->runs.levels, err))
        return -1;
    for (int i = 0; i < CALIBRATED; i++) {
        bool fitted = f->wishes->fitted[i];
        f->out->parameters[i] = (struct calibrated){fitted, before[i], before[i], before[i], before[i]};
        f->start[i] = in_units((enum calibrated_parameter)i, before[i]);
        if (fitted)
            f->free[f->dims++] = (enum calibrated_parameter)i;
    }
    parts = f->out->count;
    f->rows = f->dims;
    for (size_t p = 0; p < parts; p++)
        for (int m = 0; m < MEASURED_METRICS; m++)
            if (f->out->parts[p].fitted && part_compares(&f->out->parts[p], m))
                f->rows += known_statistics(&f->out->parts[p], m);
    f->simulated = calloc(parts, sizeof *f->simulated);
    f->chance = calloc(parts, sizeof *f->chance);
    f->weight = calloc(parts, sizeof *f->weight);
    if (!f->simulated || !f->chance || !f->weight)
        return error_no_memory(err);
    for (size_t p = 0; p < parts; p++)
        for (int m = 0; m < MEASURED_METRICS; m++)
            f->weight[p][m] = 1;
    if (observations(f) == 0)
        return error_set(err, ERROR_INPUT, "what was measured has neither first tokens, times per token nor latencies");
    return 0;
}

static int fit_all(struct fit *f)
{
    gsl_vector *x = gsl_vector_alloc(f->dims);
    gsl_matrix *inverse = gsl_matrix_alloc(f->dims, f->dims);
    int status = x && inverse ? simulate_all(f, false) : error_no_memory(f->err);
    for (size_t i = 0; i < f->dims && status == 0; i++)
        gsl_vector_set(x, i, f->start[f->free[i]]);
    if (status == 0)
        status = fit_rounds(f, x, inverse) || simulate_all(f, true);
    gsl_vector_free(x);
    gsl_matrix_free(inverse);
    return status ? -1 : 0;
}

static int conclude(struct fit *f, struct error *err)
{
    struct calibration *c = f->out;
    double values[CALIBRATED];
    for (int i = 0; i < CALIBRATED; i++)
        values[i] = c->parameters[i].value;
    c->scenario = f->runs.base;
    f->runs.base = NULL;
    return calibration_set(c->scenario, f->wishes->fitted, values, err) ||
           calibration_errors(c, false, false, &c->before, err) || calibration_errors(c, false, true, &c->after, err) ||
           calibration_errors(c, true, false, &c->fit_before, err) ||
           calibration_errors(c, true, true, &c->fit_after, err);
}

int calibrate(const struct levels *levels, const cJSON *scenario, const struct calibration_wishes *wishes,
              struct calibration *out, struct error *err)
{
    *out = (struct calibration){0};
    struct fit f = {.runs = {.levels = levels, .wishes = wishes, .out = out}, .wishes = wishes, .out = out, .err = err};
    int status = prepare(&f, scenario, err) || fit_all(&f) || conclude(&f, err) ? -1 : 0;
    level_runs_close(&f.runs.runs);
    cJSON_Delete(f.runs.base);
    free(f.simulated);
    free(f.chance);
    free(f.weight);
    return status;
}

void calibration_release(struct calibration *c)
{
    free(c->parts);
    cJSON_Delete(c->scenario);
    *c = (struct calibration){0};
}
