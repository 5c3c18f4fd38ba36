/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/version.h"
#include "planner/rank_message.h"
#include "planner/ranks.h"
#include "policies/plugins.h"
#include "profiles/shared_costs.h"

/* A rank has waited for so many seconds when it takes rank 0 for dead: they are counted, so that time in which the
 * machine or the rank itself stood still is none of them. One that has said goodbye waits for less. */
enum { MOST_WAITS = 600, MOST_GOODBYE_WAITS = 60 };

static int tell_rank_0(struct transport *t, struct rank_message *m, enum rank_message_kind kind, const char *text,
                       struct error *err)
{
    m->kind = kind;
    return rank_message_send(t, 0, m, text, strlen(text)) ? error_set(err, ERROR_RUN, "rank 0 cannot be reached") : 0;
}

/* Why this rank cannot work, or can no longer: rank 0 ends the job with that. */
static int say_unfit(struct transport *t, struct rank_message *m, enum error_code code, const char *why,
                     struct error *err)
{
    m->result.code = code;
    return tell_rank_0(t, m, SAYS_UNFIT, why, err);
}

/* That this rank can work, and with which plug-ins, or why it cannot. */
static int introduce(struct transport *t, struct rank_message *m, const char *unfit, struct error *err)
{
    if (unfit)
        return say_unfit(t, m, ERROR_INPUT, unfit, err);
    char *plugins = plugins_text();
    int status = plugins ? tell_rank_0(t, m, SAYS_READY, plugins, err) : error_no_memory(err);
    free(plugins);
    return status;
}

/* What a rank that works for rank 0 knows. */
struct service {
    struct transport *transport;
    struct shared_costs *costs;
    int waits;                    /* in a row in which nothing came */
    bool goodbye, left, together; /* it has said goodbye; it may leave; with all others */
    bool gave_up;                 /* rank 0 was told why, and says when to leave */
};

/* A trial runs on a thread of its own: this one tells rank 0 meanwhile that the rank is there. */
struct run {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    const struct trial *trial;
    struct shared_costs *costs;
    struct trial_result *result;
    int status;
    struct error err;
    bool over;
};

static void *run_trial(void *argument)
{
    struct run *run = argument;
    int status = trial_run(run->trial, NULL, run->costs, run->result, &run->err);
    pthread_mutex_lock(&run->lock);
    run->status = status;
    run->over = true;
    pthread_cond_signal(&run->ended);
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* Whether the trial has ended within a second. */
static bool ends_soon(struct run *run)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&run->lock);
    for (int waited = 0; !run->over && waited == 0;)
        waited = pthread_cond_timedwait(&run->ended, &run->lock, &until);
    bool over = run->over;
    pthread_mutex_unlock(&run->lock);
    return over;
}

static int run_and_tell(struct transport *t, struct run *run, struct rank_message *m, struct error *err)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_trial, run))
        return error_set(err, ERROR_MEMORY, "not enough memory for a thread");
    m->kind = STILL_HERE;
    while (!ends_soon(run))
        rank_message_send(t, 0, m, NULL, 0); /* one that is lost is not missed */
    pthread_join(thread, NULL);
    *err = run->status ? run->err : *err;
    return run->status;
}

static int answer(struct service *w, int to, const struct rank_message *asked, const char *scenario, struct error *err)
{
    static const size_t room = sizeof(struct rank_message);
    struct rank_message *m = calloc(1, room);
    struct trial trial = {.scenario = scenario, .seed = asked->seed, .keep_rows = asked->keep_rows};
    struct trial_result result = {0};
    struct run run = {.trial = &trial, .costs = w->costs, .result = &result};
    if (!m)
        return error_no_memory(err);
    memcpy(trial.scales, asked->scales, sizeof trial.scales);
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.ended, NULL);
    int status = run_and_tell(w->transport, &run, m, err);
    pthread_cond_destroy(&run.ended);
    pthread_mutex_destroy(&run.lock);
    void *rows = result.rows;
    m->kind = SAYS_RESULT;
    m->index = asked->index;
    m->round = asked->round;
    m->result = result;
    m->result.rows = NULL;
    if (status == 0 && rank_message_send(w->transport, to, m, rows, rows ? result.row_bytes : 0))
        status = error_set(err, ERROR_RUN, "rank 0 cannot be reached");
    free(rows);
    free(m);
    return status;
}

static int wait_on(struct service *w, struct error *err)
{
    w->waits++;
    if (w->goodbye)
        w->left = w->waits > MOST_GOODBYE_WAITS;
    else if (w->waits > MOST_WAITS)
        return error_set(err, ERROR_RUN, "rank %d: rank 0 has said nothing for %d s and is taken for dead",
                         w->transport->rank, MOST_WAITS);
    return 0;
}

/* A trial that this rank could not run, for want of memory say, ends the job. */
static int work_on_trial(struct service *w, int from, struct rank_message *m, const char *scenario, struct error *err)
{
    struct error unsaid;
    if (w->gave_up || answer(w, from, m, scenario, err) == 0)
        return 0;
    w->gave_up = true;
    return say_unfit(w->transport, m, err->code, err->text, &unsaid);
}

static int obey(struct service *w, int from, struct rank_message *m, const char *rest, struct error *err)
{
    w->waits = 0;
    switch (m->kind) {
    case LEAVES:
        w->left = true, w->together = m->together;
        return 0;
    case STILL_HERE:
        return 0;
    case ENDS_WORK:
        w->goodbye = true;
        return tell_rank_0(w->transport, m, SAYS_GOODBYE, "", err);
    case ASKS_TRIAL:
        return work_on_trial(w, from, m, rest, err);
    default:
        return error_set(err, ERROR_RUN, "rank %d: found a message that is for rank 0 alone", w->transport->rank);
    }
}

static int work_until_left(struct service *w, struct rank_message *m, struct error *err)
{
    int status = 0;
    while (status == 0 && !w->left) {
        void *bytes = NULL;
        char *rest = NULL;
        int from = 0, got = rank_message_receive(w->transport, &from, m, &bytes, &rest, 1);
        if (got < 0)
            return error_set(err, ERROR_RUN, "rank %d: found a message that is not of tandem %s", w->transport->rank,
                             TANDEM_VERSION);
        status = got == 0 ? wait_on(w, err) : obey(w, from, m, rest, err);
        free(bytes);
    }
    return w->gave_up ? -1 : status;
}

int ranks_work(struct transport *t, const char *unfit, struct error *err)
{
    struct rank_message *m = calloc(1, sizeof *m);
    struct service w = {.transport = t, .costs = shared_costs_create()};
    int status = m && w.costs ? introduce(t, m, unfit, err) : error_no_memory(err);
    if (status == 0)
        status = work_until_left(&w, m, err);
    free(m);
    shared_costs_destroy(w.costs);
    t->leave(t, w.left && w.together);
    return status;
}
