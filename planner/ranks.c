/* SPDX-License-Identifier: MIT */
#include "planner/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/version.h"
#include "planner/rank_message.h"
#include "policies/plugins.h"

enum { AHEAD = 2 }; /* trials that a rank has at a time, so that it does not wait for the next one */

/* A rank that has work is heard of every second; one that is not within so much is taken for dead. Time in which rank 0
 * looked for no messages counts as at most half a second: it may have been stopped, and the others with it. */
static const double patience_s = 10, most_of_a_pause_s = 0.5;

/* A rank that has started says so within this time. */
static const double start_s = 60;

/* Ranks that wait hear of rank 0 this often. */
static const double still_here_s = 10;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct worker {
    bool ready, dead;
    size_t given[AHEAD]; /* indices of its trials */
    size_t count;
    double heard_s; /* when it was last heard of, or given work while idle, by rank 0's own clock */
};

struct ranks {
    struct transport *transport;
    const struct planner_watch *watch;
    struct worker *workers; /* [size]; 0 is this one */
    uint64_t round;
    double clock_s, looked_s; /* rank 0's own clock, and when it was set */
    double beat_s;            /* when those that wait were last told that rank 0 is there */
    bool any_dead;
};

/* One call to run. */
struct errand {
    const struct trial *trials;
    struct trial_result *results;
    size_t count, next, done;
    bool *finished; /* [count] */
    size_t *again;  /* [again_count] whose ranks died */
    size_t again_count;
    int (*arrived)(void *state, size_t index, struct error *err);
    void *state;
};

static int give(struct ranks *r, int rank, struct errand *e, size_t index)
{
    struct worker *w = &r->workers[rank];
    struct rank_message *m = calloc(1, sizeof *m);
    if (!m)
        return -1;
    const struct trial *t = &e->trials[index];
    m->kind = ASKS_TRIAL;
    m->index = (int64_t)index;
    m->round = r->round;
    m->seed = t->seed;
    m->keep_rows = t->keep_rows;
    memcpy(m->scales, t->scales, sizeof m->scales);
    int status = rank_message_send(r->transport, rank, m, t->scenario, strlen(t->scenario));
    free(m);
    if (w->count == 0)
        w->heard_s = r->clock_s;
    w->given[w->count++] = index;
    return status;
}

static void bury(struct ranks *r, int rank, struct errand *e)
{
    struct worker *w = &r->workers[rank];
    w->dead = true;
    r->any_dead = true;
    fprintf(stderr, "rank %d does not answer; its trials are run again by others\n", rank);
    for (size_t i = 0; i < w->count; i++)
        if (!e->finished[w->given[i]])
            e->again[e->again_count++] = w->given[i];
    w->count = 0;
}

/* Hands out what is left: to each rank one trial more than it has, in turn, up to AHEAD. */
static void hand_out(struct ranks *r, struct errand *e)
{
    for (size_t depth = 0; depth < AHEAD; depth++)
        for (int rank = 1; rank < r->transport->size; rank++) {
            struct worker *w = &r->workers[rank];
            if (!w->ready || w->dead || w->count != depth || (e->again_count == 0 && e->next == e->count))
                continue;
            size_t index = e->again_count > 0 ? e->again[--e->again_count] : e->next++;
            if (!e->finished[index] && give(r, rank, e, index))
                bury(r, rank, e);
        }
}

static int take_result(struct ranks *r, int from, const struct rank_message *m, const char *rest, struct errand *e,
                       struct error *err)
{
    struct worker *w = &r->workers[from];
    size_t index = (size_t)m->index, kept = 0;
    if (m->round != r->round || index >= e->count)
        return 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->given[i] != index)
            w->given[kept++] = w->given[i];
    w->count = kept;
    if (e->finished[index])
        return 0;
    struct trial_result *out = &e->results[index];
    *out = m->result;
    if (m->rest > 0) {
        out->rows = malloc(m->rest);
        if (!out->rows)
            return error_no_memory(err);
        memcpy(out->rows, rest, m->rest);
    }
    e->finished[index] = true;
    e->done++;
    return e->arrived ? e->arrived(e->state, index, err) : 0;
}

/* Says so to those that have nothing to do, when it is time: who works asks for nothing meanwhile. */
static void say_still_here(struct ranks *r)
{
    double now = now_s();
    struct rank_message *m = now - r->beat_s > still_here_s ? calloc(1, sizeof *m) : NULL;
    for (int rank = 1; m && rank < r->transport->size; rank++) {
        m->kind = STILL_HERE;
        if (!r->workers[rank].dead && r->workers[rank].count == 0)
            rank_message_send(r->transport, rank, m, NULL, 0);
        r->beat_s = now;
    }
    free(m);
}

/* A rank that has the plug-ins of this one gets work. */
static int take_ready(struct ranks *r, int from, const char *plugins, struct error *err)
{
    char *own = plugins_text();
    int status = !own                        ? error_no_memory(err)
                 : strcmp(own, plugins) == 0 ? 0
                                             : error_set(err, ERROR_INPUT,
                                                         "rank %d has other plug-ins than rank 0: found %.300s, "
                                                         "expected %.300s",
                                                         from, plugins, own);
    free(own);
    r->workers[from].ready = status == 0;
    return status;
}

static int check_on_workers(struct ranks *r, struct errand *e, double started_s, struct error *err)
{
    int alive = 0;
    double now = now_s();
    for (int rank = 1; rank < r->transport->size; rank++) {
        struct worker *w = &r->workers[rank];
        if (!w->dead && w->count > 0 && r->clock_s - w->heard_s > patience_s)
            bury(r, rank, e);
        alive += !w->dead && (w->ready || now - started_s < start_s);
    }
    return alive ? 0 : error_set(err, ERROR_RUN, "all ranks but 0 are dead; what was finished is kept");
}

