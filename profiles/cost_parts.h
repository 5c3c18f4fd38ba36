/* SPDX-License-Identifier: MIT */
/* cost_parts.h — what the files of the cost model do for one another; nobody else includes it. cost.c makes a model,
 * cost_memory.c says how many KV tokens fit next to it, cost_rows.c prices rows of token-wise operations and of the
 * output head, cost_lines.c decodes, cost_shapes.c reduces a batch to what kernels see, cost_iteration.c adds an
 * iteration up, and cost_sources.c says where its time comes from. */
#ifndef TANDEM_PROFILES_COST_PARTS_H
#define TANDEM_PROFILES_COST_PARTS_H

#include "profiles/cost.h"

#define ONE_NS ((fine_time)1 << FINE_BITS)

/* Nanoseconds as fine time. Seven such parts (5 hours each, at most) add up within 63 bits. */
static inline int64_t cost_fine(double ns)
{
    double most = (double)((int64_t)1 << 60), value = ns * (double)ONE_NS;
    if (!(value < most && value > -most))
        return value > 0 ? (int64_t)1 << 60 : -((int64_t)1 << 60);
    return (int64_t)(value + (value < 0 ? -0.5 : 0.5));
}

/* Equally large groups of layers, in which as many prompt tokens go on. */
enum { KEEP_GROUPS = 16 };

/* What kernels see of a batch that holds more than decodes. */
struct cost_shapes {
    uint64_t tokens, heads;                /* rows of token-wise operations; rows of the output head */
    uint64_t decode_sequences, decode_kv;  /* kv summed over sequences, the new token included */
    uint64_t prefill_tokens, prefill_keys; /* new tokens of all prompt chunks; Σ new tokens · KV before */
    uint64_t decode_longest;               /* of the decodes: the most KV tokens of one, or 0 when that is not known */
    int64_t prefill, prefill_by[COST_SOURCES]; /* fine time */
    unsigned launches;
    /* Prompt tokens that each group of layers runs on, where fewer go on; the last one: all layers once more. */
    uint64_t kept[KEEP_GROUPS + 1];
    /* Of a single prompt chunk among decodes taken together: its next chunks of the same length. */
    int64_t growth;
    enum cost_source source;
    uint64_t steady;
};

/* Rows (cost_rows.c). */

/* Compiles the arrays of the model: tokens, heads and shared. Returns 0, or -1 when memory is short. */
int cost_compile_rows(struct cost_model *cm, struct error *err);

/* So many rows of token-wise operations, computed. */
struct dense_cost cost_rows_compute(const struct cost_model *cm, uint64_t rows);

/* Host work that the GPU waits for, of an iteration and of each sequence in it: what is exposed, and all of it where
 * the engine does not schedule ahead. */
double cost_waited_ns(const struct cost_model *cm);
double cost_waited_each_ns(const struct cost_model *cm);

/* The output head for so many sequences, computed. Host work for every one of them is counted with it, unless that
 * hides behind the GPU. */
struct dense_cost cost_heads_compute(const struct cost_model *cm, uint64_t sequences);

/* The same of a batch that may hold prompts, padded as its graph is: in the compiled array, or computed into *scratch
 * beyond it. */
const struct dense_cost *cost_tokens(const struct cost_model *cm, uint64_t tokens, struct dense_cost *scratch);
const struct dense_cost *cost_heads(const struct cost_model *cm, uint64_t sequences, struct dense_cost *scratch);

/* The part of cost_tokens that ranks compute together; of a model that has cm->shared. */
int64_t cost_shared(const struct cost_model *cm, uint64_t tokens);

/* Time between kernels that are launched one by one: the GPU's own, which no work on the host hides. */
int64_t cost_eager(const struct cost_model *cm, uint64_t tokens, bool prompts);

/* Decodes (cost_lines.c). */

/* Compiles the lines of the model. Returns 0, or -1 when memory is short. */
int cost_compile_lines(struct cost_model *cm, struct error *err);

/* The line that holds the KV tokens: compiled, or computed into *scratch beyond what is. */
const struct decode_line *cost_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv,
                                    struct decode_line *scratch);

/* Decodes alone: a point on a line, and how many steps along it stay on it. */
void cost_decodes(const struct cost_model *cm, const struct decode_line *line, uint64_t sequences, uint64_t kv,
                  uint64_t longest, struct iteration_cost *out);

/* What decodes of uneven length take more than as many of mean length; the same while all of them step. */
fine_time cost_spread(int64_t spread, uint64_t sequences, uint64_t kv, uint64_t longest);

/* Rows that checking `sequences` decodes' proposed tokens takes. */
uint64_t cost_checked_rows(const struct cost_model *cm, uint64_t sequences);

/* Helpers (cost_helpers.c): models that run next to the model. */

/* Whether the work has any, or changes that price prompts and decodes apart. */
bool cost_is_apart(const struct cost_model *cm);

/* Whether it changes what an iteration does in a way that kernels' own tables do not know. */
bool cost_reshapes(const struct cost_model *cm);

/* An iteration with prompts in it, of such a model. */
void cost_apart(const struct cost_model *cm, const struct cost_shapes *s, struct iteration_cost *out);

/* Whether fewer than all prompt tokens go through some layer of a rank. */
bool cost_keeps(const struct cost_model *cm);

/* Of a prompt's first `tokens`, those that a group of layers runs on (KEEP_GROUPS: all layers once more); and of so
 * many the part of one of the ranks that share a sequence. */
uint64_t cost_kept(const struct cost_model *cm, unsigned group, uint64_t tokens);
uint64_t cost_ranked(const struct cost_model *cm, uint64_t tokens);

/* Rows of token-wise operations of prompts and decodes together, layer group by layer group where they differ. */
const struct dense_cost *cost_tokens_kept(const struct cost_model *cm, const struct cost_shapes *s,
                                          struct dense_cost *scratch);

/* An iteration of so much host work and kernels, in fine time, of a replica that shares its GPU: the GPU serves the
 * others, too, unless it waits for hosts. */
int64_t cost_on_shared_gpu(const struct cost_model *cm, int64_t host, int64_t kernels);

/* What of decodes' attention runs while GEMMs leave memory idle: fine time that an iteration is shorter. */
int64_t cost_overlapped(const struct cost_model *cm, uint64_t rows, int64_t gemms, int64_t attention);

/* Shapes (cost_shapes.c). */

/* Reduces a batch to *out, which is all 0 before. */
void cost_shapes_of(const struct cost_model *cm, const struct batch *b, struct cost_shapes *out);

/* Sources (cost_sources.c); of models that tell them apart. */

/* Of decodes alone, whose attention takes so long. */
void cost_sources_of_line(const struct decode_line *line, fine_time attention, struct iteration_cost *out);

/* Of everything but decodes' attention, and launches that are shared. */
void cost_sources_start(const struct dense_cost *tokens, const struct dense_cost *heads, const struct cost_shapes *s,
                        struct iteration_cost *out);

/* Where tables fall, or launches are shared, the parts may add up to more than the whole: cuts what is too much. */
void cost_sources_cap(struct iteration_cost *out);

/* Loans (shared_costs.c). */

/* Its borrower needs it no more. */
void cost_loan_end(struct cost_loan *loan);

/* Memory (cost_memory.c). */

/* The draft model keeps every token. Its KV makes the blocks larger, or, where the model's layers have windows, fills
 * further groups of blocks as large as the model's. */
void cost_add_draft_kv(struct work *work, const struct work *draft);

#endif
