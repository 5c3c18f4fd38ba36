/* SPDX-License-Identifier: MIT */
/* trace_blocks.h — how many tokens a hash id of a trace stands for, told from how many ids prompts have.
 *
 * Mooncake's traces have an id for every 512 tokens of a prompt, the last, partial block with one of its own:
 * ceil(prompt / 512). Others write the same keys with other block sizes, some with ids of whole blocks only, as vLLM
 * hashes them. Every line narrows the sizes that fit; a size that one line rules out is not the trace's. */
#ifndef TANDEM_WORKLOADS_TRACE_BLOCKS_H
#define TANDEM_WORKLOADS_TRACE_BLOCKS_H

#include <stdbool.h>

#include "workloads/trace.h"

/* From least to most; none where least is above most. */
struct block_range {
    uint32_t least, most;
};

/* What one line has. */
struct block_count {
    long line;
    uint32_t ids, tokens;
};

struct trace_blocks {
    uint32_t tokens; /* of a block; 0: not settled yet */
    enum block_evidence evidence;
    uint32_t usual;             /* the format's size */
    struct block_count unusual; /* the first line that rules the usual size out; line 0: none */
    struct block_range partial; /* sizes that fit where a partial block has an id, too */
    struct block_range whole;   /* and where whole blocks alone have */
};

/* A format's blocks are of `usual` tokens unless the lines show otherwise, or of `stated`, unless that is 0. */
void trace_blocks_init(struct trace_blocks *blocks, uint32_t usual, uint32_t stated);

/* Takes a line that has ids into account. An error where no size fits it and all before, or not the settled one. */
int trace_blocks_add(struct trace_blocks *blocks, const char *file, const struct block_count *count, struct error *err);

/* Sizes that fit all lines so far. */
struct block_range trace_blocks_left(const struct trace_blocks *blocks);

/* Decides by the lines so far: the only size that is left, or else the usual one. An error where that does not fit. */
int trace_blocks_settle(struct trace_blocks *blocks, const char *file, struct error *err);

#endif
