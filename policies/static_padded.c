/* SPDX-License-Identifier: MIT */
#include "policies/static_batch.h"

static const struct param_spec params[] = {
    {"max_sequences", PARAM_INTEGER, "sequences", 32, 1, 65536, "most requests in a batch", NULL, NULL},
    {"batch_wait_s", PARAM_NUMBER, "s", 0, 0, 3600, "how long the oldest request waits for a full batch", NULL, NULL},
    {0},
};

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct static_batch *s = state;
    if (view->running->count) {
        static_batch_decode(s, view, out);
    } else if (static_batch_admit(s, view, out)) {
        out->layout = BATCH_PADDED;
        out->rows = s->rows;
        out->row_tokens = s->longest;
    }
}

const struct batching_policy policy_static_padded = {
    .name = "static_padded",
    .summary = "request-level batches, every prompt padded to the longest; all leave before others join",
    .source = "plain transformer libraries (Hugging Face generate)",
    .params = params,
    .admission = ADMIT_RESERVE_MAX,
    .holds_finished_kv = true,
    .create = static_batch_create,
    .form_batch = form_batch,
    .destroy = static_batch_destroy,
};
