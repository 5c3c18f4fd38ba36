/* SPDX-License-Identifier: MIT */
/* pool.h — who runs trials: this machine's threads, or the ranks of an MPI job. What is asked and what comes back is
 * the same either way, and does not depend on how many there are. */
#ifndef TANDEM_PLANNER_POOL_H
#define TANDEM_PLANNER_POOL_H

#include "planner/trial.h"

/* How somebody outside watches and ends long work; every member may be NULL. */
struct planner_watch {
    const volatile sig_atomic_t *stop;
    /* `done` of `of` pieces of what is being done; `of` 0: not known. Called by one thread at a time. */
    void (*progress)(void *state, const char *what, double done, double of);
    /* What is known so far, in a line that stays: somebody watches. */
    void (*note)(void *state, const char *line);
    void *state;
};

/* What has been run before, and need not be again. Every call may fail with -1. */
struct trial_memory {
    int (*recall)(void *state, const struct trial *t, struct trial_result *out, struct error *err); /* 1: it was */
    int (*keep)(void *state, const struct trial *t, const struct trial_result *r, struct error *err);
    void *state;
};

struct trial_pool {
    /* Runs trials 0 … count − 1 in any order, several at once; results[i] is the i-th's. `arrived` is called as each
     * comes in, by one thread at a time, and may be NULL; when it fails, no more are started. Returns 0; or -1 when
     * interrupted, or when what runs the trials broke. */
    int (*run)(void *self, const struct trial *trials, size_t count, struct trial_result *results,
               int (*arrived)(void *state, size_t index, struct error *err), void *state, struct error *err);
    void (*destroy)(void *self);
    void *self;
    unsigned workers; /* that can be busy at once */
    const struct planner_watch *watch;
    const struct trial_memory *memory; /* may be NULL */
    uint64_t trials, requests;         /* run so far, and recalled */
};

/* On threads of this process. The watch must outlive it. */
int thread_pool_create(unsigned threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err);
void trial_pool_destroy(struct trial_pool *pool);

/* Recalls what it can, runs the others, keeps what they say, and counts. */
int trial_pool_run(struct trial_pool *pool, const struct trial *trials, size_t count, struct trial_result *results,
                   int (*arrived)(void *state, size_t index, struct error *err), void *state, struct error *err);

#endif
