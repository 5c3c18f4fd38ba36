/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static const struct param_spec params[] = {
    {"ttft_slo_s", PARAM_NUMBER, "s", 1, 1e-6, 1e6, "until a request's first token", NULL, NULL},
    {"prefill_tokens_per_s", PARAM_NUMBER, "1/s", 20000, 1, 1e12, "what a replica prefills, to predict it", NULL, NULL},
    {0},
};

/* A first token is predicted for when all prompts before it, and its own but for what is cached, have been prefilled.
 * Of the replicas that meet the SLO the one that meets it by least, so that others stay free for longer prompts; if
 * none does, the one that misses it by least. */
static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    double rate = param_number(view->params, "prefill_tokens_per_s"), slo = param_number(view->params, "ttft_slo_s");
    double best_ttft = 0;
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        double own = r->prompt_tokens - view->cached_tokens(view->replicas, i, r);
        double ttft = ((double)routing_load(view, i)->prompt_tokens + own) / rate;
        bool better = best_ttft <= slo ? ttft <= slo && ttft > best_ttft : ttft < best_ttft;
        if (i == 0 || better) {
            best_ttft = ttft;
            best = i;
        }
    }
    return best;
}

const struct routing_policy routing_slo_aware = {
    .name = "slo_aware",
    .summary = "of the replicas predicted to meet the TTFT SLO the one that meets it by least, else the fastest",
    .params = params,
    .choose = choose};
