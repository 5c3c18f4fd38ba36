/* SPDX-License-Identifier: MIT */
#include "sim/executor.h"

static void run(void *state, const struct batch *batch, struct iteration_cost *out)
{
    cost_model_iteration(state, batch, out);
}

struct executor simulated_executor(const struct cost_model *cm)
{
    return (struct executor){.run = run,
                             .predict = run,
                             .state = (void *)(uintptr_t)cm,
                             .sees_longest = cm->backend.decode_spread != NULL};
}
