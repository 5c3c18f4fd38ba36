/* SPDX-License-Identifier: MIT */
#include "planner/parallel.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct pool {
    parallel_work work;
    void *job;
    size_t count, next;
    size_t failed_index;
    struct error error; /* of the failed piece of lowest index */
    pthread_mutex_t mutex;
};

static size_t take_piece(struct pool *p)
{
    pthread_mutex_lock(&p->mutex);
    size_t piece = p->error.code == ERROR_NONE && p->next < p->count ? p->next++ : p->count;
    pthread_mutex_unlock(&p->mutex);
    return piece;
}

static void note_failure(struct pool *p, size_t piece, const struct error *err)
{
    pthread_mutex_lock(&p->mutex);
    if (p->error.code == ERROR_NONE || piece < p->failed_index) {
        p->error = *err;
        p->failed_index = piece;
    }
    pthread_mutex_unlock(&p->mutex);
}

static void *work_on(void *state)
{
    struct pool *p = state;
    for (size_t piece; (piece = take_piece(p)) < p->count;) {
        struct error err = {0};
        if (p->work(p->job, piece, &err) || memory_check(&err)) {
            if (err.code == ERROR_NONE)
                error_set(&err, ERROR_RUN, "piece %zu failed", piece);
            note_failure(p, piece, &err);
        }
    }
    return NULL;
}

int parallel_run(parallel_work work, void *job, size_t count, unsigned threads, struct error *err)
{
    struct pool p = {.work = work, .job = job, .count = count};
    unsigned helpers = 0, wanted = threads > count ? (unsigned)count : threads;
    pthread_t *thread = wanted > 1 ? calloc(wanted - 1, sizeof *thread) : NULL;
    if (pthread_mutex_init(&p.mutex, NULL)) {
        free(thread);
        return error_no_memory(err);
    }
    while (thread && helpers + 1 < wanted && pthread_create(&thread[helpers], NULL, work_on, &p) == 0)
        helpers++;
    work_on(&p); /* this thread works, too; with none else it does everything */
    for (unsigned i = 0; i < helpers; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&p.mutex);
    free(thread);
    if (p.error.code == ERROR_NONE)
        return 0;
    *err = p.error;
    return -1;
}

unsigned parallel_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}
