/* SPDX-License-Identifier: MIT */
#include "engine_ref/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 20000 }; /* some 0.2 to 1 ms, with a pause in each: longer than what lies between two operations */

struct workers {
    size_t count;
    pthread_t *threads; /* [count − 1] */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_size_t round; /* of work; a new one starts when it goes up */
    atomic_size_t next_part, busy;
    bool stop;
    size_t parts;
    void (*part)(void *state, size_t i, size_t worker);
    void *state;
};

struct worker {
    struct workers *all;
    size_t index;
};

/* Lets the other thread of the same core run, where there is one. */
static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void take_parts(struct workers *w, size_t worker)
{
    for (size_t i; (i = atomic_fetch_add(&w->next_part, 1)) < w->parts;)
        w->part(w->state, i, worker);
}

static void wait_for_round(struct workers *w, size_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&w->round, memory_order_acquire) != seen)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&w->lock);
    while (atomic_load(&w->round) == seen)
        pthread_cond_wait(&w->wake, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void *work(void *argument)
{
    struct worker *self = argument;
    struct workers *w = self->all;
    size_t index = self->index;
    free(self);
    for (size_t seen = 0;; seen++) {
        wait_for_round(w, seen);
        if (w->stop)
            return NULL;
        take_parts(w, index);
        atomic_fetch_sub(&w->busy, 1);
    }
}

static int start_thread(struct workers *w, size_t index)
{
    struct worker *self = malloc(sizeof *self);
    if (!self)
        return -1;
    *self = (struct worker){w, index};
    if (pthread_create(&w->threads[index - 1], NULL, work, self) == 0)
        return 0;
    free(self);
    return -1;
}

static void start_round(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    atomic_fetch_add(&w->round, 1);
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

int workers_create(struct workers **out, size_t count, struct error *err)
{
    struct workers *w = *out = calloc(1, sizeof *w);
    if (!w)
        return error_no_memory(err);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->count = 1;
    w->threads = calloc(count, sizeof *w->threads);
    for (; w->threads && w->count < count; w->count++)
        if (start_thread(w, w->count))
            break;
    if (w->threads && w->count == count)
        return 0;
    workers_destroy(w);
    *out = NULL;
    return error_set(err, ERROR_RUN, "cannot start %zu threads", count);
}

void workers_destroy(struct workers *w)
{
    if (!w)
        return;
    w->stop = true;
    start_round(w);
    for (size_t i = 0; i + 1 < w->count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->threads);
    free(w);
}

size_t workers_usual(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

size_t workers_count(const struct workers *w)
{
    return w->count;
}

void workers_run(struct workers *w, size_t parts, void (*part)(void *state, size_t i, size_t worker), void *state)
{
    if (w->count == 1 || parts <= 1) {
        for (size_t i = 0; i < parts; i++)
            part(state, i, 0);
        return;
    }
    w->part = part;
    w->state = state;
    w->parts = parts;
    atomic_store(&w->next_part, 0);
    atomic_store(&w->busy, w->count - 1);
    start_round(w);
    take_parts(w, 0);
    for (int i = 0; atomic_load_explicit(&w->busy, memory_order_acquire) > 0; i++) {
        pause_briefly();
        if (i > SPINS)
            sched_yield();
    }
}
