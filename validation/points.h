/* SPDX-License-Identifier: MIT */
/* points.h — simulated closed loops next to measured operating points.
 *
 * A CSV file with a header names, for each point, the model, system, engine, precision, input and output length,
 * concurrency and parallelism, and the measured mean TTFT and TPOT (AIConfigurator's silicon samples). Columns used:
 * id, silicon_data_source, backend, backend_version, model_path, system, mode, isl, osl, gemm_quant_mode, batch_size,
 * tp_size, pp_size, attention_dp_size, moe_tp_size, moe_ep_size, the same with prefill_ and decode_ before them and
 * prefill_num_workers, decode_num_workers, silicon_ttft_ms, silicon_tpot_ms; others are ignored. */
#ifndef TANDEM_VALIDATION_POINTS_H
#define TANDEM_VALIDATION_POINTS_H

#include "profiles/device.h"
#include "profiles/model.h"
#include "simulation/simulation.h"

enum { POINT_TEXT = 96, POINT_SYSTEM = 24, POINT_SOURCE = 320, POINT_REASON = 160 };

/* GPUs of a kind that a point was measured on; 0 where a column is empty. */
struct point_pool {
    double workers, batch, tp, pp, attention_dp, moe_tp, moe_ep; /* batch: of one attention rank */
};

enum point_repeat {
    POINT_ONCE,
    POINT_AGAIN,     /* another line holds the same measurement, and counts */
    POINT_AMBIGUOUS, /* another line holds the same measurement under other parallel degrees */
};

struct point {
    char id[POINT_TEXT], backend[24], version[64], model_path[POINT_TEXT], system[POINT_SYSTEM], mode[16];
    char quantisation[24], data_source[POINT_SOURCE];
    double isl, osl;
    double concurrency; /* clients of the whole server: as the source says, else ranks and workers times their batch */
    double ranks;       /* attention ranks that decode, of all workers */
    struct point_pool serve, prefill, decode;
    double ttft_ms, tpot_ms; /* measured means */
    enum point_repeat repeat;
    bool cuts_heads; /* a tensor parallel degree leaves a GPU a part of an attention head */
    bool beats_gpus; /* points_bound: faster than the GPUs' arithmetic and memory at their peaks */
    bool speculates; /* as the server of another line of the same measurement does (point_speculates) */
    bool judged;     /* of the half that constants of engines are not fitted to */
    double simulated_ttft_ms, simulated_tpot_ms; /* of those that were simulated */
    char impossible[POINT_REASON];               /* why its simulation failed; "": it did not */
};

struct points {
    struct point *items; /* owned */
    size_t count;
};

/* Reads the file; a wrong line is named. Release with points_release, also on failure.
 *
 * Half of the points is judged: those of which the SHA-256 of system, engine, version, model, precision, mode, lengths
 * and parallel degrees ends in an odd digit. A configuration's concurrencies are all in one half. */
int points_read(const char *file, struct points *out, struct error *err);
void points_release(struct points *points);

/* Why a point cannot be simulated (a constant string), or NULL. A device takes the points of its own system only; one
 * with no system ("") takes all. */
const char *point_refused(const struct point *p, const char *system);

/* Marks points that are faster than their GPUs: prompts computed, or weights and KV read for each token, beyond the
 * peaks of the device's datasheet, at the rate of requests that Little's law gives. point_refused refuses them from
 * then on. */
int points_bound(struct points *points, const struct device *device, struct error *err);

/* The format of its weights (of experts alone, where it has four bits and any); false: as the model is shipped. */
bool point_weights(const struct point *p, enum dtype *out);

/* Its shipped model, with its weights in the formats that it was served in. */
int point_model(const struct point *p, struct model *out, struct error *err);

/* Whether its server keeps KV in 8 bits: as InferenceMAX's published scripts start it (TensorRT-LLM, but for gpt-oss on
 * H200; on Blackwell SGLang's DeepSeek, and vLLM's Llama-3.1-70B, gpt-oss from 0.11 and MiniMax from 0.19 on), or as
 * NVIDIA's checkpoints tell TensorRT-LLM. */
bool point_8bit_kv(const struct point *p);

/* A script of InferenceMAX says so many GPUs of a node, TP, of which EP share experts, and whether attention is data
 * parallel. Of some points with EP the file holds the product of both: 64 attention ranks where TP 8 and EP 8 are 8 of
 * them; TP 4 of 4 ranks and EP 16 where TP 4 and EP 4 are one server of 4 GPUs (the same measurements stand elsewhere
 * in the file with these). */
void point_mend_degrees(struct point *p);

/* Whether its server drafts tokens, or may, by what InferenceMAX serves with MTP (its nvidia-master.yaml): on B200
 * DeepSeek from TensorRT-LLM 1.2.0rc6.post3, and 1.1.0rc2.post2 in 2026, and in fp8 from SGLang 0.5.9 to more than 64
 * clients, or under R1's name; Qwen3.5 in fp8 from SGLang 0.5.9 on 4 GPUs without EP. How many are accepted nobody
 * says. */
bool point_speculates(const struct point *p);

/* Whether one of InferenceMAX's scripts for a node started its server. */
bool point_has_script(const struct point *p);

/* What published scripts set of its server's limits, over what the engine starts with, and of its memory and graphs
 * (points_server.c). */
void point_add_limits(const struct point *p, cJSON *batching);
void point_add_engine(const struct point *p, cJSON *engine);

bool point_is_disaggregated(const struct point *p);

bool point_same_parallel(const struct point *a, const struct point *b);

/* Whether its lengths were drawn from 0.8 of the stated ones upwards. */
bool point_draws_lengths(const struct point *p);

/* Adds the way to an engine, "front_end", to a cluster's pools and flow, as every point has it. */
void point_add_front_end(cJSON *pools, cJSON *flow);

/* The engine preset that stands for the version a point was measured with; false where there is none. */
bool point_preset(const struct point *p, char *out, size_t size);

/* The closed loop of a point (points_scenario.c): as many clients as its concurrency, who all start at time 0 with an
 * empty server and send ten requests each, all of which count. The caller owns *out. */
int point_scenario(const struct point *p, const char *device, cJSON **out, struct error *err);

/* Runs a point's scenario, of which `root` is owned by it also on failure, and fills in the simulated means; keeps the
 * run in `store`, unless that is NULL. */
int point_simulate(struct point *p, struct json root, struct store *store, struct error *err);

/* Of simulated / measured − 1. */
struct error_spread {
    double signed_median, median, p90, mean, worst; /* all but the first of the absolute errors */
    double rank;                                    /* Spearman's correlation of measured and simulated */
};

struct point_errors {
    size_t count;
    struct error_spread ttft, tpot;
};

/* Points to compare; NULL: of all engines, of all models. */
struct point_choice {
    const char *backend, *model_path;
    bool judged_only;
};

/* Of the simulated points (simulated_tpot_ms > 0) that are chosen. */
int points_compare(const struct points *points, const struct point_choice *choice, struct point_errors *out,
                   struct error *err);

#endif
