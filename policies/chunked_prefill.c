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
     "dynamic budget: the largest up to token_budget whose iteration takes no longer; 0: token_budget", NULL, NULL},
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
    return (struct batch_limits){.tokens = budget > sequences ? budget : sequences, .sequences = sequences};
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The largest chunk of the next prompt, up to `most`, with which the iteration stays within the target; at least 1, so
 * that prompts move on. */
static uint32_t dynamic_budget(const struct chunked_prefill *c, struct replica_view *view, struct batch *out,
                               uint32_t most)
{
    struct request *next = view->prefilling_count > 0 ? view->prefilling[0] : view->waiting->head;
    if (!next || most == 0)
        return most;
    uint32_t low = 1, high = min_u32(most, request_uncomputed(next)), all = high;
    batch_add(out, next, high);
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        out->items[0].new_tokens = middle;
        if (view_predict(view, out) <= c->target)
            low = middle;
        else
            high = middle - 1;
    }
    out->count = 0;
    return low == all ? most : low; /* a prompt that fits whole leaves room for others */
}

/* Decodes are never refused for budget: what is left is clipped at 0. When memory is short the last
 * request not yet visited goes, never a partial prefill that was already set aside. */
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    const struct chunked_prefill *c = state;
    view_decode_all(view, out);
    uint32_t budget = c->token_budget - min_u32(out->decodes, c->token_budget);
    if (c->target > 0)
        budget = dynamic_budget(c, view, out, budget);
    for (size_t i = 0; i < view->prefilling_count && budget > 0; i++) {
        struct request *r = view->prefilling[i];
        uint32_t chunk = min_u32(request_uncomputed(r), budget);
        batch_add(out, r, chunk);
        budget -= chunk;
    }
    for (struct request *r = view->waiting->head; r && budget > 0 && view->running->count < c->max_sequences;
         r = view->waiting->head) {
        uint32_t needed = request_uncomputed(r);
        uint32_t reserved = view_admission_tokens(view, r, needed);
        if (!view_admits(view, view_blocks_to_admit(view, r, reserved), c->watermark))
            break;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        uint32_t chunk = min_u32(request_uncomputed(r), budget);
        batch_add(out, r, chunk);
        budget -= chunk;
    }
    if (c->target == 0 || out->count == 0) /* with a dynamic budget the next chunk may be another one */
        view_hold(view, out, budget == 0 || view->running->count >= c->max_sequences);
}

const struct batching_policy policy_chunked_prefill = {
    .name = "chunked_prefill",
    .summary = "stall-free: all decodes, then prompts cut to what is left of a token budget",
    .source = "Sarathi-Serve (Agrawal et al., OSDI 2024)",
    .params = params,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};
