/* SPDX-License-Identifier: MIT */
/* Dynamo's KV router: cost = overlap_weight × blocks to prefill + blocks held, the lowest wins. */
#include "policies/routing.h"

#include <math.h>

static const struct param_spec params[] = {
    {"overlap_weight", PARAM_NUMBER, "", 1, 0, 1e6, "weight of blocks to prefill against blocks held", NULL, NULL},
    {"temperature", PARAM_NUMBER, "", 0, 0, 1e6,
     "0: the lowest cost; above: by chance, exp(−cost / temperature), with the costs scaled to 0 … 1", NULL, NULL},
    ROUTING_SIGNALS("precise", 0, 1e9),
    {0},
};

/* What the replica would have to prefill and to hold with this request, in its KV blocks. */
static double cost(const struct routing_view *view, size_t i, const struct request *r, double overlap_weight)
{
    double block = view->block_tokens(view->replicas, i);
    double prefill =
        (double)view->prefill_tokens(view->replicas, i) + r->prompt_tokens - view->cached_tokens(view->replicas, i, r);
    double held = (double)routing_load(view, i)->predicted_kv_tokens + r->prompt_tokens;
    return overlap_weight * prefill / block + floor(held / block);
}

static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    double *values = view->values, lowest = INFINITY, highest = -INFINITY;
    double temperature = param_number(view->params, "temperature"),
           overlap_weight = param_number(view->params, "overlap_weight");
    for (size_t i = 0; i < count; i++) {
        values[i] = cost(view, i, r, overlap_weight);
        lowest = fmin(lowest, values[i]);
        highest = fmax(highest, values[i]);
    }
    for (size_t i = 0; i < count; i++)
        values[i] = highest > lowest ? -(values[i] - lowest) / (highest - lowest) : 0;
    return routing_pick(values, count, temperature, r);
}

const struct routing_policy routing_dynamo = {
    .name = "dynamo",
    .summary = "the lowest cost of blocks to prefill and blocks held, less what the index has there (NVIDIA Dynamo)",
    .params = params,
    .signals = routing_read_signals,
    .choose = choose};
