/* SPDX-License-Identifier: MIT */
/* sections.h — a run cut into up to 32 sections of equally many arrivals. When they are full, neighbours merge and
 * widths double, so memory stays fixed. What is kept section by section can leave out the first of them as warm-up, and
 * is all cut at the same request and the same instant. */
#ifndef TANDEM_REPORTS_STATS_SECTIONS_H
#define TANDEM_REPORTS_STATS_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/units.h"

enum { SECTIONS_MAX = 32 };

struct run_sections {
    uint64_t width; /* requests in each but the last */
    size_t count;
    sim_time first[SECTIONS_MAX], last[SECTIONS_MAX]; /* when the first and the last request of each arrived */
};

static inline size_t section_of(const struct run_sections *s, uint64_t request)
{
    return (size_t)(request / s->width);
}

/* Whether the next request, by its place in the order of arrival from 0 on, must wait for sections_merge. */
static inline bool sections_full(const struct run_sections *s, uint64_t request)
{
    return request / s->width >= SECTIONS_MAX;
}

static inline void sections_merge(struct run_sections *s)
{
    for (size_t i = 0; i < SECTIONS_MAX / 2; i++) {
        s->first[i] = s->first[2 * i];
        s->last[i] = s->last[2 * i + 1];
    }
    s->count = SECTIONS_MAX / 2;
    s->width *= 2;
}

/* Notes an arrival; requests come in order. Returns true when a section begins with it. */
static inline bool sections_arrive(struct run_sections *s, uint64_t request, sim_time at)
{
    size_t i = section_of(s, request);
    bool begins = i >= s->count;
    if (begins) {
        s->count = i + 1;
        s->first[i] = at;
    }
    s->last[i] = at;
    return begins;
}

/* What statistics, verdicts and rates of requests leave out: those that arrived before `at`. */
struct warmup_cut {
    uint64_t requests;
    size_t sections;
    sim_time at;
};

#endif
