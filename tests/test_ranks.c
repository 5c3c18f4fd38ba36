/* SPDX-License-Identifier: MIT */
/* Ranks of a job, here threads with mailboxes: what they run is what threads run, and a rank that dies, at any time,
 * keeps nobody waiting. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "planner/ranks.h"
#include "tests/harness.h"

enum { RANKS = 3, TRIALS = 6 };

struct letter {
    int from;
    void *bytes;
    size_t size;
    struct letter *next;
};

struct post {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct letter *boxes[RANKS];
    bool dead[RANKS], left_together[RANKS], left[RANKS];
};

struct rank {
    struct transport transport;
    struct post *post;
};

static int post_send(struct transport *t, int to, const void *bytes, size_t size)
{
    struct post *post = t->self;
    struct letter *l = calloc(1, sizeof *l), **at = &post->boxes[to];
    assert_non_null(l);
    *l = (struct letter){.from = t->rank, .bytes = malloc(size), .size = size};
    assert_non_null(l->bytes);
    memcpy(l->bytes, bytes, size);
    pthread_mutex_lock(&post->lock);
    while (*at)
        at = &(*at)->next;
    *at = l;
    pthread_cond_broadcast(&post->changed);
    pthread_mutex_unlock(&post->lock);
    return 0;
}

static int post_receive(struct transport *t, int *from, void **bytes, size_t *size, double wait_s)
{
    struct post *post = t->self;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    double end = (double)until.tv_sec + (double)until.tv_nsec * 1e-9 + wait_s;
    until = (struct timespec){.tv_sec = (time_t)end, .tv_nsec = (long)((end - (double)(time_t)end) * 1e9)};
    pthread_mutex_lock(&post->lock);
    int got = 0, waited = 0;
    while (!post->dead[t->rank] && !post->boxes[t->rank] && waited == 0)
        waited = pthread_cond_timedwait(&post->changed, &post->lock, &until);
    struct letter *l = post->boxes[t->rank];
    if (post->dead[t->rank])
        got = -1;
    else if (l) {
        post->boxes[t->rank] = l->next;
        *from = l->from;
        *size = l->size;
        *bytes = realloc(l->bytes, l->size + 1);
        assert_non_null(*bytes);
        free(l);
        got = 1;
    }
    pthread_mutex_unlock(&post->lock);
    return got;
}

static void post_leave(struct transport *t, bool together)
{
    struct post *post = t->self;
    post->left[t->rank] = true;
    post->left_together[t->rank] = together;
}

static void *work(void *argument)
{
    struct transport *t = argument;
    struct error err = {0};
    ranks_work(t, NULL, &err);
    return NULL;
}

static void *work_unfit(void *argument)
{
    struct transport *t = argument;
    struct error err = {0};
    ranks_work(t, "it lacks something", &err);
    return NULL;
}

static void open_post(struct post *post, struct transport ranks[RANKS])
{
    *post = (struct post){0};
    pthread_mutex_init(&post->lock, NULL);
    pthread_cond_init(&post->changed, NULL);
    for (int r = 0; r < RANKS; r++)
        ranks[r] = (struct transport){
            .rank = r, .size = RANKS, .send = post_send, .receive = post_receive, .leave = post_leave, .self = post};
}

static void close_post(struct post *post)
{
    for (int r = 0; r < RANKS; r++)
        while (post->boxes[r]) {
            struct letter *l = post->boxes[r];
            post->boxes[r] = l->next;
            free(l->bytes);
            free(l);
        }
    pthread_cond_destroy(&post->changed);
    pthread_mutex_destroy(&post->lock);
}

static void kill_rank(struct post *post, int rank)
{
    pthread_mutex_lock(&post->lock);
    post->dead[rank] = true;
    pthread_cond_broadcast(&post->changed);
    pthread_mutex_unlock(&post->lock);
}

enum death { NEVER, AT_FIRST, AT_LAST }; /* before its first trial, after its last answer */

