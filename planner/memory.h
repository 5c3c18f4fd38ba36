/* SPDX-License-Identifier: MIT */
/* memory.h — trials kept in a plan's points, so that one that was interrupted goes on where it stopped. */
#ifndef TANDEM_PLANNER_MEMORY_H
#define TANDEM_PLANNER_MEMORY_H

#include "planner/pool.h"
#include "reports/store.h"

struct plan_memory {
    struct store *store;
    int64_t plan_id;
};

/* Finds the plan of this specification that was not finished, or begins one. The store must outlive it. */
int plan_memory_open(struct plan_memory *m, struct store *store, const char *name, const char *specification,
                     bool *resumed, struct error *err);
struct trial_memory plan_memory_of(struct plan_memory *m);

/* Writes what came out, as JSON, and that the plan is finished. */
int plan_memory_finish(struct plan_memory *m, const char *status, const char *result, struct error *err);

/* A result as JSON and back, exactly, without its rows. The text is the caller's to free; NULL: no memory. */
char *trial_result_print(const struct trial_result *r);
int trial_result_parse(const char *text, struct trial_result *out, struct error *err);

/* A trial in 32 hexadecimal digits: of its scenario, its seed, its scales and the program's version. */
void trial_key(const struct trial *t, char key[33]);

#endif
