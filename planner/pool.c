/* SPDX-License-Identifier: MIT */
#include "planner/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "planner/parallel.h"
#include "profiles/shared_costs.h"

struct threads {
    unsigned count;
    const struct planner_watch *watch;
    pthread_mutex_t one_at_a_time;
    struct shared_costs *costs; /* of all trials */
};

struct job {
    struct threads *threads;
    const struct trial *trials;
    struct trial_result *results;
    int (*arrived)(void *state, size_t index, struct error *err);
    void *state;
};

static int work(void *state, size_t index, struct error *err)
{
    struct job *job = state;
    const volatile sig_atomic_t *stop = job->threads->watch->stop;
    if (stop && *stop)
        return error_set(err, ERROR_RUN, "interrupted");
    if (trial_run(&job->trials[index], stop, job->threads->costs, &job->results[index], err))
        return -1;
    if (!job->arrived)
        return 0;
    pthread_mutex_lock(&job->threads->one_at_a_time);
    int status = job->arrived(job->state, index, err);
    pthread_mutex_unlock(&job->threads->one_at_a_time);
    return status;
}

static int threads_run(void *self, const struct trial *trials, size_t count, struct trial_result *results,
                       int (*arrived)(void *state, size_t index, struct error *err), void *state, struct error *err)
{
    struct threads *t = self;
    struct job job = {.threads = t, .trials = trials, .results = results, .arrived = arrived, .state = state};
    return parallel_run(work, &job, count, t->count, err);
}

static void threads_destroy(void *self)
{
    struct threads *t = self;
    pthread_mutex_destroy(&t->one_at_a_time);
    shared_costs_destroy(t->costs);
    free(t);
}

int thread_pool_create(unsigned threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err)
{
    struct threads *t = calloc(1, sizeof *t);
    if (!t || !(t->costs = shared_costs_create()) || pthread_mutex_init(&t->one_at_a_time, NULL)) {
        if (t)
            shared_costs_destroy(t->costs);
        free(t);
        return error_no_memory(err);
    }
    t->count = threads;
    t->watch = watch;
    *out = (struct trial_pool){
        .run = threads_run, .destroy = threads_destroy, .self = t, .workers = threads, .watch = watch};
    return 0;
}

void trial_pool_destroy(struct trial_pool *pool)
{
    if (pool->destroy)
        pool->destroy(pool->self);
    *pool = (struct trial_pool){0};
}

/* The trials that have to be run, and who waits for them. */
struct asked {
    struct trial_pool *pool;
    struct trial *trials;
    struct trial_result *results;
    size_t *places; /* in what was asked for */
    size_t count;
    int (*arrived)(void *state, size_t index, struct error *err);
    void *state;
    struct trial_result *into;
    double done, of;
};

static int on_arrival(void *state, size_t index, struct error *err)
{
    struct asked *a = state;
    const struct trial_memory *memory = a->pool->memory;
    const struct planner_watch *watch = a->pool->watch;
    a->into[a->places[index]] = a->results[index];
    if (memory && memory->keep(memory->state, &a->trials[index], &a->results[index], err))
        return -1;
    free(a->into[a->places[index]].rows); /* they are where they belong, or nobody wanted them */
    a->into[a->places[index]].rows = NULL;
    a->done++;
    if (watch->progress && a->of > 1)
        watch->progress(watch->state, "trials", a->done, a->of);
    return a->arrived ? a->arrived(a->state, a->places[index], err) : 0;
}

static int recall(struct asked *a, const struct trial *trials, size_t count, struct error *err)
{
    const struct trial_memory *memory = a->pool->memory;
    for (size_t i = 0; i < count; i++) {
        int known = memory ? memory->recall(memory->state, &trials[i], &a->into[i], err) : 0;
        if (known < 0)
            return -1;
        if (known == 0) {
            a->trials[a->count] = trials[i];
            a->places[a->count++] = i;
        } else if (a->arrived && a->arrived(a->state, i, err))
            return -1;
    }
    return 0;
}

int trial_pool_run(struct trial_pool *pool, const struct trial *trials, size_t count, struct trial_result *results,
                   int (*arrived)(void *state, size_t index, struct error *err), void *state, struct error *err)
{
    struct asked a = {.pool = pool,
                      .trials = calloc(count + 1, sizeof *a.trials),
                      .results = calloc(count + 1, sizeof *a.results),
                      .places = calloc(count + 1, sizeof *a.places),
                      .arrived = arrived,
                      .state = state,
                      .into = results,
                      .of = (double)count};
    int status = a.trials && a.results && a.places ? recall(&a, trials, count, err) : error_no_memory(err);
    a.done = (double)(count - a.count);
    if (status == 0)
        status = pool->run(pool->self, a.trials, a.count, a.results, on_arrival, &a, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        pool->requests += results[i].arrived;
    pool->trials += count;
    free(a.trials);
    free(a.results);
    free(a.places);
    return status;
}
