/* SPDX-License-Identifier: MIT */
/* executor.h — runs a batch: in simulated time by the cost model, or for real on an engine. */
#ifndef TANDEM_SIM_EXECUTOR_H
#define TANDEM_SIM_EXECUTOR_H

#include "profiles/cost.h"

struct executor {
    /* Runs one iteration and says what it cost. The batch's requests are as they were before it. One that knows
     * the cost of the same decodes' next iterations says so (`steady`), and they may then be run at once. */
    void (*run)(void *state, const struct batch *batch, struct iteration_cost *out);
    /* What an iteration would cost, without running it; NULL where that is not known. */
    void (*predict)(void *state, const struct batch *batch, struct iteration_cost *out);
    void *state;
    bool sees_longest;  /* wants batch.decode_longest */
    bool sees_decoders; /* wants batch.decoders */
};

/* The simulated executor; the cost model must outlive it. */
struct executor simulated_executor(const struct cost_model *cm);

#endif
