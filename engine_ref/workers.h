/* SPDX-License-Identifier: MIT */
/* workers.h — threads that run the parts of one operation together. They wait for the next one busily for a while, then
 * asleep. */
#ifndef TANDEM_ENGINE_REF_WORKERS_H
#define TANDEM_ENGINE_REF_WORKERS_H

#include <stddef.h>

#include "base/error.h"

struct workers;

/* `count` threads in all, the caller's included; at least 1. Destroy with workers_destroy. */
int workers_create(struct workers **out, size_t count, struct error *err);
void workers_destroy(struct workers *w);
size_t workers_count(const struct workers *w);

/* As many as this machine has processors for. */
size_t workers_usual(void);

/* Calls part(state, i, worker) for i = 0 … parts − 1, each once, and returns when all are done. */
void workers_run(struct workers *w, size_t parts, void (*part)(void *state, size_t i, size_t worker), void *state);

#endif
