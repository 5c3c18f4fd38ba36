/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/batching.h"

struct prefill_first {
    uint32_t max_sequences;
    uint32_t max_batched_tokens; /* 0: the model's longest sequence */
    double watermark;
};

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 256, 1, 65536, "most running requests", NULL, NULL},
    {"max_batched_tokens", PARAM_INTEGER, "tokens", 0, 0, 1e8,
     "most prompt tokens in one prefill batch; 0: the model's longest sequence", NULL, NULL},
    {"watermark", PARAM_NUMBER, "", 0.01, 0, 0.9, "share of the KV pool kept free when admitting", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct prefill_first *p = malloc(sizeof *p);
    *state = p;
    if (!p)
        return error_no_memory(err);
    p->max_sequences = (uint32_t)param_number(set, "max_sequences");
    p->max_batched_tokens = (uint32_t)param_number(set, "max_batched_tokens");
    p->watermark = param_number(set, "watermark");
    return 0;
}

/* Prompts up to the limit, or all decodes. A preempted request that has grown past the limit runs alone; no memory is
 * kept for that. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t prompts = (uint64_t)param_number(set, "max_batched_tokens");
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    prompts = prompts > 0 ? prompts : longest;
    return (struct batch_limits){.tokens = prompts > sequences ? prompts : sequences, .sequences = sequences};
}

static uint32_t token_limit(const struct prefill_first *p, const struct replica_view *view)
{
    return p->max_batched_tokens ? p->max_batched_tokens : view->max_tokens;
}

static const char *refuses(const void *state, const struct replica_view *view, const struct request *r)
{
    return r->prompt_tokens > token_limit(state, view) ? "prompt longer than max_batched_tokens" : NULL;
}

static void prefill(const struct prefill_first *p, struct replica_view *view, struct batch *out)
{
    uint64_t limit = token_limit(p, view), tokens = view_prefill_loaded(view, out, limit);
    for (struct request *r = view->waiting->head; r && view->running->count < p->max_sequences;
         r = view->waiting->head) {
        uint32_t needed = request_uncomputed(r) - view_cached_tokens(view, r);
        uint32_t reserved = view_admission_tokens(view, r, request_uncomputed(r));
        /* A preempted request may have grown past the limit; alone it still runs. */
        if (view_is_swapped(view, r) || (tokens && tokens + needed > limit) ||
            !view_admits(view, view_blocks_to_admit(view, r, reserved), p->watermark))
            break;
        if (view_load(view, r, reserved))
            continue;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        view_schedule(view, out, r, needed);
        tokens += needed;
    }
}

/* While a swapped request comes next, nobody prefills. It decodes with the others as soon as its KV fits, unless one of
 * them has just been preempted. */
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    const struct prefill_first *p = state;
    prefill(p, view, out);
    if (out->count)
        return;
    view_decode_all(view, out);
    if (view->evicted == 0)
        view_swap_in(view, out, p->max_sequences, p->watermark);
    view_hold(view, out, view->running->count >= p->max_sequences);
}

const struct batching_policy policy_prefill_first = {
    .name = "prefill_first",
    .summary = "prefill-only batches whenever a waiting request fits, else decode all; decodes stall behind prefills",
    .source = "vLLM v0 (Kwon et al., SOSP 2023)",
    .params = params,
    .loads = true,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .refuses = refuses,
    .destroy = free,
};
