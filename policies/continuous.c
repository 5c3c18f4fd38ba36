/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/batching.h"

struct continuous {
    uint32_t max_sequences;
};

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 128, 1, 65536, "most requests in a batch", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct continuous *c = malloc(sizeof *c);
    *state = c;
    if (!c)
        return error_no_memory(err);
    c->max_sequences = (uint32_t)param_number(set, "max_sequences");
    return 0;
}

/* Every request may bring a whole prompt. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    return (struct batch_limits){.tokens = sequences * longest, .sequences = sequences};
}

/* Prompts are never split, so whoever runs already decodes, or its KV has just come. */
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    const struct continuous *c = state;
    view_decode_all(view, out);
    view_prefill_loaded(view, out, UINT64_MAX);
    for (struct request *r = view->waiting->head; r && view->running->count < c->max_sequences;
         r = view->waiting->head) {
        uint32_t reserved = view_admission_tokens(view, r, request_uncomputed(r));
        if (view_blocks_to_admit(view, r, reserved) > view->kv_free_blocks)
            break;
        if (view_load(view, r, reserved))
            continue;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        view_schedule(view, out, r, request_uncomputed(r));
    }
    view_hold(view, out, view->running->count >= c->max_sequences);
}

const struct batching_policy policy_continuous = {
    .name = "continuous",
    .summary = "iteration-level batches of whole prompts and decodes; KV reserved for the longest output",
    .source = "Orca (Yu et al., OSDI 2022)",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .loads = true,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};
