/* SPDX-License-Identifier: MIT */
/* cost.h — how long an iteration takes: a batch in, nanoseconds out.
 *
 * A batch is reduced to the shapes that kernels see; a backend (roofline, measured tables, or a
 * stated line) turns shapes into times. The sum is rounded to a nanosecond once per iteration. */
#ifndef TANDEM_PROFILES_COST_H
#define TANDEM_PROFILES_COST_H

#include "policies/batch.h"
#include "profiles/device.h"
#include "profiles/model.h"

/* Each function covers all layers of the model on one GPU of the tensor-parallel group, communication
 * included, in nanoseconds. It adds what it took from outside the measured range to *outside. */
struct cost_backend {
    double (*token_ns)(const void *self, double tokens, double *outside);   /* GEMMs, norms, embedding */
    double (*head_ns)(const void *self, double sequences, double *outside); /* output head and sampling */
    double (*prefill_ns)(const void *self, double new_tokens, double kv_before, double *outside);
    double (*decode_ns)(const void *self, double sequences, double kv_tokens, double *outside); /* kv: summed */
    double launch_ns; /* saved for every attention launch that shares one */
    void (*destroy)(void *self);
    void *self;
};

struct cost_model {
    struct model model;
    struct device device;
    uint32_t tensor_parallel;
    struct cost_backend backend;
    double host_ns, host_ns_per_sequence;
};

struct iteration_cost {
    sim_time total;
    sim_time decode_alone; /* what the same decodes would take without the batch's prefill */
    double outside_ns;     /* part of the total that came from outside the measured range */
    double flops;          /* model arithmetic of real tokens, for MFU */
};

/* Loads model and device and compiles them. Fails when the model does not fit, or when tables are of
 * another model or tensor-parallel degree. Release with cost_model_release. */
int cost_model_create(struct cost_model *out, const char *model, const char *device, uint32_t tensor_parallel,
                      struct error *err);
void cost_model_release(struct cost_model *cm);

struct iteration_cost cost_model_iteration(const struct cost_model *cm, const struct batch *batch);

/* KV tokens that fit in memory beside weights and reserves, over the whole tensor-parallel group. */
uint64_t cost_model_kv_tokens(const struct cost_model *cm);

/* Backends; each fills *out from the loaded model and device. */
int roofline_create(const struct cost_model *cm, struct cost_backend *out, struct error *err);
int tables_create(const struct cost_model *cm, struct cost_backend *out, struct error *err);
int linear_create(const struct cost_model *cm, struct cost_backend *out, struct error *err);

#endif
