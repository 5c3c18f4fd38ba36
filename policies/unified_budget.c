/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/batching.h"

struct unified_budget {
    uint32_t token_budget, max_sequences, long_prefill_threshold;
    bool whole_must_fit;
    uint32_t wait_iterations;
    uint64_t wait_tokens;
    uint32_t waited; /* iterations that prompts have waited since the last that could come in */
};

static const struct param_spec params[] = {
    {"token_budget", PARAM_INTEGER, "tokens", 2048, 1, 1e6, "tokens of an iteration", NULL, NULL},
    {"max_sequences", PARAM_INTEGER, "sequences", 256, 1, 65536, "most running requests", NULL, NULL},
    {"long_prefill_threshold", PARAM_INTEGER, "tokens", 0, 0, 1e6,
     "most tokens of one request in an iteration; 0: no cap", NULL, NULL},
    {"whole_must_fit", PARAM_BOOL, "", 1, 0, 1,
     "admit a request only when all its tokens fit in the free blocks, though only its chunk's are taken", NULL, NULL},
    {"wait_iterations", PARAM_INTEGER, "iterations", 0, 0, 1e6,
     "most iterations that waiting prompts let running requests go on alone, to come in together", NULL, NULL},
    {"wait_tokens", PARAM_INTEGER, "tokens", 0, 0, 1e9,
     "tokens of running and waiting requests from which prompts wait no more; 0: token_budget", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct unified_budget *u = malloc(sizeof *u);
    *state = u;
    if (!u)
        return error_no_memory(err);
    u->token_budget = (uint32_t)param_number(set, "token_budget");
    u->max_sequences = (uint32_t)param_number(set, "max_sequences");
    u->long_prefill_threshold = (uint32_t)param_number(set, "long_prefill_threshold");
    u->whole_must_fit = param_number(set, "whole_must_fit") != 0;
    u->wait_iterations = (uint32_t)param_number(set, "wait_iterations");
    u->wait_tokens = (uint64_t)param_number(set, "wait_tokens");
    u->wait_tokens = u->wait_tokens ? u->wait_tokens : u->token_budget;
    u->waited = 0;
    return 0;
}

static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    (void)longest;
    uint64_t budget = (uint64_t)param_number(set, "token_budget");
    return (struct batch_limits){.tokens = budget,
                                 .sequences = (uint64_t)param_number(set, "max_sequences"),
                                 .budget = budget};
}

/* Of the tokens it has not computed, less those it finds `cached`. */
static uint32_t share(const struct unified_budget *u, const struct request *r, uint32_t cached, uint32_t budget)
{
    uint32_t tokens = request_uncomputed(r) - cached;
    if (u->long_prefill_threshold && tokens > u->long_prefill_threshold)
        tokens = u->long_prefill_threshold;
    return tokens < budget ? tokens : budget;
}

/* Gives a running request its share. False when it had to be preempted itself. A victim that has been visited gives its
 * tokens back to the budget. */
static bool serve(const struct unified_budget *u, struct replica_view *view, struct request *r, uint32_t *budget,
                  struct batch *out)
{
    uint32_t tokens = share(u, r, 0, *budget);
    while (!view_reserve(view, r, r->computed + tokens)) {
        struct request *victim = view_victim(view);
        *budget += view_preempt_from(view, out, victim);
        if (victim == r)
            return false;
    }
    view_schedule(view, out, r, tokens);
    *budget -= tokens;
    return true;
}

/* One by one in list order from `first` on. */
static uint32_t serve_from(const struct unified_budget *u, struct replica_view *view, struct request *first,
                           uint32_t budget, struct batch *out)
{
    for (struct request *r = first; r && budget > 0; r = r->next)
        if (!request_stands_by(r) && !serve(u, view, r, &budget, out))
            break;
    return budget;
}

static uint32_t serve_in_order(const struct unified_budget *u, struct replica_view *view, struct batch *out)
{
    view_settle(view);
    return serve_from(u, view, view->running->head, u->token_budget, out);
}

