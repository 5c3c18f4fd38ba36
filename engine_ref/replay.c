/* SPDX-License-Identifier: MIT */
#include "engine_ref/replay.h"

#include <stdlib.h>

#include "base/array.h"

void iteration_log_release(struct iteration_log *log)
{
    free(log->items);
    *log = (struct iteration_log){0};
}

int iteration_log_add(struct iteration_log *log, const struct batch *batch, const struct iteration_cost *cost,
                      int64_t wall_ns)
{
    struct logged_iteration *grown = array_grow(log->items, &log->capacity, log->count + 1, sizeof *grown);
    if (!grown)
        return -1;
    log->items = grown;
    grown[log->count++] = (struct logged_iteration){.start = batch->start,
                                                    .tokens = batch_padded_tokens(batch),
                                                    .decode_kv = batch->decode_kv,
                                                    .decodes = batch->decodes,
                                                    .cost = *cost,
                                                    .wall_ns = wall_ns};
    return 0;
}

static bool is_of(const struct logged_iteration *i, const struct batch *batch)
{
    return i->start == batch->start && i->tokens == batch_padded_tokens(batch) && i->decode_kv == batch->decode_kv &&
           i->decodes == batch->decodes;
}

static void run(void *state, const struct batch *batch, struct iteration_cost *out)
{
    struct replay *r = state;
    *out = (struct iteration_cost){.total = (fine_time)1 << FINE_BITS, .steady = 1};
    if (r->next == r->log->count) {
        r->mismatches++;
        return;
    }
    const struct logged_iteration *i = &r->log->items[r->next++];
    r->mismatches += !is_of(i, batch);
    *out = i->cost;
}

struct executor replay_executor(struct replay *r)
{
    return (struct executor){.run = run, .state = r};
}
