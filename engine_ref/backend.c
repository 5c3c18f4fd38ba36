/* SPDX-License-Identifier: MIT */
#include "engine_ref/backend.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

const struct backend *const backends[] = {
    &cpu_backend,
    &cpu_reference_backend,
#ifdef TANDEM_CUDA
    &cuda_backend,
#endif
    NULL,
};

const struct backend *backend_find(const char *name)
{
    for (const struct backend *const *b = backends; *b; b++)
        if (strcmp((*b)->name, name) == 0)
            return *b;
    return NULL;
}

static float gumbel(uint64_t draw, uint32_t token)
{
    double u = ((double)(random_mix(draw ^ random_mix(token)) >> 11) + 0.5) * 0x1p-53;
    return (float)-log(-log(u));
}

uint32_t sample_token(const float *logits, uint32_t vocab, float temperature, uint64_t draw)
{
    uint32_t best = 0;
    float most = -INFINITY;
    for (uint32_t i = 0; i < vocab; i++) {
        float value = temperature > 0 ? logits[i] / temperature + gumbel(draw, i) : logits[i];
        if (value > most) {
            most = value;
            best = i;
        }
    }
    return best;
}
