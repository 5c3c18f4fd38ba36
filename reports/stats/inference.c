/* SPDX-License-Identifier: MIT */
#include "reports/stats/inference.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"

struct estimate inference_mean(const double *values, size_t n, double confidence)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double ahead = values[i] - mean;
        mean += ahead / (double)(i + 1);
        squares += ahead * (values[i] - mean);
    }
    if (n < 2)
        return (struct estimate){n ? mean : NAN, NAN, NAN};
    double degrees = (double)n - 1;
    double half = gsl_cdf_tdist_Pinv(0.5 + confidence / 2, degrees) * sqrt(squares / degrees / (double)n);
    return (struct estimate){mean, mean - half, mean + half};
}

struct estimate inference_paired(const double *a, const double *b, size_t n, double confidence)
{
    double *differences = malloc((n + 1) * sizeof *differences);
    if (!differences) {
        memory_note_failure(); /* so that nobody takes it for an answer */
        return (struct estimate){NAN, NAN, NAN};
    }
    for (size_t i = 0; i < n; i++)
        differences[i] = a[i] - b[i];
    struct estimate e = inference_mean(differences, n, confidence);
    free(differences);
    return e;
}

int inference_sign(const double *values, size_t n, double confidence)
{
    double mean = 0, squares = 0, cubes = 0, count = (double)n;
    for (size_t i = 0; i < n; i++)
        mean += fmax(-1e3, fmin(1e3, values[i])) / count;
    for (size_t i = 0; i < n; i++) {
        double off = fmax(-1e3, fmin(1e3, values[i])) - mean;
        squares += off * off;
        cubes += off * off * off;
    }
    if (n < 2)
        return 0;
    double variance = squares / (count - 1), third = cubes / count, shifted = mean;
    if (variance == 0)
        return (mean > 0) - (mean < 0);
    if (n >= 8) { /* an expansion about 0: means beyond three standard errors are plain, and must not be turned over */
        double near = fmin(mean * mean, 9 * variance / count);
        shifted += third / (6 * variance * count) + third * near / (3 * variance * variance);
    }
    double t = shifted / sqrt(variance / count), critical = gsl_cdf_tdist_Pinv(0.5 + confidence / 2, count - 1);
    return t > critical ? 1 : t < -critical ? -1 : 0;
}

double inference_relative_half_width(struct estimate e)
{
    double half = (e.high - e.low) / 2;
    return isfinite(half) && e.value != 0 ? fabs(half / e.value) : INFINITY;
}

struct selection {
    size_t count, first, replications, left;
    double indifference, h2;
    double *sums;      /* [count] */
    double *started;   /* [first][count] the first replications */
    double *variances; /* [count][count] of differences, after these */
    bool *out;         /* [count] */
};

struct selection *selection_create(size_t count, size_t first, double indifference, double probability)
{
    struct selection *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    double degrees = (double)first - 1, others = count > 1 ? (double)count - 1 : 1;
    double eta = 0.5 * (pow(2 * (1 - probability) / others, -2 / degrees) - 1);
    *s = (struct selection){.count = count,
                            .first = first,
                            .left = count,
                            .indifference = indifference,
                            .h2 = 2 * eta * degrees,
                            .sums = calloc(count, sizeof *s->sums),
                            .started = calloc(first * count, sizeof *s->started),
                            .variances = calloc(count * count, sizeof *s->variances),
                            .out = calloc(count, sizeof *s->out)};
    if (s->sums && s->started && s->variances && s->out)
        return s;
    selection_destroy(s);
    return NULL;
}

void selection_destroy(struct selection *s)
{
    if (!s)
        return;
    free(s->sums);
    free(s->started);
    free(s->variances);
    free(s->out);
    free(s);
}

static void estimate_variances(struct selection *s)
{
    double n = (double)s->first;
    for (size_t i = 0; i < s->count; i++)
        for (size_t l = 0; l < s->count; l++) {
            double mean = (s->sums[i] - s->sums[l]) / n, squares = 0;
            for (size_t r = 0; r < s->first; r++) {
                double off = s->started[r * s->count + i] - s->started[r * s->count + l] - mean;
                squares += off * off;
            }
            s->variances[i * s->count + l] = squares / (n - 1);
        }
}

/* Leaves out whoever is behind another by more than chance may do, of those that were left before. */
static void screen(struct selection *s)
{
    double r = (double)s->replications, d = s->indifference;
    bool *was_out = malloc(s->count * sizeof *was_out);
    for (size_t i = 0; was_out && i < s->count; i++)
        was_out[i] = s->out[i];
    for (size_t i = 0; was_out && i < s->count; i++)
        for (size_t l = 0; l < s->count && !was_out[i] && !s->out[i]; l++) {
            double width = fmax(0, d / (2 * r) * (s->h2 * s->variances[i * s->count + l] / (d * d) - r));
            double behind = (s->sums[l] - s->sums[i]) / r;
            /* Equals at width 0 are told apart by their place, so that one is left. */
            if (l != i && !was_out[l] && (behind > width || (behind == width && width == 0 && l < i))) {
                s->out[i] = true;
                s->left--;
            }
        }
    free(was_out);
}

void selection_add(struct selection *s, const double *values)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->out[i])
            continue;
        s->sums[i] += values[i];
        if (s->replications < s->first)
            s->started[s->replications * s->count + i] = values[i];
    }
    s->replications++;
    if (s->replications == s->first)
        estimate_variances(s);
    if (s->replications >= s->first)
        screen(s);
}

bool selection_holds(const struct selection *s, size_t alternative)
{
    return !s->out[alternative];
}

size_t selection_left(const struct selection *s)
{
    return s->left;
}

size_t selection_replications(const struct selection *s)
{
    return s->replications;
}
