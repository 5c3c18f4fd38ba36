/* SPDX-License-Identifier: MIT */
/* instance.h — one running engine: weights, a backend, and sequences with their tokens and block tables. Batches as
 * policies form them become steps here. */
#ifndef TANDEM_ENGINE_REF_INSTANCE_H
#define TANDEM_ENGINE_REF_INSTANCE_H

#include "engine_ref/backend.h"
#include "engine_ref/port.h"
#include "policies/batch.h"

/* A request as the engine knows it. */
struct sequence {
    uint64_t id;
    bool used;
    uint32_t *blocks; /* [block_count] */
    size_t block_count, block_capacity;
    uint32_t *generated; /* [generated_count] tokens */
    size_t generated_count, generated_capacity;
};

struct instance {
    const struct weights *weights;
    const struct backend *backend;
    void *state;
    struct engine_limits limits;
    struct profiler profiler;
    uint64_t seed; /* of prompts and sampling */
    uint32_t *free_blocks;
    size_t free_count;
    struct sequence *sequences; /* [sequence_capacity] a power of two, hashed by id, linear probing */
    size_t sequence_count, sequence_capacity;
    struct step step;
    uint64_t *output_ids;  /* [output_count] whose token each output of the step is */
    uint32_t *next_tokens; /* [limits.outputs] */
    struct step_time took; /* by the last one */
    float *block;          /* on its way to another instance; NULL before the first */
};

/* `limits` says how much room there is. Release with instance_release. */
int instance_create(struct instance *e, const struct weights *weights, const struct backend *backend,
                    const struct engine_limits *limits, uint64_t seed, struct error *err);
void instance_release(struct instance *e);

/* Token at a position of a request's prompt, or of what it has generated. */
uint32_t instance_token(const struct instance *e, const struct request *r, uint32_t position);

/* Runs one iteration as a policy formed it. Tokens are kept; blocks are taken as they are needed. */
int instance_run(struct instance *e, const struct batch *batch, struct error *err);

/* Its blocks are free again; what it generated is kept until it is forgotten. */
void instance_drop_blocks(struct instance *e, uint64_t id);
void instance_forget(struct instance *e, uint64_t id);

/* Puts another token where the engine generated one. */
void instance_set_token(struct instance *e, uint64_t id, uint32_t index, uint32_t token);

/* NULL where there is none of that id. */
const struct sequence *instance_sequence(const struct instance *e, uint64_t id);

/* Moves a sequence with its keys and values from one instance to another of the same model and block size. */
int instance_move(struct instance *from, struct instance *to, uint64_t id, struct error *err);

/* Knows a sequence from here on that another engine has computed: its tokens, and as many blocks, whose numbers go to
 * `blocks` [block_count] for who writes the keys and values there. */
int instance_adopt(struct instance *e, uint64_t id, const uint32_t *generated, size_t generated_count,
                   size_t block_count, uint32_t *blocks, struct error *err);

/* Floats of a block's keys and values. */
size_t block_floats(const struct model *m, uint32_t block_tokens);

struct engine_port instance_port(struct instance *e);

#endif
