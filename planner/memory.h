/* SPDX-License-Identifier: MIT */
/* memory.h — trials kept in the points of a plan or sweep, so that one that was interrupted goes on where it stopped.
 */
#ifndef TANDEM_PLANNER_MEMORY_H
#define TANDEM_PLANNER_MEMORY_H

#include "planner/pool.h"
#include "reports/store/store.h"

struct journal {
    struct store *store;
    const char *table; /* "plan" or "sweep" */
    int64_t id;        /* there */
};

/* Finds the plan or sweep of this specification that was not finished, or begins one. The store must outlive it.
 *
 * Two processes that do so at once work on the same one: each recalls what the other has kept before it starts a batch
 * of trials, and of a trial that both run the first result is kept. */
int journal_open(struct journal *j, struct store *store, const char *table, const char *name, const char *specification,
                 bool *resumed, struct error *err);

/* Recalls trials by their labels, where they have them, else by their keys; keeps their rows as runs. */
struct trial_memory journal_memory(struct journal *j);

/* Says how it ended. `result` is JSON, for a plan; else NULL. */
int journal_finish(struct journal *j, const char *status, const char *result, struct error *err);

/* A result as JSON and back, exactly, without its rows. The text is the caller's to free; NULL: no memory. */
char *trial_result_print(const struct trial_result *r);
int trial_result_parse(const char *text, struct trial_result *out, struct error *err);

/* A trial in 32 hexadecimal digits: of its scenario, its seed, its scales and the program's version. */
void trial_key(const struct trial *t, char key[33]);

#endif
