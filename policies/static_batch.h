/* SPDX-License-Identifier: MIT */
/* static_batch.h — request-level batching, shared by the padded and the prepacked variant. */
#ifndef TANDEM_POLICIES_STATIC_BATCH_H
#define TANDEM_POLICIES_STATIC_BATCH_H

#include "policies/batching.h"
#include "policies/packing.h"

struct static_batch {
    uint32_t max_sequences;
    sim_time batch_wait;
    uint32_t rows;        /* of the batch being served, finished ones included */
    uint32_t longest;     /* its longest prompt */
    uint64_t first_step;  /* the replica's decode steps when it was admitted */
    enum packing packing; /* this and the next of the prepacked variant */
    enum packed_attention packed_attention;
    uint32_t *scratch; /* [4][max_sequences], of the prepacked variant */
};

int static_batch_create(void **state, uint32_t max_sequences, sim_time batch_wait, struct error *err);

/* The same from the parameters max_sequences and batch_wait_s. */
int static_batch_create_waiting(void **state, const struct param_set *params, struct error *err);

/* So many rows, each as long as the longest. Packed prompts need as many rows when no two of them fit into one. */
struct batch_limits static_batch_limits(uint64_t rows, uint64_t longest);

void static_batch_destroy(void *state);

/* Admits the next batch when the replica is idle. True when one was admitted and is to be prefilled. */
bool static_batch_admit(struct static_batch *s, struct replica_view *view, struct batch *out);

/* One padded decode step of every row of the current batch. */
void static_batch_decode(struct static_batch *s, struct replica_view *view, struct batch *out);

/* A batch with its prompts padded to the longest: admitted and prefilled when idle, else one step of it. */
void static_batch_form(void *state, struct replica_view *view, struct batch *out);

#endif
