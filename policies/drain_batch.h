/* SPDX-License-Identifier: MIT */
/* drain_batch.h — batches that nobody joins until they are empty, of requests that each leave when they are done.
 * Shared by decode_priority and elastic_batch. */
#ifndef TANDEM_POLICIES_DRAIN_BATCH_H
#define TANDEM_POLICIES_DRAIN_BATCH_H

#include "policies/batching.h"

struct drain_batch {
    uint32_t max_sequences;
    sim_time batch_wait; /* how long the oldest waits for a full batch */
};

/* Reads max_sequences and batch_wait_s. */
int drain_batch_create(void **state, const struct param_set *params, struct error *err);

/* As many whole prompts as max_sequences. */
struct batch_limits drain_batch_limits(const struct param_set *params, uint64_t longest);

/* Decodes what runs; when nothing does, admits the next batch, as many as fit with their longest outputs, and prefills
 * all of it at once. */
void drain_batch_form(void *state, struct replica_view *view, struct batch *out);

#endif
