/* SPDX-License-Identifier: MIT */
/* bands.h — where the time went of the fast, the slow and the slowest requests: mean parts by percentile band, in
 * bounded memory. Requests are gathered in buckets of their TTFT or E2E, 3 % wide at most, and buckets into bands
 * afterwards. Buckets of an octave, 32 of them, are there once it has been met: most runs meet a few. */
#ifndef TANDEM_REPORTS_STATS_BANDS_H
#define TANDEM_REPORTS_STATS_BANDS_H

#include "base/units.h"
#include "workloads/request.h"

enum { BAND_OCTAVES = 64, OCTAVE_BUCKETS = 32, BANDS = 4 };

struct band_bucket {
    uint64_t count;
    uint64_t parts[PART_COUNT]; /* ns: five centuries in one bucket */
};

struct band_octave {
    uint32_t used;                              /* bit i: bucket i holds something */
    struct band_bucket buckets[OCTAVE_BUCKETS]; /* the others are not set */
};

/* All zero is empty. */
struct bands {
    struct band_octave *octaves[BAND_OCTAVES]; /* NULL: nothing was in it */
};

extern const char *const band_names[BANDS]; /* "p0-p50", "p50-p90", "p90-p99", "p99-p100" */
extern const double band_quantiles[BANDS + 1];

void bands_release(struct bands *b);

/* Parts are at least 0. Returns 0, or -1 when memory is short; so does the next. */
int bands_add(struct bands *b, int64_t value_ns, const sim_time *parts);

/* Adds all of `from`. */
int bands_merge(struct bands *into, const struct bands *from);

/* The same; `from` is empty then. */
void bands_take(struct bands *into, struct bands *from);

/* Adds the sums of all requests' parts, in nanoseconds. */
void bands_add_parts_to(const struct bands *b, wide_sum parts_ns[PART_COUNT]);

struct band {
    uint64_t requests;
    double parts_s[PART_COUNT]; /* mean of each; they sum to the mean of the value */
};

void bands_summarise(const struct bands *b, struct band out[BANDS]);

#endif
