/* SPDX-License-Identifier: MIT */
#include "sim/executor.h"

static struct iteration_cost run(void *state, const struct batch *batch)
{
    return cost_model_iteration(state, batch);
}

struct executor simulated_executor(const struct cost_model *cm)
{
    return (struct executor){.run = run, .state = (void *)(uintptr_t)cm};
}