/* All decodes, then the prompts: the same as in list order when no prompt stands before a decode. Where the order ranks
 * victims, the victim may stand before requests that are not visited any more, so list order it is when memory is
 * short.
 */
static uint32_t serve_decodes_first(const struct unified_budget *u, struct replica_view *view, struct batch *out)
{
    if (!view->victims_by)
        view_decode_all(view, out);
    else if (view->decoding > 0 && !view->verbs->take_decodes(view, out))
        return serve_in_order(u, view, out);
    struct request *first = view->prefilling_count > 0 ? view->prefilling[0] : NULL;
    return serve_from(u, view, first, u->token_budget - out->decodes, out);
}

static bool decodes_stand_first(const struct replica_view *view)
{
    const struct request *last = view->running->tail;
    for (size_t i = view->prefilling_count; i-- > 0; last = last->prev) {
        while (request_stands_by(last))
            last = last->prev;
        if (view->prefilling[i] != last)
            return false;
    }
    return true;
}

static void admit(const struct unified_budget *u, struct replica_view *view, uint32_t *budget, struct batch *out)
{
    for (struct request *r = view->waiting->head; r && *budget > 0 && view->running->count < u->max_sequences;
         r = view->waiting->head) {
        uint32_t cached = view_cached_tokens(view, r), tokens = share(u, r, cached, *budget);
        uint32_t reserved = view_admission_tokens(view, r, cached + tokens);
        uint32_t fitting = u->whole_must_fit ? request_uncomputed(r) : 0;
        if (view_blocks_to_admit(view, r, reserved > fitting ? reserved : fitting) > view->kv_free_blocks)
            break;
        if (view_load(view, r, reserved))
            continue;
        view_reuse(view, r);
        view_reserve(view, r, reserved);
        view_admit(view, r);
        view_schedule(view, out, r, tokens);
        *budget -= tokens;
    }
}

static uint32_t serve_running(const struct unified_budget *u, struct replica_view *view, struct batch *out)
{
    bool together = view->decoding <= u->token_budget && decodes_stand_first(view);
    return (together ? serve_decodes_first : serve_in_order)(u, view, out);
}

/* TensorRT-LLM's batch_wait_timeout_iters and batch_wait_max_tokens_ratio (py_executor.py): while others run, prompts
 * wait for so many iterations or until there are enough of them. */
static bool prompts_wait(struct unified_budget *u, const struct replica_view *view, const struct batch *out)
{
    if (u->wait_iterations == 0 || batch_is_empty(out) || !view->waiting->head)
        return false;
    uint64_t tokens = out->decodes;
    for (size_t i = 0; i < out->count; i++)
        tokens += out->items[i].new_tokens;
    for (const struct request *r = view->waiting->head; r && tokens < u->wait_tokens; r = r->next)
        tokens += request_uncomputed(r);
    bool wait = u->waited < u->wait_iterations && tokens < u->wait_tokens;
    u->waited = wait ? u->waited + 1 : 0;
    return wait;
}

/* In a step with a preemption nobody new comes in. A step in which the first request that asks is the victim holds
 * nothing, takes no time and is followed by the next one. */
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct unified_budget *u = state;
    uint32_t evicted, budget;
    do {
        evicted = view->evicted;
        budget = serve_running(u, view, out);
        if (view->evicted > evicted && !batch_is_empty(out))
            return;
    } while (view->evicted > evicted);
    if (prompts_wait(u, view, out))
        return;
    admit(u, view, &budget, out);
    view_hold(view, out, budget == 0 || view->running->count >= u->max_sequences);
}

const struct batching_policy policy_unified_budget = {
    .name = "unified_budget",
    .summary = "one token budget over running requests in order, then waiting ones; prompts chunked to fit",
    .source = "vLLM v1 (vllm/v1/core/sched/scheduler.py)",
    .params = params,
    .chunks_follow = true,
    .loads = true,
    .shares = SHARE_SCHEDULED,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};
