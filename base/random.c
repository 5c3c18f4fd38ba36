/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <stdlib.h>

/* splitmix64 finaliser (Steele, Lea, Flood 2014): spreads neighbouring seeds over the whole range. */
uint64_t random_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* As gsl_rng_alloc makes one for gsl_rng_free, but without memory that one calls GSL's error handler, which aborts. */
static gsl_rng *rng_allocate(const gsl_rng_type *type)
{
    gsl_rng *rng = malloc(sizeof *rng);
    void *state = calloc(1, type->size);
    if (!rng || !state) {
        free(rng);
        free(state);
        return NULL;
    }
    *rng = (gsl_rng){.type = type, .state = state};
    return rng;
}

gsl_rng *random_stream_create(uint64_t seed, const char *purpose)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a over the name */
    for (const char *c = purpose; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    gsl_rng *rng = rng_allocate(gsl_rng_mt19937);
    if (rng)
        gsl_rng_set(rng, (unsigned long)(random_mix(seed + random_mix(hash)) & 0xffffffffu));
    return rng;
}
