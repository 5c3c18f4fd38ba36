/* SPDX-License-Identifier: MIT */
#include "policies/static_batch.h"

#include <stdlib.h>
#include <string.h>

int static_batch_create(void **state, uint32_t max_sequences, sim_time batch_wait, struct error *err)
{
    struct static_batch *s = calloc(1, sizeof *s);
    *state = s;
    if (!s)
        return error_no_memory(err);
    s->max_sequences = max_sequences;
    s->batch_wait = batch_wait;
    s->scratch = calloc((size_t)s->max_sequences * 4, sizeof *s->scratch);
    return s->scratch ? 0 : error_no_memory(err);
}

int static_batch_create_waiting(void **state, const struct param_set *params, struct error *err)
{
    return static_batch_create(state, (uint32_t)param_number(params, "max_sequences"),
                               sim_time_from_s(param_number(params, "batch_wait_s")), err);
}

void static_batch_destroy(void *state)
{
    struct static_batch *s = state;
    if (s)
        free(s->scratch);
    free(s);
}

/* Every row is as long as the longest prompt and the longest output, so each one admitted may make
 * all the others larger. Returns how many of the waiting requests fit, and their longest sizes. */
static uint32_t batch_that_fits(const struct static_batch *s, const struct replica_view *view, uint32_t *prompt,
                                uint32_t *tokens)
{
    uint32_t count = 0, longest_output = 0;
    *prompt = *tokens = 0;
    for (const struct request *r = view->waiting->head; r && count < s->max_sequences; r = r->next) {
        uint32_t p = r->prompt_tokens > *prompt ? r->prompt_tokens : *prompt;
        uint32_t o = r->max_output_tokens > longest_output ? r->max_output_tokens : longest_output;
        if ((count + 1) * view_blocks(view, (uint64_t)p + o) > view->kv_free_blocks)
            break;
        count++;
        *prompt = p;
        longest_output = o;
        *tokens = p + o;
    }
    return count;
}

bool static_batch_admit(struct static_batch *s, struct replica_view *view, struct batch *out)
{
    struct request *oldest = view->waiting->head;
    if (!oldest)
        return false;
    if (view->waiting->count < s->max_sequences && view->now < oldest->waiting_since + s->batch_wait) {
        out->wake_at = oldest->waiting_since + s->batch_wait;
        return false;
    }
    uint32_t tokens = 0;
    s->rows = batch_that_fits(s, view, &s->longest, &tokens);
    s->first_step = view->decode_steps;
    for (uint32_t i = 0; i < s->rows; i++) {
        struct request *r = view->waiting->head;
        view_reserve(view, r, tokens);
        view_admit(view, r);
        batch_add(out, r, request_uncomputed(r));
    }
    return s->rows > 0;
}

void static_batch_form(void *state, struct replica_view *view, struct batch *out)
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

void static_batch_decode(struct static_batch *s, struct replica_view *view, struct batch *out)
{
    view_decode_all(view, out);
    out->layout = BATCH_PADDED;
    out->rows = s->rows;
    out->row_tokens = 1;
    out->row_kv = s->longest + (uint32_t)(view->decode_steps - s->first_step);
    view_hold(view, out, true);
}