static void set_clock(struct ranks *r)
{
    double now = now_s(), passed = now - r->looked_s;
    r->clock_s += passed < most_of_a_pause_s ? passed : most_of_a_pause_s;
    r->looked_s = now;
}

static int take_message(struct ranks *r, int from, const struct rank_message *m, const char *rest, struct errand *e,
                        struct error *err)
{
    struct worker *w = &r->workers[from];
    w->heard_s = r->clock_s;
    if (w->dead) { /* it was only slow */
        w->dead = false;
        w->count = 0;
    }
    switch (m->kind) {
    case STILL_HERE:
        return 0;
    case SAYS_READY:
        return take_ready(r, from, rest, err);
    case SAYS_UNFIT:
        return error_set(err, m->result.code ? m->result.code : ERROR_INPUT, "rank %d: %s", from, rest);
    case SAYS_RESULT:
        return take_result(r, from, m, rest, e, err);
    default:
        return error_set(err, ERROR_RUN, "found a message of rank %d that is not for rank 0", from);
    }
}

static int work_off(struct ranks *r, struct errand *e, struct error *err)
{
    const volatile sig_atomic_t *stop = r->watch->stop;
    struct rank_message *m = calloc(1, sizeof *m);
    double started = now_s();
    int status = m ? 0 : error_no_memory(err);
    while (status == 0 && e->done < e->count) {
        void *bytes = NULL;
        char *rest = NULL;
        int from = 0;
        if (stop && *stop) {
            status = error_set(err, ERROR_RUN, "interrupted");
            break;
        }
        set_clock(r);
        hand_out(r, e);
        say_still_here(r);
        int got = rank_message_receive(r->transport, &from, m, &bytes, &rest, 0.2);
        if (got < 0)
            status = error_set(err, ERROR_RUN, "found a message that is not of tandem %s", TANDEM_VERSION);
        else if (got == 0)
            status = check_on_workers(r, e, started, err);
        else
            status = take_message(r, from, m, rest, e, err);
        if (got > 0)
            free(bytes);
    }
    free(m);
    return status;
}

static int ranks_run(void *self, const struct trial *trials, size_t count, struct trial_result *results,
                     int (*arrived)(void *state, size_t index, struct error *err), void *state, struct error *err)
{
    struct ranks *r = self;
    struct errand e = {.trials = trials,
                       .results = results,
                       .count = count,
                       .finished = calloc(count + 1, sizeof *e.finished),
                       .again = calloc(count + (size_t)(r->transport->size * AHEAD) + 1, sizeof *e.again),
                       .arrived = arrived,
                       .state = state};
    r->round++;
    for (int rank = 1; rank < r->transport->size; rank++)
        r->workers[rank].count = 0;
    int status = e.finished && e.again ? work_off(r, &e, err) : error_no_memory(err);
    free(e.finished);
    free(e.again);
    return status;
}

static void tell_all(struct transport *t, enum rank_message_kind kind, bool together)
{
    struct rank_message *m = calloc(1, sizeof *m);
    for (int rank = 1; m && rank < t->size; rank++) {
        m->kind = kind;
        m->together = together;
        rank_message_send(t, rank, m, NULL, 0);
    }
    free(m);
}

/* Waits until every rank has said goodbye, or for wait_s. What else they still have to say is not left lying. Those
 * that have said it hear meanwhile that they are waited with. Returns whether all have. */
static bool hear_goodbyes(struct transport *t, double wait_s)
{
    double until = now_s() + wait_s, beat_s = now_s();
    int missing = t->size - 1;
    struct rank_message *m = calloc(1, sizeof *m);
    for (int got = 0; m && missing > 0 && got >= 0 && now_s() < until;) {
        void *bytes = NULL;
        char *rest = NULL;
        int from = 0;
        got = rank_message_receive(t, &from, m, &bytes, &rest, 0.2);
        if (got > 0)
            free(bytes);
        missing -= got > 0 && m->kind == SAYS_GOODBYE;
        if (now_s() - beat_s > still_here_s) {
            tell_all(t, STILL_HERE, false);
            beat_s = now_s();
        }
    }
    free(m);
    return missing == 0;
}

/* All leave together only where all say goodbye: a rank may have died after its last answer, and nobody would wait for
 * it in vain. Others are told of an end without ceremony, also those that only seem dead. */
static void dismiss(struct transport *t, bool any_dead, double wait_s)
{
    tell_all(t, ENDS_WORK, false);
    bool together = !any_dead && hear_goodbyes(t, wait_s);
    tell_all(t, LEAVES, together);
    t->leave(t, together);
}

void ranks_dismiss(struct transport *t)
{
    dismiss(t, false, start_s);
}

static void ranks_destroy(void *self)
{
    struct ranks *r = self;
    double wait_s = patience_s;
    for (int rank = 1; rank < r->transport->size; rank++)
        if (!r->workers[rank].ready)
            wait_s = start_s;
    dismiss(r->transport, r->any_dead, wait_s);
    free(r->workers);
    free(r);
}

int ranks_pool_create(struct transport *t, const struct planner_watch *watch, struct trial_pool *out, struct error *err)
{
    struct ranks *r = calloc(1, sizeof *r);
    if (!r || !(r->workers = calloc((size_t)t->size, sizeof *r->workers))) {
        free(r);
        return error_no_memory(err);
    }
    r->transport = t;
    r->watch = watch;
    *out = (struct trial_pool){.run = ranks_run,
                               .destroy = ranks_destroy,
                               .self = r,
                               .workers = (unsigned)(t->size > 1 ? t->size - 1 : 1),
                               .watch = watch};
    return 0;
}
