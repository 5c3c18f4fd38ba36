/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/batching.h"

struct chunked_prefill {
    uint32_t token_budget, max_sequences;
    double watermark;
    sim_time target; /* 0: the budget is fixed */
};

static const struct param_spec params[] = {
    {"token_budget", PARAM_INTEGER, "tokens", 512, 1, 1e6, "tokens of an iteration, decodes first", NULL, NULL},
    {"max_sequences", PARAM_INTEGER, "sequences", 128, 1, 65536, "most running requests", NULL, NULL},
    {"watermark", PARAM_NUMBER, "", 0.01, 0, 0.9, "share of the KV pool kept free when admitting", NULL, NULL},
    {"tbt_target_s", PARAM_NUMBER, "s", 0, 0, 100,
     "dynamic budget: the largest up to token_budget with which the iteration takes no longer; 0: token_budget", NULL,
     NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct chunked_prefill *c = malloc(sizeof *c);
    *state = c;
    if (!c)
        return error_no_memory(err);
    c->token_budget = (uint32_t)param_number(set, "token_budget");
    c->max_sequences = (uint32_t)param_number(set, "max_sequences");
    c->watermark = param_number(set, "watermark");
    c->target = sim_time_from_s(param_number(set, "tbt_target_s"));
    return 0;
}

/* Decodes may be more than the budget. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t budget = (uint64_t)param_number(set, "token_budget");
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    (void)longest;
    return (struct batch_limits){.tokens = budget > sequences ? budget : sequences,
                                 .sequences = sequences,
                                 .budget = budget};
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How much of the next prompt goes into the batch. A batch of nothing else takes one token whatever it costs, so that
 * prompts move on. */
static uint32_t chunk_of(const struct chunked_prefill *c, struct replica_view *view, struct batch *out,
                         struct request *r, uint32_t most)
{
    if (c->target == 0)
        return most;
    uint32_t chunk = view_chunk_within(view, out, r, most, c->target);
    return chunk == 0 && batch_is_empty(out) ? 1 : chunk;
}

/* What is left of the budget for others: nothing when the target has cut the prompt short. */
static uint32_t budget_after(uint32_t budget, uint32_t chunk, uint32_t most)
{
    return chunk < most ? 0 : budget - chunk;
}

static uint32_t continue_prompts(const struct chunked_prefill *c, struct replica_view *view, struct batch *out,
                                 uint32_t budget)
{
    for (size_t i = 0; i < view->prefilling_count && budget > 0; i++) {
        struct request *r = view->prefilling[i];
        uint32_t most = min_u32(request_uncomputed(r), budget), chunk = chunk_of(c, view, out, r, most);
        if (chunk > 0)
            view_schedule(view, out, r, chunk);
        budget = budget_after(budget, chunk, most);
    }
    return budget;
}

static uint32_t admit(const struct chunked_prefill *c, struct replica_view *view, struct batch *out, uint32_t budget)
{
    for (struct request *r = view->waiting->head; r && budget > 0 && view->running->count < c->max_sequences;
         r = view->waiting->head) {
        uint32_t needed = request_uncomputed(r), reserved = view_admission_tokens(view, r, needed);
        if (!view_admits(view, view_blocks_to_admit(view, r, reserved), c->watermark))
            break;
        if (view_load(view, r, reserved))
            continue;
        uint32_t most = min_u32(needed - view_cached_tokens(view, r), budget), chunk = chunk_of(c, view, out, r, most);
        budget = budget_after(budget, chunk, most);
        if (chunk == 0)
            break;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        view_schedule(view, out, r, chunk);
    }
    return budget;
}

/* Decodes are never refused for budget: what is left is clipped at 0. When memory is short the last request not yet
 * visited goes, never a partial prefill that was already set aside. */
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    const struct chunked_prefill *c = state;
    view_decode_all(view, out);
    uint32_t budget = c->token_budget - min_u32(out->decodes, c->token_budget);
    budget = admit(c, view, out, continue_prompts(c, view, out, budget));
    bool full = view->running->count >= c->max_sequences;
    bool a_prompt_may_fit_next = view->prefilling_count > 0 || (view->waiting->count > 0 && !full);
    if (c->target == 0 || !a_prompt_may_fit_next)
        view_hold(view, out, budget == 0 || full);
}

const struct batching_policy policy_chunked_prefill = {
    .name = "chunked_prefill",
    .summary = "stall-free: all decodes, then prompts cut to what is left of a token budget",
    .source = "Sarathi-Serve (Agrawal et al., OSDI 2024)",
    .params = params,
    .loads = true,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};
