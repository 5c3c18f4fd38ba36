/* SPDX-License-Identifier: MIT */
#include "engine_ref/backend.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"

/* The folder that the program is in, "." where that is not known. */
static void program_folder(char *out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    char *slash;
    out[length > 0 ? length : 0] = 0;
    if ((slash = strrchr(out, '/')))
        *slash = 0;
    else
        snprintf(out, size, ".");
}

/* It stays open: nobody closes what may have threads. */
static const struct backend *open_cuda(struct error *err)
{
    char folder[900], file[1000];
    program_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/tandem-cuda.so", folder);
    if (access(file, R_OK) != 0) {
        error_set(err, ERROR_INPUT, "backend cuda: found no %s; make builds it where it finds nvcc", file);
        return NULL;
    }
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const struct backend *cuda = object ? dlsym(object, "cuda_backend") : NULL;
    if (!cuda)
        error_set(err, ERROR_RUN, "backend cuda: %s", dlerror());
    return cuda;
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
