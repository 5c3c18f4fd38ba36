/* SPDX-License-Identifier: MIT */
#include "reports/stats/samples.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

const char *const statistic_names[STAT_COUNT] = {"mean", "sd", "min", "p50", "p90", "p95", "p99", "p99.9", "max"};

static const double quantiles[STAT_COUNT] = {
    [STAT_P50] = 0.5, [STAT_P90] = 0.9, [STAT_P95] = 0.95, [STAT_P99] = 0.99, [STAT_P999] = 0.999};

void samples_init(struct samples *s, uint64_t width)
{
    *s = (struct samples){.group_width = width, .section_width = width};
}

void samples_init_sectioned(struct samples *s, uint64_t width)
{
    *s = (struct samples){.group_width = width};
}

void samples_release(struct samples *s)
{
    for (size_t i = 0; i < SECTIONS_MAX; i++)
        histogram_release(&s->sections[i].histogram);
    samples_init(s, s->group_width);
}

static void add_sums(struct section *into, const struct section *from)
{
    into->sum += from->sum;
    into->squares += from->squares;
    into->fine_squares += from->fine_squares;
}

static void merge_section(struct section *into, struct section *from)
{
    add_sums(into, from);
    histogram_absorb(&into->histogram, &from->histogram);
}

static void merge_groups(struct samples *s)
{
    for (size_t i = 0; i < GROUPS_MAX / 2; i++) {
        s->groups[i].count = s->groups[2 * i].count + s->groups[2 * i + 1].count;
        s->groups[i].sum = s->groups[2 * i].sum + s->groups[2 * i + 1].sum;
    }
    for (size_t i = GROUPS_MAX / 2; i < GROUPS_MAX; i++)
        s->groups[i] = (struct group){0};
    s->group_width *= 2;
}

static void merge_sections(struct samples *s)
{
    for (size_t i = 0; i < SECTIONS_MAX / 2; i++) {
        struct section left = s->sections[2 * i], right = s->sections[2 * i + 1];
        s->sections[2 * i] = s->sections[2 * i + 1] = (struct section){0};
        merge_section(&left, &right);
        s->sections[i] = left;
    }
    s->section_width *= 2;
}

void samples_begin_section(struct samples *s, uint64_t position)
{
    if (s->begun == SECTIONS_MAX) {
        merge_sections(s);
        s->begun /= 2;
        for (size_t i = 0; i < s->begun; i++)
            s->begins[i] = s->begins[2 * i];
    }
    s->begins[s->begun++] = position;
    s->first = s->next = 0; /* the section used last may end here */
}

static void widen(struct samples *s, uint64_t group_width, uint64_t section_width)
{
    while (s->group_width < group_width)
        merge_groups(s);
    while (s->section_width > 0 && s->section_width < section_width)
        merge_sections(s);
    s->first = s->next = 0;
}

void samples_absorb(struct samples *into, struct samples *from)
{
    widen(into, from->group_width, from->section_width);
    widen(from, into->group_width, into->section_width);
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        into->groups[i].count += from->groups[i].count;
        into->groups[i].sum += from->groups[i].sum;
    }
    for (size_t i = 0; i < SECTIONS_MAX; i++)
        merge_section(&into->sections[i], &from->sections[i]);
    if (from->end > into->end)
        into->end = from->end;
    samples_init(from, from->group_width);
}

/* Where sections are told, the one that holds a position, and the positions that it has in common with first … next. */
static size_t narrow_to_section(struct samples *s, uint64_t position)
{
    size_t i = s->begun > 0 ? s->begun - 1 : 0;
    while (i > 0 && s->begins[i] >= position)
        i--;
    if (i > 0 && s->begins[i] >= s->first)
        s->first = s->begins[i] + 1;
    if (i + 1 < s->begun && s->begins[i + 1] < s->next)
        s->next = s->begins[i + 1] + 1;
    return i;
}

static void enter_group(struct samples *s, uint64_t position)
{
    while (position >= s->group_width * GROUPS_MAX)
        merge_groups(s);
    while (position >= s->section_width * SECTIONS_MAX && s->section_width > 0)
        merge_sections(s);
    uint64_t group = position / s->group_width;
    s->group = &s->groups[group];
    s->first = group * s->group_width;
    s->next = s->first + s->group_width;
    s->section = &s->sections[s->section_width > 0 ? position / s->section_width : narrow_to_section(s, position)];
}

static inline void find_group(struct samples *s, uint64_t position)
{
    if (position >= s->end)
        s->end = position + 1;
    if (position < s->first || position >= s->next)
        enter_group(s, position);
}

uint64_t samples_group_end(struct samples *s, uint64_t position)
{
    find_group(s, position);
    return s->next;
}

