/* SPDX-License-Identifier: MIT */
#include "reports/samples.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

const char *const statistic_names[STAT_COUNT] = {"mean", "sd", "min", "p50", "p90", "p95", "p99", "p99.9", "max"};

static const double quantiles[STAT_COUNT] = {
    [STAT_P50] = 0.5, [STAT_P90] = 0.9, [STAT_P95] = 0.95, [STAT_P99] = 0.99, [STAT_P999] = 0.999};

void samples_init(struct samples *s)
{
    *s = (struct samples){.section_size = 5, .group_size = 5};
}

void samples_release(struct samples *s)
{
    for (size_t i = 0; i < SECTIONS_MAX; i++)
        histogram_release(&s->sections[i].histogram);
    samples_init(s);
}

static int merge_section(struct section *into, struct section *from)
{
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    into->sum_of_squares += from->sum_of_squares;
    return histogram_merge(&into->histogram, &from->histogram);
}

static int halve_sections(struct samples *s)
{
    for (size_t i = 0; i < SECTIONS_MAX / 2; i++) {
        struct section left = s->sections[2 * i], right = s->sections[2 * i + 1];
        s->sections[2 * i] = s->sections[2 * i + 1] = (struct section){0};
        int status = merge_section(&left, &right);
        histogram_release(&right.histogram);
        s->sections[i] = left;
        if (status)
            return -1;
    }
    s->section_count = SECTIONS_MAX / 2;
    s->section_size *= 2;
    return 0;
}

static void add_to_group(struct samples *s, double value, uint64_t count)
{
    while (count > 0) {
        uint64_t room = s->group_size - s->group_filled, taken = count < room ? count : room;
        s->group_sum += value * (double)taken;
        s->group_filled += taken;
        count -= taken;
        if (s->group_filled < s->group_size)
            return;
        if (s->group_count == GROUPS_MAX) {
            for (size_t i = 0; i < GROUPS_MAX / 2; i++)
                s->groups[i] = (s->groups[2 * i] + s->groups[2 * i + 1]) / 2;
            s->group_count = GROUPS_MAX / 2;
            s->group_size *= 2; /* the group at hand goes on as the first half of a larger one */
            continue;
        }
        s->groups[s->group_count++] = s->group_sum / (double)s->group_size;
        s->group_sum = 0;
        s->group_filled = 0;
    }
}

int samples_add(struct samples *s, int64_t value, uint64_t count)
{
    if (s->section_count == 0 || s->sections[s->section_count - 1].count >= s->section_size) {
        if (s->section_count == SECTIONS_MAX && halve_sections(s))
            return -1;
        s->section_count++;
    }
    struct section *section = &s->sections[s->section_count - 1];
    double v = (double)value, n = (double)count;
    if (section->count == 0 || value < section->min)
        section->min = value;
    if (section->count == 0 || value > section->max)
        section->max = value;
    section->count += count;
    section->sum += v * n;
    section->sum_of_squares += v * v * n;
    add_to_group(s, v, count);
    return histogram_add(&section->histogram, value, count);
}

uint64_t samples_mser5(const struct samples *s)
{
    double sum = 0, squares = 0, best = INFINITY;
    size_t cut = 0;
    for (size_t i = s->group_count; i-- > 0;) {
        double n = (double)(s->group_count - i);
        sum += s->groups[i];
        squares += s->groups[i] * s->groups[i];
        if (i > s->group_count / 2 || n < 4)
            continue;
        double error = (squares - sum * sum / n) / (n * n);
        if (error <= best) {
            best = error;
            cut = i;
        }
    }
    return cut * s->group_size;
}

/* Means of `batches` equal runs of groups from `first` on; the remainder at the start is left out. */
static void batch_means(const struct samples *s, size_t first, size_t batches, double *means)
{
    size_t each = (s->group_count - first) / batches;
    first = s->group_count - each * batches;
    for (size_t b = 0; b < batches; b++) {
        means[b] = 0;
        for (size_t i = 0; i < each; i++)
            means[b] += s->groups[first + b * each + i] / (double)each;
    }
}

static double mean_of(const double *values, size_t count, double *variance)
{
    double mean = 0;
    *variance = 0;
    for (size_t i = 0; i < count; i++)
        mean += values[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        *variance += (values[i] - mean) * (values[i] - mean) / (double)(count - 1);
    return mean;
}

static double half_width(const double *values, size_t count, double confidence)
{
    double variance;
    mean_of(values, count, &variance);
    return gsl_cdf_tdist_Pinv(0.5 + confidence / 2, (double)count - 1) * sqrt(variance / (double)count);
}

static double lag1(const double *values, size_t count)
{
    double variance, sum = 0, mean = mean_of(values, count, &variance);
    for (size_t i = 0; i + 1 < count; i++)
        sum += (values[i] - mean) * (values[i + 1] - mean);
    return variance > 0 ? sum / (variance * (double)(count - 1)) : 0;
}

double samples_mean_half_width(const struct samples *s, uint64_t cut, double confidence)
{
    size_t first = (size_t)((cut + s->group_size - 1) / s->group_size);
    if (s->group_count < first + 8)
        return NAN;
    double means[32];
    size_t batches = s->group_count - first < 32 ? s->group_count - first : 32;
    for (;; batches = batches * 3 / 4 > 8 ? batches * 3 / 4 : 8) {
        batch_means(s, first, batches, means);
        if (batches <= 8 || lag1(means, batches) < 1.645 / sqrt((double)batches)) /* one-sided, 5 % */
            return half_width(means, batches, confidence);
    }
}

static struct estimate quantile_estimate(const struct samples *s, size_t first, const struct histogram *all, double q)
{
    struct estimate e = {.value = (double)histogram_quantile(all, q), .low = NAN, .high = NAN};
    double values[SECTIONS_MAX];
    size_t count = 0;
    for (size_t i = first; i < s->section_count; i++) /* a section too short to have this quantile says nothing */
        if ((double)s->sections[i].count * (1 - q) >= 1)
            values[count++] = (double)histogram_quantile(&s->sections[i].histogram, q);
    if (count < 4)
        return e;
    double half = half_width(values, count, 0.95);
    e.low = e.value - half > 0 ? e.value - half : 0;
    e.high = e.value + half;
    return e;
}

int samples_summarise(const struct samples *s, uint64_t cut, struct summary *out)
{
    *out = (struct summary){0};
    struct section all = {0};
    size_t first = 0;
    for (; first + 1 < s->section_count && out->cut < cut; first++)
        out->cut += s->sections[first].count;
    for (size_t i = first; i < s->section_count; i++) {
        struct section part = s->sections[i];
        if (merge_section(&all, &part)) {
            histogram_release(&all.histogram);
            return -1;
        }
    }
    double n = (double)all.count, mean = n > 0 ? all.sum / n : 0;
    double variance = n > 1 ? (all.sum_of_squares - n * mean * mean) / (n - 1) : 0;
    double half = samples_mean_half_width(s, out->cut, 0.95);
    out->count = all.count;
    for (int i = 0; i < STAT_COUNT; i++)
        out->at[i] = quantiles[i] > 0 ? quantile_estimate(s, first, &all.histogram, quantiles[i])
                                      : (struct estimate){.low = NAN, .high = NAN};
    out->at[STAT_MEAN] = (struct estimate){mean, mean - half, mean + half};
    out->at[STAT_SD].value = sqrt(variance > 0 ? variance : 0);
    out->at[STAT_MIN].value = (double)all.min;
    out->at[STAT_MAX].value = (double)all.max;
    histogram_release(&all.histogram);
    return 0;
}
