/* SPDX-License-Identifier: MIT */
/* A plug-in that brings a batching policy: whole prompts one at a time, never next to decodes, and never two in a row
 * while somebody decodes. Build and use it from the source folder with
 *
 *     cc -shared -fPIC -O2 -I. docs/examples/prompts_alone.c -o alone.so
 *     build/tandem run default --plugin alone.so --set policy.batching='{"name": "prompts_alone", "max_sequences": 64}'
 */
#include <stdlib.h>

#include "policies/plugin.h"

struct alone {
    uint32_t max_sequences;
    bool prompt_ran; /* in the iteration before */
};

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 32, 1, 65536, "most running requests", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct alone *a = calloc(1, sizeof *a);
    *state = a;
    if (!a)
        return error_no_memory(err);
    a->max_sequences = (uint32_t)param_number(set, "max_sequences");
    return 0;
}

static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    return (struct batch_limits){.tokens = longest, .sequences = (uint64_t)param_number(set, "max_sequences")};
}

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct alone *a = state;
    struct request *r = view->waiting->head;
    bool may = r && view->running->count < a->max_sequences && (!a->prompt_ran || view->decoding == 0);
    uint32_t tokens = r ? view_admission_tokens(view, r, request_uncomputed(r)) : 0;
    if (may && view_reserve(view, r, tokens)) {
        view_admit(view, r);
        batch_add(out, r, request_uncomputed(r));
    } else {
        view_decode_all(view, out);
    }
    a->prompt_ran = out->count > 0;
}

static const struct batching_policy policy = {
    .name = "prompts_alone",
    .summary = "whole prompts one at a time, decodes in between",
    .source = "an example",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = free,
};

TANDEM_PLUGIN(.batching = {&policy});
