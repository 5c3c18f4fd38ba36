/* SPDX-License-Identifier: MIT */
#include "workloads/resample.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/random.h"

struct resample {
    struct arrival *kept; /* [count] in order of time; their hashes stand in `hashes` */
    size_t count, capacity;
    uint64_t *hashes;
    size_t hash_count, hash_capacity;
    sim_time length, block; /* of the trace, to one mean gap after its last arrival; of a stretch */
    sim_time end;           /* of everything */
    sim_time begins, from;  /* where the current stretch lies, and where in the trace it was drawn */
    size_t next;            /* in kept */
    bool wrapped;           /* it has gone over the trace's end */
    gsl_rng *rng;
};

static void resample_destroy(void *state)
{
    struct resample *s = state;
    if (s->rng)
        gsl_rng_free(s->rng);
    free(s->kept);
    free(s->hashes);
    free(s);
}

static size_t first_at(const struct resample *s, sim_time at)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->kept[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void draw(struct resample *s, sim_time begins)
{
    s->begins = begins;
    s->from = (sim_time)(gsl_rng_uniform(s->rng) * (double)s->length);
    s->next = first_at(s, s->from);
    s->wrapped = false;
}

/* Stretches are at most as long as the trace, so that each goes over its end once at most. */
static int resample_next(void *state, struct arrival *out, struct error *err)
{
    struct resample *s = state;
    (void)err;
    while (s->begins < s->end) {
        if (s->next == s->count && !s->wrapped) {
            s->wrapped = true;
            s->next = 0;
        }
        sim_time into = s->next < s->count ? s->kept[s->next].at - s->from + (s->wrapped ? s->length : 0) : s->block;
        if (into < s->block) {
            *out = s->kept[s->next++];
            out->at = s->begins + into;
            if (out->at < s->end)
                return 1;
        }
        draw(s, s->begins + s->block);
    }
    return 0;
}

static int keep(struct resample *s, const struct arrival *a, struct error *err)
{
    struct arrival *grown = array_grow(s->kept, &s->capacity, s->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    s->kept = grown;
    uint64_t *hashes = array_grow(s->hashes, &s->hash_capacity, s->hash_count + a->hash_count + 1, sizeof *hashes);
    if (!hashes)
        return error_no_memory(err);
    s->hashes = hashes;
    for (uint32_t i = 0; i < a->hash_count; i++)
        hashes[s->hash_count++] = a->hashes[i];
    grown[s->count] = *a;
    grown[s->count++].hashes = NULL; /* the array may move yet */
    return 0;
}

static int read_all(struct resample *s, struct request_source *trace, struct error *err)
{
    struct arrival a;
    int got;
    while ((got = trace->next(trace->state, &a, err)) == 1)
        if (keep(s, &a, err))
            return -1;
    if (got < 0)
        return -1;
    if (s->count == 0 || s->kept[s->count - 1].at == 0)
        return error_set(err, ERROR_INPUT, "resample_s: expected a trace of requests that come at different times");
    const uint64_t *hashes = s->hashes;
    for (size_t i = 0; i < s->count; i++) {
        s->kept[i].hashes = hashes;
        hashes += s->kept[i].hash_count;
    }
    sim_time last = s->kept[s->count - 1].at;
    s->length = last + last / (sim_time)s->count;
    return 0;
}

int resample_create(struct request_source *trace, sim_time block, uint32_t times, uint64_t seed,
                    struct request_source *out, struct error *err)
{
    struct resample *s = calloc(1, sizeof *s);
    if (!s)
        return error_no_memory(err);
    s->rng = random_stream_create(seed, "resampling");
    if (!s->rng ? error_no_memory(err) : read_all(s, trace, err)) {
        resample_destroy(s);
        return -1;
    }
    s->block = block < s->length ? block : s->length;
    s->end = s->length * (sim_time)times;
    draw(s, 0);
    *out = (struct request_source){.next = resample_next, .destroy = resample_destroy, .state = s};
    return 0;
}
