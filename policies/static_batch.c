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

struct batch_limits static_batch_limits(uint64_t rows, uint64_t longest)
{
    return (struct batch_limits){.tokens = rows * longest, .sequences = rows};
}

void static_batch_destroy(void *state)
{
    struct static_batch *s = state;
    if (s)
        free(s->scratch);
    free(s);
}

/* Every row is as long as the longest prompt and the longest output, so each one admitted may make all the others
 * larger. Admits as many as fit; returns the tokens that each row needs. */
static uint32_t admit_what_fits(struct static_batch *s, struct replica_view *view, struct batch *out)
{
    uint32_t longest_output = 0;
    s->rows = s->longest = 0;
    for (struct request *r = view->waiting->head; r && s->rows < s->max_sequences; r = view->waiting->head) {
        uint32_t known = r->prompt_tokens + r->generated, left = r->max_output_tokens - r->generated;
        uint32_t p = known > s->longest ? known : s->longest;
        uint32_t o = left > longest_output ? left : longest_output;
        if ((s->rows + 1) * view_blocks(view, (uint64_t)p + o) > view->kv_free_blocks)
            break;
        s->rows++;
        s->longest = p;
        longest_output = o;
        view_admit(view, r);
        batch_add(out, r, request_uncomputed(r));
    }
    return s->longest + longest_output;
}

bool static_batch_admit(struct static_batch *s, struct replica_view *view, struct batch *out)
{
    if (view->waiting->count == 0)
        return false;
    sim_time latest = view_waiting_since(view) + s->batch_wait;
    if (view->waiting->count < s->max_sequences && view->now < latest) {
        out->wake_at = latest;
        return false;
    }
    uint32_t tokens = admit_what_fits(s, view, out);
    s->first_step = view->decode_steps;
    for (uint32_t i = 0; i < s->rows; i++)
        view_reserve(view, out->items[i].req, tokens);
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
