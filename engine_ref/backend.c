/* SPDX-License-Identifier: MIT */
#include "engine_ref/backend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/beside.h"
#include "base/random.h"

static const struct backend *open_cuda(struct error *err)
{
    return beside_open("tandem-cuda.so", "cuda_backend", false, "backend cuda", "nvcc", err);
}

const struct backend *backend_find(const char *name, struct error *err)
{
    if (!name || strcmp(name, cpu_backend.name) == 0)
        return &cpu_backend;
    if (strcmp(name, cpu_reference_backend.name) == 0)
        return &cpu_reference_backend;
    if (strcmp(name, "cuda") == 0)
        return open_cuda(err);
    error_set(err, ERROR_INPUT, "backend %s: expected cpu, cpu-reference or cuda", name);
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
