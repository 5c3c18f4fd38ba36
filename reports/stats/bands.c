/* SPDX-License-Identifier: MIT */
#include "reports/stats/bands.h"

const char *const band_names[BANDS] = {"p0-p50", "p50-p90", "p90-p99", "p99-p100"};
const double band_quantiles[BANDS + 1] = {0, 0.5, 0.9, 0.99, 1};

/* 32 buckets for every power of two. */
static size_t bucket_of(int64_t ns)
{
    uint64_t value = ns > 32 ? (uint64_t)ns : 32;
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    return (size_t)top * 32 + (value >> (top - 5) & 31);
}

void bands_add(struct bands *b, int64_t value_ns, const sim_time *parts)
{
    size_t bucket = bucket_of(value_ns);
    b->counts[bucket]++;
    for (int i = 0; i < PART_COUNT; i++)
        if (parts[i] > 0)
            b->parts[bucket][i] += (uint64_t)parts[i];
}

void bands_merge(struct bands *into, const struct bands *from)
{
    for (size_t i = 0; i < BAND_BUCKETS; i++) {
        if (from->counts[i] == 0)
            continue;
        into->counts[i] += from->counts[i];
        for (int k = 0; k < PART_COUNT; k++)
            into->parts[i][k] += from->parts[i][k];
    }
}

void bands_summarise(const struct bands *b, struct band out[BANDS])
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < BAND_BUCKETS; i++)
        total += b->counts[i];
    for (int band = 0; band < BANDS; band++)
        out[band] = (struct band){0};
    for (size_t i = 0; i < BAND_BUCKETS; i++) {
        if (b->counts[i] == 0)
            continue;
        int band = 0; /* that the bucket's middle request is in */
        double middle = ((double)seen + (double)b->counts[i] / 2) / (double)total;
        while (band < BANDS - 1 && middle >= band_quantiles[band + 1])
            band++;
        out[band].requests += b->counts[i];
        for (int k = 0; k < PART_COUNT; k++)
            out[band].parts_s[k] += (double)b->parts[i][k] * 1e-9;
        seen += b->counts[i];
    }
    for (int band = 0; band < BANDS; band++)
        for (int k = 0; k < PART_COUNT && out[band].requests; k++)
            out[band].parts_s[k] /= (double)out[band].requests;
}
