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

static struct band_octave *octave_create(void)
{
    struct band_octave *o = malloc(sizeof *o);
    if (o)
        o->used = 0;
    return o;
}

/* A bucket, which is empty until it is used. */
static inline struct band_bucket *bucket_of(struct band_octave *o, size_t bucket)
{
    struct band_bucket *b = &o->buckets[bucket];
    if (!(o->used >> bucket & 1)) {
        o->used |= (uint32_t)1 << bucket;
        *b = (struct band_bucket){0};
    }
    return b;
}

static inline void add_parts(uint64_t *restrict into, const uint64_t *restrict parts)
{
    for (int i = 0; i < PART_COUNT; i++)
        into[i] += parts[i];
}

int bands_add(struct bands *b, int64_t value_ns, const sim_time *parts)
{
    uint64_t value = value_ns > OCTAVE_BUCKETS ? (uint64_t)value_ns : OCTAVE_BUCKETS;
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    struct band_octave **octave = &b->octaves[top];
    if (!*octave && !(*octave = octave_create()))
        return -1;
    struct band_bucket *bucket = bucket_of(*octave, value >> (top - 5) & (OCTAVE_BUCKETS - 1));
    bucket->count++;
    add_parts(bucket->parts, (const uint64_t *)parts);
    return 0;
}

static void merge_octave(struct band_octave *into, const struct band_octave *from)
{
    for (uint32_t left = from->used; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctz(left);
        struct band_bucket *bucket = bucket_of(into, i);
        bucket->count += from->buckets[i].count;
        add_parts(bucket->parts, from->buckets[i].parts);
    }
}

int bands_merge(struct bands *into, const struct bands *from)
{
    for (size_t i = 0; i < BAND_OCTAVES; i++) {
        if (!from->octaves[i])
            continue;
        if (!into->octaves[i] && !(into->octaves[i] = octave_create()))
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
    for (uint32_t left = o->used; left; left &= left - 1) {
        const struct band_bucket *bucket = &o->buckets[__builtin_ctz(left)];
        struct band *band = &out[band_of(((double)*seen + (double)bucket->count / 2) / (double)total)];
        band->requests += bucket->count;
        for (int k = 0; k < PART_COUNT; k++)
            band->parts_s[k] += (double)bucket->parts[k] * 1e-9;
        *seen += bucket->count;
    }
}

void bands_add_parts_to(const struct bands *b, wide_sum parts_ns[PART_COUNT])
{
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        for (uint32_t left = b->octaves[i] ? b->octaves[i]->used : 0; left; left &= left - 1)
            for (int k = 0; k < PART_COUNT; k++)
                parts_ns[k] += b->octaves[i]->buckets[__builtin_ctz(left)].parts[k];
}

void bands_summarise(const struct bands *b, struct band out[BANDS])
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        for (uint32_t left = b->octaves[i] ? b->octaves[i]->used : 0; left; left &= left - 1)
            total += b->octaves[i]->buckets[__builtin_ctz(left)].count;
    for (int band = 0; band < BANDS; band++)
        out[band] = (struct band){0};
    for (size_t i = 0; i < BAND_OCTAVES; i++)
        if (b->octaves[i])
            summarise_octave(b->octaves[i], total, &seen, out);
    for (int band = 0; band < BANDS; band++)
        for (int k = 0; k < PART_COUNT && out[band].requests; k++)
            out[band].parts_s[k] /= (double)out[band].requests;
}
