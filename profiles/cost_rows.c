/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

#include <stdlib.h>

static struct dense_cost as_fine(const struct cost_model *cm, double ns, const double *by)
{
    struct dense_cost cost = {.total = cost_fine(ns)};
    for (int i = 0; !cm->estimated && i < COST_SOURCES; i++)
        cost.by[i] = cost_fine(by[i]);
    return cost;
}

double cost_waited_ns(const struct cost_model *cm)
{
    return cm->engine.exposed_ns + (cm->engine.schedule_ahead ? 0 : cm->device.host_ns);
}

double cost_waited_each_ns(const struct cost_model *cm)
{
    return cm->engine.exposed_ns_per_sequence + (cm->engine.schedule_ahead ? 0 : cm->device.host_ns_per_sequence);
}

/* With the background tokens that fill the batch up, if any. */
static double filled_rows(const struct cost_model *cm, uint64_t rows)
{
    double more = cm->work.filled_tokens - (double)rows;
    return more > 0 && rows > 0 ? (double)rows + cm->work.fill_cost * more : (double)rows;
}

struct dense_cost cost_rows_compute(const struct cost_model *cm, uint64_t rows)
{
    double by[COST_SOURCES] = {0}, ns = cm->backend.token_ns(cm->backend.self, filled_rows(cm, rows), by);
    return as_fine(cm, ns, by);
}

/* Of batches that may hold prompts; those of decodes alone are always padded to a captured size. */
static struct dense_cost compute_token_cost(const struct cost_model *cm, uint64_t tokens)
{
    return cost_rows_compute(cm, cm->engine.graph_decodes_only ? tokens : engine_padded_tokens(&cm->engine, tokens));
}

struct dense_cost cost_heads_compute(const struct cost_model *cm, uint64_t sequences)
{
    double by[COST_SOURCES] = {0}, ns = 0;
    if (sequences > 0)
        ns = cm->backend.head_ns(cm->backend.self, (double)sequences, by);
    ns += cost_waited_each_ns(cm) * (double)sequences;
    return as_fine(cm, ns, by);
}

const struct dense_cost *cost_tokens(const struct cost_model *cm, uint64_t tokens, struct dense_cost *scratch)
{
    if (tokens <= DENSE_TOKENS)
        return &cm->tokens[tokens];
    *scratch = compute_token_cost(cm, tokens);
    return scratch;
}

const struct dense_cost *cost_heads(const struct cost_model *cm, uint64_t sequences, struct dense_cost *scratch)
{
    if (sequences <= DENSE_SEQUENCES)
        return &cm->heads[sequences];
    *scratch = cost_heads_compute(cm, sequences);
    return scratch;
}

int64_t cost_eager(const struct cost_model *cm, uint64_t tokens, bool prompts)
{
    return cm->eager > 0 && engine_is_eager(&cm->engine, tokens, prompts) ? cm->eager : 0;
}

static int64_t compute_shared(const struct cost_model *cm, uint64_t tokens)
{
    return cost_fine(cm->backend.shared_ns(cm->backend.self, (double)engine_padded_tokens(&cm->engine, tokens)));
}

int64_t cost_shared(const struct cost_model *cm, uint64_t tokens)
{
    return tokens <= DENSE_TOKENS ? cm->shared[tokens] : compute_shared(cm, tokens);
}

static int compile_shared(struct cost_model *cm, struct error *err)
{
    if (!cm->backend.shared_ns)
        return 0;
    cm->shared = calloc(DENSE_TOKENS + 1, sizeof *cm->shared);
    if (!cm->shared)
        return error_no_memory(err);
    for (size_t i = 1; i <= DENSE_TOKENS; i++)
        cm->shared[i] = compute_shared(cm, i);
    return 0;
}

int cost_compile_rows(struct cost_model *cm, struct error *err)
{
    cm->tokens = calloc(DENSE_TOKENS + 1, sizeof *cm->tokens);
    cm->heads = calloc(DENSE_SEQUENCES + 1, sizeof *cm->heads);
    if (!cm->tokens || !cm->heads)
        return error_no_memory(err);
    for (size_t i = 1; i <= DENSE_TOKENS; i++)
        cm->tokens[i] = compute_token_cost(cm, i);
    for (size_t i = 0; i <= DENSE_SEQUENCES; i++)
        cm->heads[i] = cost_heads_compute(cm, i);
    return compile_shared(cm, err);
}
