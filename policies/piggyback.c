/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/batching.h"

struct piggyback {
    uint32_t chunk_tokens, max_sequences;
};

static const struct param_spec params[] = {
    {"chunk_tokens", PARAM_INTEGER, "tokens", 256, 1, 1e6, "of the one prompt chunk in an iteration", NULL, NULL},
    {"max_sequences", PARAM_INTEGER, "sequences", 32, 1, 65536, "most running requests, the one that prefills included",
     NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct piggyback *p = malloc(sizeof *p);
    *state = p;
    if (!p)
        return error_no_memory(err);
    p->chunk_tokens = (uint32_t)param_number(set, "chunk_tokens");
    p->max_sequences = (uint32_t)param_number(set, "max_sequences");
    return 0;
}

/* One chunk and every other request that decodes. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    (void)longest;
    return (struct batch_limits){.tokens = (uint64_t)param_number(set, "chunk_tokens") + sequences - 1,
                                 .sequences = sequences};
}

/* The request that prefills: the current one, or the next that is admitted. NULL when there is none. */
static struct request *prompt_at_hand(const struct piggyback *p, struct replica_view *view)
{
    if (view->prefilling_count > 0)
        return view->prefilling[0];
    for (struct request *r; (r = view->waiting->head) && view->running->count < p->max_sequences;) {
        uint32_t reserved = view_admission_tokens(view, r, request_uncomputed(r));
        if (view_blocks_to_admit(view, r, reserved) > view->kv_free_blocks)
            return NULL;
        if (view_load(view, r, reserved))
            continue;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        return r;
    }
    return NULL;
}

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    const struct piggyback *p = state;
    view_decode_all(view, out);
    struct request *r = prompt_at_hand(p, view);
    if (r) {
        uint32_t left = request_uncomputed(r);
        view_schedule(view, out, r, left < p->chunk_tokens ? left : p->chunk_tokens);
    }
    view_hold(view, out, r != NULL || view->running->count >= p->max_sequences);
}

const struct batching_policy policy_piggyback = {
    .name = "piggyback",
    .summary = "decode-maximal: one prompt chunk of fixed size, and every decode with it",
    .source = "SARATHI (Agrawal et al. 2023, arXiv 2308.16369)",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .loads = true,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};