int samples_add(struct samples *s, uint64_t position, int64_t value, uint64_t count)
{
    find_group(s, position);
    wide_sum v = (uint64_t)value, sum = v * count << FINE_BITS;
    s->group->count += count;
    s->group->sum += sum;
    s->section->sum += sum;
    s->section->squares += v * v * count;
    return histogram_add(&s->section->histogram, value, count);
}

int samples_add_one(struct samples *s, uint64_t position, int64_t value)
{
    find_group(s, position);
    uint64_t v = (uint64_t)value;
    wide_sum sum = (wide_sum)v << FINE_BITS;
    s->group->count++;
    s->group->sum += sum;
    s->section->sum += sum;
    s->section->squares += (wide_sum)v * v;
    return histogram_add(&s->section->histogram, value, 1);
}

/* Σ (a + b i) for i < n is a n + b n (n − 1) / 2; Σ (a + b i)² is a² n + a b n (n − 1) + b² (n − 1) n (2 n − 1) / 6. */
int samples_add_run(struct samples *s, uint64_t position, const struct sample_run *run)
{
    find_group(s, position);
    uint64_t n = run->count, times = run->times;
    wide_sum a = run->first, b = run->growth, sum = a, squares = a * a;
    if (n > 1) {
        uint64_t pairs = n * (n - 1), triples = pairs * (2 * n - 1) / 6;
        sum = a * n + b * (pairs / 2);
        squares = squares * n + (a * pairs + b * triples) * b;
    }
    s->group->count += n * times;
    s->group->sum += sum * times;
    s->section->sum += sum * times;
    s->section->fine_squares += squares * times;
    return histogram_add_run(&s->section->histogram, run->first, run->growth, n, times);
}

/* Groups that the run has gone through to their end. */
static size_t complete_groups(const struct samples *s)
{
    return (size_t)(s->end / s->group_width);
}

static double group_mean(const struct group *g)
{
    return fine_to_ns(g->sum) / (double)g->count;
}

uint64_t samples_mser5(const struct samples *s)
{
    double origin = NAN, sum = 0, squares = 0, n = 0, best = INFINITY; /* sums of what means are beyond the origin */
    size_t cut = 0, groups = complete_groups(s);
    for (size_t i = groups; i-- > 0;) {
        if (s->groups[i].count == 0)
            continue;
        origin = isnan(origin) ? group_mean(&s->groups[i]) : origin;
        double mean = group_mean(&s->groups[i]) - origin;
        sum += mean;
        squares += mean * mean;
        n++;
        if (i > groups / 2 || n < 4)
            continue;
        double error = (squares - sum * sum / n) / (n * n);
        if (error <= best) {
            best = error;
            cut = i;
        }
    }
    return cut * s->group_width;
}

/* Means of `batches` equal runs of groups from `first` on; the remainder at the start is left out. Returns how many
 * of them hold values. */
static size_t batch_means(const struct samples *s, size_t first, size_t batches, double *means)
{
    size_t groups = complete_groups(s), each = (groups - first) / batches, filled = 0;
    first = groups - each * batches;
    for (size_t b = 0; b < batches; b++) {
        struct group all = {0};
        for (size_t i = 0; i < each; i++) {
            all.count += s->groups[first + b * each + i].count;
            all.sum += s->groups[first + b * each + i].sum;
        }
        if (all.count > 0)
            means[filled++] = group_mean(&all);
    }
    return filled;
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
    size_t first = (size_t)((cut + s->group_width - 1) / s->group_width), groups = complete_groups(s);
    if (groups < first + 8)
        return NAN;
    double means[32];
    size_t batches = groups - first < 32 ? groups - first : 32;
    for (;; batches = batches * 3 / 4 > 8 ? batches * 3 / 4 : 8) {
        size_t filled = batch_means(s, first, batches, means);
        if (filled < 4)
            return NAN;
        if (batches <= 8 || lag1(means, filled) < 1.645 / sqrt((double)filled)) /* one-sided, 5 % */
            return half_width(means, filled, confidence);
    }
}

/* Of each section, its quantiles that are not NAN: a section too short to have a quantile says nothing of it. */
static void section_quantiles(const struct section *section, double values[STAT_COUNT])
{
    double asked[STAT_COUNT];
    int64_t found[STAT_COUNT];
    size_t count = 0;
    for (int i = 0; i < STAT_COUNT; i++)
        if (quantiles[i] > 0 && (double)section->histogram.total * (1 - quantiles[i]) >= 1)
            asked[count++] = quantiles[i];
    histogram_quantiles(&section->histogram, asked, count, found);
    for (size_t i = STAT_COUNT, left = count; i-- > 0;) {
        values[i] = NAN;
        if (left > 0 && quantiles[i] == asked[left - 1])
            values[i] = (double)found[--left];
    }
}

