/* SPDX-License-Identifier: MIT */
#include "reports/stats/bands.h"

#include <stdlib.h>

const char *const band_names[BANDS] = {"p0-p50", "p50-p90", "p90-p99", "p99-p100"};
const double band_quantiles[BANDS + 1] = {0, 0.5, 0.9, 0.99, 1};

void bands_release(struct bands *b)
{
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        free(b->octaves[i]);
    *b = (struct bands){0};
}

int bands_add(struct bands *b, int64_t value_ns, const sim_time *parts)
{
    uint64_t value = value_ns > OCTAVE_BUCKETS ? (uint64_t)value_ns : OCTAVE_BUCKETS;
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    struct band_octave **octave = &b->octaves[top];
    if (!*octave && !(*octave = calloc(1, sizeof **octave)))
        return -1;
    size_t bucket = value >> (top - 5) & (OCTAVE_BUCKETS - 1);
    (*octave)->counts[bucket]++;
    for (int i = 0; i < PART_COUNT; i++)
        if (parts[i] > 0)
            (*octave)->parts[bucket][i] += (uint64_t)parts[i];
    return 0;
}

static void merge_octave(struct band_octave *into, const struct band_octave *from)
{
    for (size_t i = 0; i < OCTAVE_BUCKETS; i++) {
        if (from->counts[i] == 0)
            continue;
        into->counts[i] += from->counts[i];
        for (int k = 0; k < PART_COUNT; k++)
            into->parts[i][k] += from->parts[i][k];
    }
}

int bands_merge(struct bands *into, const struct bands *from)
{
    for (size_t i = 0; i < BAND_OCTAVES; i++) {
        if (!from->octaves[i])
            continue;
        if (!into->octaves[i] && !(into->octaves[i] = calloc(1, sizeof *into->octaves[i])))
            return -1;
        merge_octave(into->octaves[i], from->octaves[i]);
    }
    return 0;
}

void bands_take(struct bands *into, struct bands *from)
{
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        if (into->octaves[i] && from->octaves[i]) {
            merge_octave(into->octaves[i], from->octaves[i]);
        } else if (from->octaves[i]) {
            into->octaves[i] = from->octaves[i];
            from->octaves[i] = NULL;
        }
    bands_release(from);
}

/* A bucket goes to the band that its middle request is in. */
static int band_of(double middle)
{
    int band = 0;
    while (band < BANDS - 1 && middle >= band_quantiles[band + 1])
        band++;
    return band;
}

static void summarise_octave(const struct band_octave *o, uint64_t total, uint64_t *seen, struct band out[BANDS])
{
    for (size_t i = 0; i < OCTAVE_BUCKETS; i++) {
        if (o->counts[i] == 0)
            continue;
        struct band *band = &out[band_of(((double)*seen + (double)o->counts[i] / 2) / (double)total)];
        band->requests += o->counts[i];
        for (int k = 0; k < PART_COUNT; k++)
            band->parts_s[k] += (double)o->parts[i][k] * 1e-9;
        *seen += o->counts[i];
    }
}

void bands_summarise(const struct bands *b, struct band out[BANDS])
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        for (size_t k = 0; b->octaves[i] && k < OCTAVE_BUCKETS; k++)
            total += b->octaves[i]->counts[k];
    for (int band = 0; band < BANDS; band++)
        out[band] = (struct band){0};
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        if (b->octaves[i])
            summarise_octave(b->octaves[i], total, &seen, out);
    for (int band = 0; band < BANDS; band++)
        for (int k = 0; k < PART_COUNT && out[band].requests; k++)
            out[band].parts_s[k] /= (double)out[band].requests;
}
