/* SPDX-License-Identifier: MIT */
/* random.h — one random stream per purpose (common random numbers). */
#ifndef TANDEM_BASE_RANDOM_H
#define TANDEM_BASE_RANDOM_H

#include <gsl/gsl_rng.h>
#include <stdint.h>

/* A stream whose numbers depend on `seed` and the purpose's name alone, so that two policies under one
 * seed see the same requests. Owned by the caller (gsl_rng_free). NULL when memory is short. */
gsl_rng *random_stream_create(uint64_t seed, const char *purpose);

/* Spreads neighbouring numbers evenly over all 64 bits: the same for the same number, everywhere. */
uint64_t random_mix(uint64_t x);

#endif