/* Runs the trials on three ranks, and compares with threads. The last rank dies when told. */
static void run_job(struct post *post, enum death death)
{
    static const char scenario[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"ideal-batch-server\", \"cluster\": {\"replicas\": 1},"
        " \"workload\": {\"requests\": 50, \"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 1}, \"lengths\":"
        " {\"prompt\": {\"name\": \"exponential\", \"mean\": 100}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}";
    struct transport ranks[RANKS];
    struct trial trials[TRIALS] = {{0}};
    struct trial_result *results = calloc(TRIALS, sizeof *results), *expected = calloc(TRIALS, sizeof *expected);
    struct trial_pool pool, threads;
    struct planner_watch watch = {0};
    struct error err = {0};
    pthread_t ids[RANKS];
    assert_non_null(results);
    assert_non_null(expected);
    open_post(post, ranks);
    post->dead[RANKS - 1] = death == AT_FIRST;
    for (int r = 1; r < RANKS; r++)
        assert_int_equal(pthread_create(&ids[r], NULL, work, &ranks[r]), 0);
    for (size_t i = 0; i < TRIALS; i++)
        trials[i] = (struct trial){.scenario = scenario, .seed = 1 + i, .scales = {1, 1, 1, 1}};
    assert_int_equal(ranks_pool_create(&ranks[0], &watch, &pool, &err), 0);
    assert_int_equal(trial_pool_run(&pool, trials, TRIALS, results, NULL, NULL, &err), 0);
    if (death == AT_LAST)
        kill_rank(post, RANKS - 1);
    trial_pool_destroy(&pool);
    for (int r = 1; r < RANKS; r++)
        pthread_join(ids[r], NULL);
    assert_int_equal(thread_pool_create(1, &watch, &threads, &err), 0);
    assert_int_equal(trial_pool_run(&threads, trials, TRIALS, expected, NULL, NULL, &err), 0);
    trial_pool_destroy(&threads);
    for (size_t i = 0; i < TRIALS; i++) {
        assert_string_equal(results[i].message, "");
        assert_true(results[i].duration_s == expected[i].duration_s);
        assert_int_equal(results[i].finished, 50);
    }
    close_post(post);
    free(results);
    free(expected);
}

static void test_ranks_run_what_threads_run_and_leave_together(void **state)
{
    (void)state;
    struct post post;
    run_job(&post, NEVER);
    for (int r = 0; r < RANKS; r++)
        assert_true(post.left[r] && post.left_together[r]);
}

static void test_a_dead_rank_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct post post;
    for (enum death death = AT_FIRST; death <= AT_LAST; death++) {
        run_job(&post, death);
        for (int r = 0; r < RANKS; r++)
            assert_true(post.left[r] && !post.left_together[r]);
    }
}

/* A plug-in is missing there, say: rank 0 fails with what that rank says, and all leave together. */
static void test_a_rank_that_cannot_work_is_told_of(void **state)
{
    (void)state;
    struct post post;
    struct transport ranks[RANKS];
    struct trial trial = {.scenario = "{}", .scales = {1, 1, 1, 1}};
    struct trial_result *result = calloc(1, sizeof *result);
    struct trial_pool pool;
    struct planner_watch watch = {0};
    struct error err = {0};
    pthread_t ids[RANKS];
    assert_non_null(result);
    open_post(&post, ranks);
    for (int r = 1; r < RANKS; r++)
        assert_int_equal(pthread_create(&ids[r], NULL, work_unfit, &ranks[r]), 0);
    assert_int_equal(ranks_pool_create(&ranks[0], &watch, &pool, &err), 0);
    assert_int_equal(trial_pool_run(&pool, &trial, 1, result, NULL, NULL, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, ": it lacks something"));
    trial_pool_destroy(&pool);
    for (int r = 1; r < RANKS; r++)
        pthread_join(ids[r], NULL);
    for (int r = 0; r < RANKS; r++)
        assert_true(post.left[r] && post.left_together[r]);
    close_post(&post);
    free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_run_what_threads_run_and_leave_together),
        cmocka_unit_test(test_a_dead_rank_keeps_nobody_waiting),
        cmocka_unit_test(test_a_rank_that_cannot_work_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
