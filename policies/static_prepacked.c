/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "policies/static_batch.h"

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 32, 1, 65536, "most requests in a batch", NULL, NULL},
    {"batch_wait_s", PARAM_NUMBER, "s", 0, 0, 3600, "how long the oldest request waits for a full batch", NULL, NULL},
    {"attention", PARAM_TEXT, "", 0, 0, 0, "on a bin's full square (as the paper does) or on each prompt's block",
     "masked", "masked|varlen"},
    {"packing", PARAM_TEXT, "", 0, 0, 0, "which prompts share a row, longest first", "first_fit_decreasing",
     "first_fit_decreasing|best_fit_decreasing|to_constant_volume|optimal"},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    if (static_batch_create_waiting(state, set, err))
        return -1;
    struct static_batch *s = *state;
    s->packed_attention = strcmp(param_text(set, "attention"), "varlen") == 0 ? PACKED_VARLEN : PACKED_MASKED;
    for (enum packing how = PACK_FIRST_FIT; how <= PACK_OPTIMAL; how++)
        if (strcmp(param_text(set, "packing"), packing_names[how]) == 0)
            s->packing = how;
    return 0;
}

static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    return static_batch_limits((uint64_t)param_number(set, "max_sequences"), longest);
}

/* Bins are as long as the longest prompt; the tensor is bins × longest bin. */
static void pack_prompts(struct static_batch *s, struct batch *out)
{
    uint32_t *lengths = s->scratch, *bins = lengths + s->max_sequences, *room = bins + s->max_sequences,
             *order = room + s->max_sequences;
    for (size_t i = 0; i < out->count; i++)
        lengths[i] = out->items[i].new_tokens;
    out->layout = BATCH_PACKED;
    out->packed_attention = s->packed_attention;
    out->rows = pack(s->packing, lengths, out->count, s->longest, bins, room, order);
    for (size_t i = 0; i < out->count; i++)
        out->items[i].row = bins[i];
    out->row_tokens = s->longest; /* the longest prompt fills a bin of its own */
}

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct static_batch *s = state;
    if (view->running->count)
        static_batch_decode(s, view, out);
    else if (static_batch_admit(s, view, out))
        pack_prompts(s, out);
}

const struct batching_policy policy_static_prepacked = {
    .name = "static_prepacked",
    .summary = "as static_padded, but prompts share rows instead of being padded",
    .source = "Prepacking (Zhao et al. 2024)",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .holds_finished_kv = true,
    .create = create,
    .limits = limits,
    .form_batch = form_batch,
    .destroy = static_batch_destroy,
};
