/* SPDX-License-Identifier: MIT */
/* Endpoint pickers that add up scores (the Gateway API inference extension's, llm-d's). A score is from 0, the worst,
 * to 1. */
#include "policies/routing.h"

#include <math.h>

#define WEIGHT(NAME, PRESET, HELP)                                                                                     \
    {                                                                                                                  \
        NAME, PARAM_NUMBER, "", PRESET, 0, 1e6, HELP, NULL, NULL                                                       \
    }

#define SCORERS                                                                                                        \
    WEIGHT("prefix", 3, "weight of the share of the prompt that the index has there"),                                 \
        WEIGHT("queue", 2, "weight of a short queue, among those that stand next to each other"),                      \
        WEIGHT("kv", 2, "weight of the share of KV blocks that is free"),                                              \
        WEIGHT("session", 0, "weight of having served the conversation last"),                                         \
        WEIGHT("requests", 0, "weight of few outstanding requests, which the router counts itself"),                   \
    {                                                                                                                  \
        "temperature", PARAM_NUMBER, "", 0, 0, 1e6, "0: the highest sum; above: by chance, exp(sum / temperature)",    \
            NULL, NULL                                                                                                 \
    }

static const struct param_spec params[] = {SCORERS, ROUTING_SIGNALS("precise", 0, 1e9), {0}};

/* The scheduler's defaults: an index of what was sent, metrics that are read every 50 ms, 256 blocks of a prompt. */
static const struct param_spec llm_d_params[] = {SCORERS, ROUTING_SIGNALS("approximate", 0.05, 256), {0}};

static double prefix_score(const struct routing_view *view, size_t i, const struct request *r)
{
    double all = r->prompt_tokens, most = (double)view->match_blocks * view->block_tokens(view->replicas, i);
    return fmin(1, view->cached_tokens(view->replicas, i, r) / fmin(all, most));
}

/* 1 for the shortest queue and 0 for the longest; 1 where all are alike. */
static void add_queues(const struct routing_view *view, size_t count, double weight, double *scores)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t waiting = view->waiting(view->replicas, i);
        least = waiting < least ? waiting : least;
        most = waiting > most ? waiting : most;
    }
    for (size_t i = 0; i < count; i++)
        scores[i] += most == least
                         ? weight
                         : weight * (double)(most - view->waiting(view->replicas, i)) / (double)(most - least);
}

/* 1 where there is none, 0 where there are most. */
static void add_requests(const struct routing_view *view, size_t count, double weight, double *scores)
{
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t own = routing_load(view, i)->outstanding_requests;
        most = own > most ? own : most;
    }
    for (size_t i = 0; i < count; i++)
        scores[i] +=
            most == 0 ? weight : weight * (double)(most - routing_load(view, i)->outstanding_requests) / (double)most;
}

static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    double *scores = view->values;
    double prefix = param_number(view->params, "prefix"), queue = param_number(view->params, "queue"),
           kv = param_number(view->params, "kv"), session = param_number(view->params, "session"),
           requests = param_number(view->params, "requests");
    for (size_t i = 0; i < count; i++) {
        scores[i] = prefix > 0 ? prefix * prefix_score(view, i, r) : 0;
        if (kv > 0)
            scores[i] += kv * (1 - view->kv_used(view->replicas, i));
        if (session > 0)
            scores[i] += session * view->session_here(view->replicas, i, r);
    }
    if (queue > 0)
        add_queues(view, count, queue, scores);
    if (requests > 0)
        add_requests(view, count, requests, scores);
    return routing_pick(scores, count, param_number(view->params, "temperature"), r);
}

const struct routing_policy routing_weighted = {
    .name = "weighted",
    .summary = "the highest weighted sum of scores: prefix, queue, KV use, conversation, outstanding requests",
    .params = params,
    .signals = routing_read_signals,
    .choose = choose};

const struct routing_policy routing_llm_d = {
    .name = "llm-d",
    .summary = "the same as llm-d's scheduler starts with: prefix 3, queue 2, KV use 2, read every 50 ms",
    .params = llm_d_params,
    .signals = routing_read_signals,
    .choose = choose};
