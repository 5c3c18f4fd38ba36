/* SPDX-License-Identifier: MIT */
#include "reports/stats/latencies.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"

const enum metric measured_metrics[MEASURED_METRICS] = {METRIC_TTFT, METRIC_TPOT, METRIC_E2E};
const char *const measured_statistics[MEASURED_STATISTICS] = {"mean", "p50", "p90", "p95", "p99"};

static const double quantiles[MEASURED_STATISTICS] = {-1, 0.5, 0.9, 0.95, 0.99};

void latencies_release(struct latencies *l)
{
    for (int i = 0; i < MEASURED_METRICS; i++)
        free(l->at[i]);
    *l = (struct latencies){0};
}

static int add_value(struct latencies *l, int metric, double value)
{
    double *grown = array_grow(l->at[metric], &l->capacity[metric], l->count[metric] + 1, sizeof *grown);
    if (!grown)
        return -1;
    l->at[metric] = grown;
    l->at[metric][l->count[metric]++] = value;
    return 0;
}

int latencies_add(struct latencies *l, double ttft_s, double e2e_s, uint32_t output_tokens)
{
    if (add_value(l, 0, ttft_s) || add_value(l, 2, e2e_s))
        return -1;
    return output_tokens > 1 ? add_value(l, 1, (e2e_s - ttft_s) / (output_tokens - 1)) : 0;
}

static void statistics_of(double *values, size_t count, double *out)
{
    gsl_sort(values, 1, count);
    for (int i = 0; i < MEASURED_STATISTICS; i++)
        out[i] = count == 0         ? NAN
                 : quantiles[i] < 0 ? gsl_stats_mean(values, 1, count)
                                    : gsl_stats_quantile_from_sorted_data(values, 1, count, quantiles[i]);
}

void latencies_compare(struct latencies *measured, struct latencies *simulated, struct comparison *out)
{
    *out = (struct comparison){0};
    double n = MEASURED_METRICS * MEASURED_STATISTICS;
    for (int m = 0; m < MEASURED_METRICS; m++) {
        statistics_of(measured->at[m], measured->count[m], out->measured[m]);
        statistics_of(simulated->at[m], simulated->count[m], out->simulated[m]);
        for (int i = 0; i < MEASURED_STATISTICS; i++) {
            double error = out->simulated[m][i] / out->measured[m][i] - 1;
            out->error[m][i] = error;
            out->mean_absolute += fabs(error) / n;
            out->worst_absolute = fmax(out->worst_absolute, fabs(error));
        }
    }
}

static void add_to_means(struct error_means *means, int metric, int statistic, double error)
{
    means->by_metric[metric] += error / MEASURED_STATISTICS;
    means->by_statistic[statistic] += error / MEASURED_METRICS;
    means->all += error / (MEASURED_METRICS * MEASURED_STATISTICS);
}

struct error_means latencies_signed_means(const struct comparison *c)
{
    struct error_means means = {0};
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            add_to_means(&means, m, i, c->error[m][i]);
    return means;
}

struct error_means latencies_absolute_means(const struct comparison *c)
{
    struct error_means means = {0};
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            add_to_means(&means, m, i, fabs(c->error[m][i]));
    return means;
}
