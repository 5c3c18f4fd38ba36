/* SPDX-License-Identifier: MIT */
/* same_run.h — whether two runs are the same, bit for bit: everything the database would get but rows. */
#ifndef TANDEM_TESTS_SAME_RUN_H
#define TANDEM_TESTS_SAME_RUN_H

#include <string.h>

#include "simulation/simulation.h"

static inline bool same_histogram(const struct histogram *a, const struct histogram *b)
{
    bool same = a->total == b->total;
    for (size_t i = 0; same && i < HISTOGRAM_BUCKETS; i++)
        same = histogram_count(a, i) == histogram_count(b, i);
    return same;
}

static inline bool same_samples(const struct samples *a, const struct samples *b)
{
    bool same = a->end == b->end && a->group_width == b->group_width && a->section_width == b->section_width;
    for (size_t i = 0; same && i < GROUPS_MAX; i++)
        same = a->groups[i].count == b->groups[i].count && a->groups[i].sum == b->groups[i].sum;
    for (size_t i = 0; same && i < SECTIONS_MAX; i++) {
        const struct section *x = &a->sections[i], *y = &b->sections[i];
        same = x->sum == y->sum && x->squares == y->squares && x->fine_squares == y->fine_squares &&
               x->histogram.min == y->histogram.min && x->histogram.max == y->histogram.max &&
               same_histogram(&x->histogram, &y->histogram);
    }
    return same;
}

static inline bool same_delays(const struct run_summary *a, const struct run_summary *b)
{
    bool same = a->delay_count == b->delay_count;
    for (size_t i = 0; same && i < a->delay_count; i++) {
        const struct station_summary *x = &a->delays[i], *y = &b->delays[i];
        const double pairs[][2] = {{x->arrival_rate, y->arrival_rate},
                                   {x->number, y->number},
                                   {x->queue_number, y->queue_number},
                                   {x->stay_s, y->stay_s},
                                   {x->wait_s, y->wait_s},
                                   {x->arrival_scv, y->arrival_scv},
                                   {x->service_scv, y->service_scv},
                                   {x->busy, y->busy}};
        same &= x->answered == y->answered;
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
            same &= memcmp(&pairs[k][0], &pairs[k][1], sizeof(double)) == 0;
    }
    return same;
}

/* What differs first, or NULL. Doubles are compared by their bits, so that NAN equals NAN. */
static inline const char *first_difference(const struct simulation *a, const struct simulation *b)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        if (!same_samples(&a->metrics.samples[i], &b->metrics.samples[i]))
            return metric_names[i];
        for (int k = 0; k < STAT_COUNT; k++) {
            const struct estimate *x = &a->summary.metrics[i].at[k], *y = &b->summary.metrics[i].at[k];
            if (memcmp(x, y, sizeof *x) != 0)
                return statistic_names[k];
        }
    }
    const struct run_summary *s = &a->summary, *f = &b->summary;
    double values[][2] = {{s->mean_kv_use, f->mean_kv_use},
                          {s->peak_kv_use, f->peak_kv_use},
                          {s->utilization, f->utilization},
                          {s->mfu, f->mfu},
                          {s->source_share[COST_MEASURED], f->source_share[COST_MEASURED]},
                          {s->source_share[COST_BETWEEN], f->source_share[COST_BETWEEN]},
                          {s->source_share[COST_BEYOND], f->source_share[COST_BEYOND]},
                          {s->source_share[COST_ESTIMATED], f->source_share[COST_ESTIMATED]},
                          {s->mean_batch_sequences, f->mean_batch_sequences},
                          {s->mean_batch_tokens, f->mean_batch_tokens},
                          {s->padding_waste, f->padding_waste},
                          {s->system.number, f->system.number},
                          {s->queue.number, f->queue.number},
                          {(double)s->overloaded, (double)f->overloaded},
                          {(double)s->warmup.at, (double)f->warmup.at},
                          {s->goodput_per_s, f->goodput_per_s}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (memcmp(&values[i][0], &values[i][1], sizeof(double)) != 0)
            return "a value of the run";
    if (!same_delays(s, f))
        return "delay stations";
    if (s->totals.iterations != f->totals.iterations || s->totals.end != f->totals.end ||
        memcmp(s->totals.tiers, f->totals.tiers, sizeof s->totals.tiers) != 0 ||
        s->totals.kv_allocated != f->totals.kv_allocated || s->totals.peak_in_flight != f->totals.peak_in_flight)
        return "totals";
    return NULL;
}

#endif
