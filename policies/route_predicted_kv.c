/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "policies/routing.h"

static const struct param_spec params[] = {{0}};

static uint64_t predicted(const struct routing_view *view, size_t i)
{
    return routing_load(view, i)->predicted_kv_tokens;
}

/* Whether all that it has is predicted to fit, this one included. */
static bool fits(const struct routing_view *view, size_t i, const struct request *r)
{
    uint64_t own = (uint64_t)r->prompt_tokens + r->predicted_tokens;
    return predicted(view, i) + own <= view->kv_tokens(view->replicas, i);
}

/* The n-th of those that fit, from 0; with nobody fitting, the n-th of all. */
static size_t pick(uint64_t n, bool any, const struct request *r, const struct routing_view *view)
{
    size_t i = 0;
    for (;; i++)
        if ((any || fits(view, i, r)) && n-- == 0)
            return i;
}

static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    assert(count > 0);
    uint64_t fitting = 0, draw = routing_scramble(r->id);
    for (size_t i = 0; i < count; i++)
        fitting += fits(view, i, r);
    bool any = fitting == 0;
    /* cppcheck-suppress zerodiv; a request is routed where there are replicas */
    uint64_t among = any ? count : fitting, first = draw % among;
    size_t a = pick(first, any, r, view);
    if (among == 1)
        return a;
    size_t b = pick((first + 1 + (draw >> 32) % (among - 1)) % among, any, r, view);
    return predicted(view, b) < predicted(view, a) ? b : a;
}

const struct routing_policy routing_predicted_kv = {
    .name = "predicted_kv",
    .summary = "of the replicas predicted to have room two at random, the one with less KV predicted (TetriInfer)",
    .params = params,
    .predicts = true,
    .choose = choose};
