/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/batching.h"

struct adaptive_chunk {
    uint32_t smallest, largest, max_sequences;
    sim_time target;
    double watermark;
};

static const struct param_spec params[] = {
    {"tbt_target_s", PARAM_NUMBER, "s", 0.03, 1e-4, 100, "longest iteration that holds a prompt chunk and decodes",
     NULL, NULL},
    {"largest_chunk", PARAM_INTEGER, "tokens", 4096, 1, 1e6, "chunk to start from", NULL, NULL},
    {"smallest_chunk", PARAM_INTEGER, "tokens", 32, 1, 1e6,
     "chunk that is run whatever it takes, if no request decodes", NULL, NULL},
    {"max_sequences", PARAM_INTEGER, "sequences", 128, 1, 65536, "most running requests", NULL, NULL},
    {"watermark", PARAM_NUMBER, "", 0.01, 0, 0.9, "share of the KV pool kept free when admitting", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct adaptive_chunk *a = malloc(sizeof *a);
    *state = a;
    if (!a)
        return error_no_memory(err);
    a->smallest = (uint32_t)param_number(set, "smallest_chunk");
    a->largest = (uint32_t)param_number(set, "largest_chunk");
    a->max_sequences = (uint32_t)param_number(set, "max_sequences");
    a->target = sim_time_from_s(param_number(set, "tbt_target_s"));
    a->watermark = param_number(set, "watermark");
    return 0;
}

/* One chunk and every other request that decodes. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    (void)longest;
    return (struct batch_limits){.tokens = (uint64_t)param_number(set, "largest_chunk") + sequences - 1,
                                 .sequences = sequences};
}

/* The prompt that prefills, or the waiting one that comes next, would fit and loads nothing; NULL when there is none.
 */
static struct request *next_prompt(const struct adaptive_chunk *a, struct replica_view *view, uint32_t *reserved)
{
    if (view->prefilling_count > 0)
        return view->prefilling[0];
    for (struct request *r; (r = view->waiting->head) && view->running->count < a->max_sequences;) {
        *reserved = view_admission_tokens(view, r, request_uncomputed(r));
        if (!view_admits(view, view_blocks_to_admit(view, r, *reserved), a->watermark))
            return NULL;
        if (!view_load(view, r, *reserved))
            return r;
    }
    return NULL;
}

/* Halves the chunk until the iteration is short enough: as attention grows with what a long prompt has behind it, its
 * chunks shrink. The smallest one is run whatever it takes, unless decodes would wait for it. */
static uint32_t chunk_of(const struct adaptive_chunk *a, const struct replica_view *view, struct batch *out,
                         struct request *r)
{
    uint32_t left = request_uncomputed(r) - (r->prefilling ? 0 : view_cached_tokens(view, r));
    uint32_t chunk = left < a->largest ? left : a->largest;
    while (view_predict_with(view, out, r, chunk) > a->target) {
        if (chunk <= a->smallest)
            return out->decodes > 0 ? 0 : chunk;
        chunk = chunk / 2 > a->smallest ? chunk / 2 : a->smallest;
    }
    return chunk;
}

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    const struct adaptive_chunk *a = state;
    uint32_t reserved = 0;
    view_decode_all(view, out);
    struct request *r = next_prompt(a, view, &reserved);
    if (!r) {
        view_hold(view, out, view->running->count >= a->max_sequences);
        return;
    }
    uint32_t chunk = chunk_of(a, view, out, r);
    if (chunk == 0)
        return;
    if (!r->prefilling) {
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
    }
    view_schedule(view, out, r, chunk);
}

const struct batching_policy policy_adaptive_chunk = {
    .name = "adaptive_chunk",
    .summary = "one prompt at a time with every decode, its chunk as large as a target iteration time allows",
    .source = "Mnemosyne (Agrawal et al. 2024, arXiv 2409.17264, section 4.2)",
    .params = params,
    .loads = true,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};
