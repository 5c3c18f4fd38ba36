/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/array.h"
#include "policies/batching.h"

/* A running request, or one that might run: its KV tokens now, and those still to come at most. */
struct demand {
    uint32_t now, to_come;
};

struct lightllm {
    uint32_t max_sequences, max_batched_tokens, max_waiting_iters;
    uint32_t prefills; /* in a row */
    double usable;
    struct demand *demands;
    size_t capacity;
};

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 256, 1, 65536, "most running requests", NULL, NULL},
    {"max_batched_tokens", PARAM_INTEGER, "tokens", 8192, 1, 1e8, "most prompt tokens in one prefill batch", NULL,
     NULL},
    {"max_waiting_iters", PARAM_INTEGER, "iterations", 8, 1, 1e6, "prefill batches in a row before a decode", NULL,
     NULL},
    {"usable", PARAM_NUMBER, "", 0.97, 0.1, 1, "share of the KV pool that predicted peaks may reach", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct lightllm *l = calloc(1, sizeof *l);
    *state = l;
    if (!l)
        return error_no_memory(err);
    l->max_sequences = (uint32_t)param_number(set, "max_sequences");
    l->max_batched_tokens = (uint32_t)param_number(set, "max_batched_tokens");
    l->max_waiting_iters = (uint32_t)param_number(set, "max_waiting_iters");
    l->usable = param_number(set, "usable");
    return 0;
}

/* Prompts up to max_batched_tokens, a longer one alone, or all decodes. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t prompts = (uint64_t)param_number(set, "max_batched_tokens");
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    prompts = prompts > longest ? prompts : longest;
    return (struct batch_limits){.tokens = prompts > sequences ? prompts : sequences, .sequences = sequences};
}

static void destroy(void *state)
{
    struct lightllm *l = state;
    if (l)
        free(l->demands);
    free(l);
}

static int most_to_come_first(const void *a, const void *b)
{
    const struct demand *x = a, *y = b;
    return (x->to_come < y->to_come) - (x->to_come > y->to_come);
}

/* The most KV tokens there will ever be: when the request with the i-th most to come ends, those before it have as many
 * more each, and those after it are gone. max over i of to_come[i] · (i + 1) + Σ now[0 … i]. */
static uint64_t predicted_peak(struct demand *demands, size_t count)
{
    uint64_t held = 0, peak = 0;
    qsort(demands, count, sizeof *demands, most_to_come_first);
    for (size_t i = 0; i < count; i++) {
        held += demands[i].now;
        uint64_t then = held + (uint64_t)demands[i].to_come * (i + 1);
        peak = then > peak ? then : peak;
    }
    return peak;
}

static struct demand demand_of(const struct replica_view *view, const struct request *r, bool runs)
{
    return (struct demand){.now = runs && r->computed ? r->computed : r->prompt_tokens + r->generated,
                           .to_come = view->decodes_elsewhere ? 0 : r->max_output_tokens - r->generated};
}

/* Of the pool, for so many KV tokens of `count` requests, each of which ends within a block. */
static uint64_t blocks_of(const struct replica_view *view, uint64_t tokens, size_t count)
{
    const struct kv_groups *g = &view->kv.groups;
    uint64_t blocks = tokens / view->kv.block_tokens + count, within = blocks;
    if (g->windowed > 0 && within > count * kv_layout_most(&view->kv, 1))
        within = count * kv_layout_most(&view->kv, 1);
    return g->full * blocks + g->windowed * within;
}

/* Whether the pool holds everybody's peak with this one in. A pool that is empty admits whoever fits it at all. */
static bool fits_peak(struct lightllm *l, struct replica_view *view, const struct request *candidate)
{
    size_t count = 0;
    struct demand *grown = array_grow(l->demands, &l->capacity, view->running->count + 1, sizeof *grown);
    if (!grown)
        return false;
    l->demands = grown;
    for (const struct request *r = view->running->head; r; r = r->next)
        l->demands[count++] = demand_of(view, r, !r->prefilling && !r->loading);
    l->demands[count++] = demand_of(view, candidate, false);
    double usable = view->running->count ? l->usable : 1;
    uint64_t blocks = blocks_of(view, predicted_peak(l->demands, count), count);
    return count == 1 || (double)blocks <= usable * (double)view->kv_total_blocks;
}

static void prefill(struct lightllm *l, struct replica_view *view, struct batch *out)
{
    uint64_t tokens = view_prefill_loaded(view, out, l->max_batched_tokens);
    view_settle(view);
    for (struct request *r = view->waiting->head; r && view->running->count < l->max_sequences;
         r = view->waiting->head) {
        uint32_t needed = request_uncomputed(r), reserved = view_admission_tokens(view, r, needed);
        if (view_is_swapped(view, r) || (tokens && tokens + needed > l->max_batched_tokens) ||
            view_blocks_to_admit(view, r, reserved) > view->kv_free_blocks || !fits_peak(l, view, r))
            break;
        if (view_load(view, r, reserved))
            continue;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        view_schedule(view, out, r, request_uncomputed(r));
        tokens += needed;
    }
}

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct lightllm *l = state;
    if (view->waiting->count + view->prefilling_count > 0 &&
        (l->prefills < l->max_waiting_iters || view->decoding == 0))
        prefill(l, view, out);
    l->prefills = out->count ? l->prefills + 1 : 0;
    if (out->count)
        return;
    view_decode_all(view, out);
    if (view->evicted == 0)
        view_swap_in(view, out, l->max_sequences, 1 - l->usable);
    view_hold(view, out, view->running->count >= l->max_sequences);
    if (view->waiting->count + view->prefilling_count > 0)
        out->stable_iterations = 1; /* whoever waits is looked at before every iteration */
}

const struct batching_policy policy_lightllm = {
    .name = "lightllm",
    .summary = "prefill-first; admits whose predicted peak of KV fits, and lets decodes through every few prefills",
    .source = "LightLLM (ModelTC/lightllm, router; Gong et al., ASPLOS 2025)",
    .params = params,
    .loads = true,
    .shares = SHARE_FINISHED,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = destroy,
};
