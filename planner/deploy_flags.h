/* SPDX-License-Identifier: MIT */
/* deploy_flags.h — what a pool of a scenario is in the flags of its engine's server. */
#ifndef TANDEM_PLANNER_DEPLOY_FLAGS_H
#define TANDEM_PLANNER_DEPLOY_FLAGS_H

#include "planner/deploy.h"
#include "sim/scenario.h"

/* The flags of vLLM, SGLang or TensorRT-LLM, under trtllm-serve and as a worker of Dynamo. */
enum deploy_dialect { SPEAKS_VLLM, SPEAKS_SGLANG, SPEAKS_TRTLLM };

/* Adds the flags behind the model to d->arguments, and to d->file what TensorRT-LLM takes from a file alone. Fails
 * where the scenario says of the server what neither can say. */
int deploy_flags_add(struct deployed *d, const struct scenario *s, size_t pool, enum deploy_dialect dialect,
                     enum deploy_form form, struct error *err);

/* Adds words to d->arguments. */
void deploy_add(struct deployed *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
