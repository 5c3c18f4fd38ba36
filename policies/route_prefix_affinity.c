/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static const struct param_spec params[] = {
    {"most_ahead", PARAM_INTEGER, "requests", 32, 0, 1e9,
     "a replica with so many more outstanding requests than the least loaded one is passed over", NULL, NULL},
    {0},
};

/* The longest cached prefix; of equals fewest outstanding requests, then the first. */
static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    size_t best = routing_least_loaded(count, view);
    uint64_t least = routing_load(view, best)->outstanding_requests, best_load = least;
    uint64_t most = least + (uint64_t)param_number(view->params, "most_ahead");
    uint32_t longest = view->cached_tokens(view->replicas, best, r);
    for (size_t i = 0; i < count; i++) {
        uint64_t load = routing_load(view, i)->outstanding_requests;
        uint32_t cached = load > most ? 0 : view->cached_tokens(view->replicas, i, r);
        if (cached < longest || (cached == longest && load >= best_load))
            continue;
        longest = cached;
        best_load = load;
        best = i;
    }
    return best;
}

const struct routing_policy routing_prefix_affinity = {
    .name = "prefix_affinity",
    .summary = "the replica that has most of the prompt's KV, unless it is far busier than the least loaded (SGLang's "
               "cache-aware router)",
    .params = params,
    .choose = choose};
