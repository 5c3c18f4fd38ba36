/* SPDX-License-Identifier: MIT */
#include "validation/engine_errors.h"

#include <math.h>

#include "reports/stats/inference.h"

static const double confidence = 0.95;

struct engine_errors engine_errors_of(const struct finding *found, size_t repeats)
{
    struct engine_errors e;
    double x[ENGINE_REPEATS];
    for (size_t r = 0; r < repeats; r++)
        x[r] = found[r].throughput_error;
    e.throughput = inference_mean(x, repeats, confidence);
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++) {
            for (size_t r = 0; r < repeats; r++)
                x[r] = found[r].latencies.error[m][i];
            e.latencies[m][i] = inference_mean(x, repeats, confidence);
        }
    for (size_t r = 0; r < repeats; r++)
        x[r] = found[r].latencies.mean_absolute;
    e.mean_absolute = inference_mean(x, repeats, confidence).value;
    return e;
}

void engine_priced_add(struct priced *all, const struct finding *found, size_t repeats, enum priced_kind kind)
{
    for (size_t r = 0; r < repeats; r++) {
        const struct priced *p = &found[r].priced[kind];
        all->count += p->count;
        all->taken_s += p->taken_s;
        all->said_s += p->said_s;
        all->errors += p->errors;
        all->squares += p->squares;
    }
}

struct priced_errors engine_priced_sum(const struct priced *all)
{
    if (all->count == 0)
        return (struct priced_errors){0};
    double mean = all->errors / all->count;
    return (struct priced_errors){.count = all->count,
                                  .taken_s = all->taken_s / all->count,
                                  .said_s = all->said_s / all->count,
                                  .error = all->said_s / all->taken_s - 1,
                                  .mean = mean,
                                  .spread = sqrt(fmax(all->squares / all->count - mean * mean, 0))};
}

struct engine_ratio engine_ratio_of(const struct finding *found, const struct finding *base, size_t repeats)
{
    double measured[ENGINE_REPEATS], simulated[ENGINE_REPEATS], e2e[ENGINE_REPEATS], rate[ENGINE_REPEATS];
    for (size_t r = 0; r < repeats; r++) {
        const struct finding *f = &found[r], *b = &base[r];
        measured[r] = f->measured_e2e_s / b->measured_e2e_s;
        simulated[r] = f->simulated_e2e_s / b->simulated_e2e_s;
        e2e[r] = simulated[r] / measured[r] - 1;
        rate[r] = f->simulated_rate / b->simulated_rate / (f->measured_rate / b->measured_rate) - 1;
    }
    return (struct engine_ratio){.measured_e2e = inference_mean(measured, repeats, confidence).value,
                                 .simulated_e2e = inference_mean(simulated, repeats, confidence).value,
                                 .e2e_error = inference_mean(e2e, repeats, confidence),
                                 .rate_error = inference_mean(rate, repeats, confidence)};
}
