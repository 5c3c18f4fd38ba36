/* SPDX-License-Identifier: MIT */
/* cuda.h — the CUDA backend, a shared object of its own that the program opens when it is asked for (backend.c): C on
 * this side, CUDA on the other (engine.cu). bf16 weights and activations, sums in 32-bit floats. */
#ifndef TANDEM_ENGINE_REF_CUDA_H
#define TANDEM_ENGINE_REF_CUDA_H

#ifdef __cplusplus
extern "C" {
#endif

#include "engine_ref/backend.h"

int cuda_create(void **state, const struct weights *w, const struct engine_limits *limits, struct profiler *profiler,
                struct error *err);
void cuda_destroy(void *state);
int cuda_run(void *state, const struct step *step, uint32_t *next_tokens, struct error *err);
int cuda_logits(void *state, float *out, struct error *err);
int cuda_measure_hardware(void *state, struct hardware *out, struct error *err);
int cuda_read_block(void *state, uint32_t block, float *out, struct error *err);
int cuda_write_block(void *state, uint32_t block, const float *in, struct error *err);

/* Ranges of operations for the tracer (trace.c). */
int trace_start(struct error *err);
void trace_open(enum operation_name op);
void trace_close(void);
/* Everything since trace_start, as the profiler keeps it; the GPU must be idle. */
int trace_stop(struct profiler *p, struct error *err);

#ifdef __cplusplus
}
#endif

#endif
