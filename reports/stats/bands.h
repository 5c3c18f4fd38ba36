/* SPDX-License-Identifier: MIT */
/* bands.h — where the time went of the fast, the slow and the slowest requests: mean parts by percentile band, in fixed
 * memory. Requests are gathered in buckets of their TTFT or E2E, 3 % wide at most, and buckets into bands afterwards.
 */
#ifndef TANDEM_REPORTS_STATS_BANDS_H
#define TANDEM_REPORTS_STATS_BANDS_H

#include "base/units.h"
#include "workloads/request.h"

enum { BAND_BUCKETS = 2048, BANDS = 4 };

struct bands {
    uint64_t counts[BAND_BUCKETS];
    uint64_t parts[BAND_BUCKETS][PART_COUNT]; /* ns: five centuries in one bucket */
};

extern const char *const band_names[BANDS]; /* "p0-p50", "p50-p90", "p90-p99", "p99-p100" */
extern const double band_quantiles[BANDS + 1];

void bands_add(struct bands *b, int64_t value_ns, const sim_time *parts);

/* Adds all of `from`. */
void bands_merge(struct bands *into, const struct bands *from);

struct band {
    uint64_t requests;
    double parts_s[PART_COUNT]; /* mean of each; they sum to the mean of the value */
};

void bands_summarise(const struct bands *b, struct band out[BANDS]);

#endif
