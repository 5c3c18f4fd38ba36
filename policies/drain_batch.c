/* SPDX-License-Identifier: MIT */
#include "policies/drain_batch.h"

#include <stdlib.h>

int drain_batch_create(void **state, const struct param_set *params, struct error *err)
{
    struct drain_batch *d = malloc(sizeof *d);
    *state = d;
    if (!d)
        return error_no_memory(err);
    d->max_sequences = (uint32_t)param_number(params, "max_sequences");
    d->batch_wait = sim_time_from_s(param_number(params, "batch_wait_s"));
    return 0;
}

struct batch_limits drain_batch_limits(const struct param_set *params, uint64_t longest)
{
    uint64_t sequences = (uint64_t)param_number(params, "max_sequences");
    return (struct batch_limits){.tokens = sequences * longest, .sequences = sequences};
}

static void admit(const struct drain_batch *d, struct replica_view *view, struct batch *out)
{
    if (view->waiting->count == 0)
        return;
    sim_time latest = view_waiting_since(view) + d->batch_wait;
    if (view->waiting->count < d->max_sequences && view->now < latest) {
        out->wake_at = latest;
        return;
    }
    for (struct request *r = view->waiting->head; r && view->running->count < d->max_sequences;
         r = view->waiting->head) {
        if (!view_reserve(view, r, view_admission_tokens(view, r, request_uncomputed(r))))
            break;
        view_admit(view, r);
        batch_add(out, r, request_uncomputed(r));
    }
}

void drain_batch_form(void *state, struct replica_view *view, struct batch *out)
{
    if (view->running->count == 0) {
        admit(state, view, out);
        return;
    }
    view_decode_all(view, out);
    view_hold(view, out, true);
}
