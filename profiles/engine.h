/* SPDX-License-Identifier: MIT */
/* engine.h — what a serving engine adds to its kernels: work on the host, and batches padded to the sizes that its CUDA
 * graphs were captured for. */
#ifndef TANDEM_PROFILES_ENGINE_H
#define TANDEM_PROFILES_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiles/dtype.h"

enum { GRAPH_SIZES_MAX = 256 };

/* How an engine divides a GPU's memory; KV gets what the rule leaves. */
enum memory_rule {
    MEMORY_DEVICE, /* the device's share of memory, less its reserve and the weights */
    MEMORY_TOTAL,  /* share of all memory, less weights, activations, context and graphs (vLLM) */
    MEMORY_FREE,   /* share of what weights, activations, context and graphs leave (TensorRT-LLM) */
    MEMORY_STATIC, /* share of all memory, less weights alone: the rest of it is for activations (SGLang) */
};

struct engine_memory {
    enum memory_rule rule;
    double utilization;                /* the share */
    double context_bytes, graph_bytes; /* CUDA context, libraries and communicators; pools of captured graphs */
};

/* How far simulations with an engine file are from what was measured, as its calibration found on what it did not fit:
 * simulated / measured − 1, of mean latencies at each load; the last two of absolute errors. */
struct engine_error {
    double signed_median, median, p90;
};

struct engine_accuracy {
    double points; /* loads that were judged; 0: nothing is known */
    struct engine_error ttft, tpot;
};

struct engine {
    char name[64];
    double kernel_factor; /* kernels take so many times what the device says; 0: as it says */
    struct engine_accuracy errors;
    double host_ns, host_ns_per_sequence;       /* of an iteration; below 0: as the device says */
    double exposed_ns, exposed_ns_per_sequence; /* host work that the GPU waits for, even where it schedules ahead */
    double eager_layer_ns; /* between a layer's kernels in iterations that are no captured graph; below 0: likewise */
    double eager_expert_layer_ns; /* the same of a layer with experts, on top */
    double launch_op_ns; /* host work to launch the kernels of one of the model's operations, of prompts outside a
                            graph: the GPU does not end before all are launched */
    bool quantised;      /* weights are in `weight_dtype`, whatever the model says */
    enum dtype weight_dtype;
    bool kv_quantised; /* KV is in `kv_dtype`, whatever the model says */
    enum dtype kv_dtype;
    bool experts_quantised; /* experts are in `expert_dtype`, whatever the model says */
    enum dtype expert_dtype;
    bool schedule_ahead;                    /* the next batch is formed while one runs, and host work hides behind it */
    uint32_t graph_tokens[GRAPH_SIZES_MAX]; /* ascending */
    size_t graph_count;                     /* 0: batches run at their own size */
    bool uniform_kv;                        /* layers with a window keep every token, as the others do */
    bool graph_decodes_only;                /* batches with prompts in them run at their own size */
    bool head_for_all; /* the output head runs for every request of a batch, not only for those that get a token */
    bool fused_shared_experts; /* shared experts run in the launch of the routed ones, where they can */
    struct engine_memory memory;
};

/* Reads a scenario's "engine": absent, a shipped name or a path, or an object with "preset" and values that override
 * it. */
int engine_read(const struct json *at, struct engine *out, struct error *err);

/* The same engine as one object without "preset", for a file: what it states lies over what its presets do. The caller
 * owns *out, also after a failure, when it may be NULL. */
int engine_whole(const struct json *at, cJSON **out, struct error *err);

/* Of files that name each other as presets. */
enum { ENGINE_PRESETS_MOST = 8 };
#define ENGINE_PRESETS_EXPECTED "a preset that does not lead back to itself, through at most 8 files"

/* The shipped preset of an engine ("vllm", "sglang", "trtllm") for one of its versions ("0.12.0", "1.2.0rc6.post3"):
 * the newest that is not newer, or the oldest. A version without a number ("nightly") takes the newest, an empty one
 * the oldest. Returns false where no preset is shipped for the engine. */
bool engine_preset(const char *engine, const char *version, char *out, size_t size);

/* Whether an iteration of so many tokens has its kernels launched one by one. */
bool engine_is_eager(const struct engine *engine, uint64_t tokens, bool prompts);

/* Rows that token-wise operations run on for so many tokens: the smallest captured size that holds them, or the tokens
 * themselves beyond the largest. */
uint64_t engine_padded_tokens(const struct engine *engine, uint64_t tokens);

#endif
