/* SPDX-License-Identifier: MIT */
/* backend.h — who computes steps: plain reference kernels on a CPU, fast ones on a CPU, or CUDA. All keep keys and
 * values in blocks that the caller numbers. */
#ifndef TANDEM_ENGINE_REF_BACKEND_H
#define TANDEM_ENGINE_REF_BACKEND_H

#include "engine_ref/profiler.h"
#include "engine_ref/transformer.h"

/* What an instance must have room for. */
struct engine_limits {
    uint32_t block_tokens;
    size_t blocks;
    size_t rows, outputs; /* of one step */
    uint32_t max_tokens;  /* of one sequence */
    size_t threads;       /* CPU */
    float temperature;    /* of sampling; 0: greedy */
};

/* What the hardware does at best, as measured now: in a large matrix product, and copying (read and written). */
struct hardware {
    double flops_per_s, bytes_per_s, memory_bytes;
    char name[160]; /* what it calls itself, its clock, and software that matters */
};

struct backend {
    const char *name, *summary;
    uint32_t profiled_tokens; /* of a step: as far as a validation's profile goes */
    bool on_caller;           /* steps run on the calling thread, and on as many more as it has threads */
    bool captures_decodes;    /* steps of decodes alone are graphs, others are launched kernel by kernel */
    /* The weights must outlive it on a CPU; a GPU has its own copy. */
    int (*create)(void **state, const struct weights *w, const struct engine_limits *limits, struct profiler *profiler,
                  struct error *err);
    void (*destroy)(void *state);
    /* next_tokens [output_count]; returns when they are there. */
    int (*run)(void *state, const struct step *step, uint32_t *next_tokens, struct error *err);
    /* Logits of the last step, [output_count][vocab]. */
    int (*logits)(void *state, float *out, struct error *err);
    int (*measure_hardware)(void *state, struct hardware *out, struct error *err);
    /* Keys, then values of a block: [2][layers][kv_heads][block_tokens][head_dim] floats, out of the cache or into it.
     */
    int (*read_block)(void *state, uint32_t block, float *out, struct error *err);
    int (*write_block)(void *state, uint32_t block, const float *in, struct error *err);
};

extern const struct backend cpu_reference_backend, cpu_backend;

/* The backend of a name, NULL for the usual one. "cuda" is a shared object next to the program, tandem-cuda.so, which
 * is built where nvcc is found. NULL with an error when there is none. */
const struct backend *backend_find(const char *name, struct error *err);

/* Sampling with a temperature by the largest logit ÷ T + Gumbel noise, whose numbers follow from `draw` and the token
 * alone; 0: the largest logit, the first of equals. */
uint32_t sample_token(const float *logits, uint32_t vocab, float temperature, uint64_t draw);

#endif