/* of_sections: quantiles of each. */
static void quantile_estimates(double (*of_sections)[STAT_COUNT], size_t first, const struct histogram *all,
                               struct estimate at[STAT_COUNT])
{
    double values[SECTIONS_MAX];
    for (int i = 0; i < STAT_COUNT; i++) {
        size_t count = 0;
        at[i] = (struct estimate){.low = NAN, .high = NAN};
        if (quantiles[i] == 0)
            continue;
        for (size_t k = first; k < SECTIONS_MAX; k++)
            if (!isnan(of_sections[k][i]))
                values[count++] = of_sections[k][i];
        at[i].value = (double)histogram_quantile(all, quantiles[i]);
        if (count < 4)
            continue;
        double half = half_width(values, count, 0.95);
        at[i].low = at[i].value - half > 0 ? at[i].value - half : 0;
        at[i].high = at[i].value + half;
    }
}

static double standard_deviation(const struct section *all, double mean_value)
{
    long double n = (long double)all->histogram.total, mean = mean_value;
    long double squares = (long double)all->squares + (long double)all->fine_squares / ((uint64_t)1 << 2 * FINE_BITS);
    long double variance = n > 1 ? (squares - n * mean * mean) / (n - 1) : 0;
    return variance > 0 ? (double)sqrtl(variance) : 0;
}

/* The first section that a cut leaves; SECTIONS_MAX: none. */
static size_t first_section(const struct samples *s, uint64_t cut)
{
    if (s->section_width > 0) {
        uint64_t first = (cut + s->section_width - 1) / s->section_width;
        return first < SECTIONS_MAX ? (size_t)first : SECTIONS_MAX;
    }
    size_t i = 0;
    while (cut > 0 && i < s->begun && s->begins[i] < cut)
        i++;
    return i;
}

/* Sections first … last − 1 on top of what is in `all`; its histogram is the caller's to release, also on failure. */
static int merge_in(const struct samples *s, size_t first, size_t last, struct section *all)
{
    for (size_t i = first; i < last; i++) {
        add_sums(all, &s->sections[i]);
        if (histogram_merge(&all->histogram, &s->sections[i].histogram))
            return -1;
    }
    return 0;
}

int samples_histogram(const struct samples *s, uint64_t cut, struct histogram *out)
{
    struct section all = {0};
    int status = merge_in(s, first_section(s, cut), SECTIONS_MAX, &all);
    if (status)
        histogram_release(&all.histogram);
    *out = all.histogram;
    return status;
}

double samples_mean(const struct samples *s, uint64_t cut)
{
    wide_sum sum = 0;
    uint64_t count = 0;
    for (size_t i = first_section(s, cut); i < SECTIONS_MAX; i++) {
        sum += s->sections[i].sum;
        count += s->sections[i].histogram.total;
    }
    return count ? fine_to_ns(sum) / (double)count : NAN;
}

/* `all` is every section from `first` on. */
static void summarise(const struct samples *s, uint64_t cut, double (*of_sections)[STAT_COUNT],
                      const struct section *all, struct summary *out)
{
    size_t first = first_section(s, cut);
    *out = (struct summary){.sections_cut = first, .count = all->histogram.total, .sum = all->sum};
    for (size_t i = 0; i < first; i++)
        out->cut += s->sections[i].histogram.total;
    double mean = samples_mean(s, cut), half = samples_mean_half_width(s, cut, 0.95);
    quantile_estimates(of_sections, first, &all->histogram, out->at);
    out->at[STAT_MEAN] = (struct estimate){mean, mean - half, mean + half};
    out->at[STAT_SD].value = standard_deviation(all, mean);
    out->at[STAT_MIN].value = (double)all->histogram.min;
    out->at[STAT_MAX].value = (double)all->histogram.max;
    for (int i = 0; out->count == 0 && i < STAT_COUNT; i++)
        out->at[i] = (struct estimate){NAN, NAN, NAN};
}

int samples_summarise(const struct samples *s, uint64_t cut, struct summary *after, struct summary *whole)
{
    double of_sections[SECTIONS_MAX][STAT_COUNT];
    struct section all = {0};
    size_t first = first_section(s, cut);
    for (size_t i = 0; i < SECTIONS_MAX; i++)
        section_quantiles(&s->sections[i], of_sections[i]);
    int status = merge_in(s, first, SECTIONS_MAX, &all);
    if (status == 0)
        summarise(s, cut, of_sections, &all, after);
    if (status == 0 && whole && first == 0)
        *whole = *after;
    else if (status == 0 && whole && (status = merge_in(s, 0, first, &all)) == 0)
        summarise(s, 0, of_sections, &all, whole);
    histogram_release(&all.histogram);
    return status;
}
