/* SPDX-License-Identifier: MIT */
/* Ranks of a job, here threads with mailboxes: what they run is what threads run, and a rank that dies, at any time,
 * keeps nobody waiting. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/version.h"
#include "planner/rank_message.h"
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

/* A job of two in which rank 0 says what `says` lists, each at its wait, and nothing else; nobody waits by the clock.
 */
struct said {
    int wait;
    enum rank_message_kind kind;
    bool together;
    const char *rest;
};

struct lone {
    const struct said *next;
    int waits;
    bool left, together;
    struct rank_message last; /* that it sent */
    char rest[300];
};

static int lone_send(struct transport *t, int to, const void *bytes, size_t size)
{
    struct lone *l = t->self;
    assert_int_equal(to, 0);
    assert_true(size >= sizeof l->last && size - sizeof l->last < sizeof l->rest);
    memcpy(&l->last, bytes, sizeof l->last);
    memcpy(l->rest, (const char *)bytes + sizeof l->last, size - sizeof l->last);
    l->rest[size - sizeof l->last] = 0;
    return 0;
}

static int lone_receive(struct transport *t, int *from, void **bytes, size_t *size, double wait_s)
{
    struct lone *l = t->self;
    const struct said *said = l->next;
    assert_true(wait_s == 1);
    if (!said->rest || l->waits < said->wait) {
        l->waits++;
        return 0;
    }
    struct rank_message m = {.kind = said->kind,
                             .together = said->together,
                             .rest = strlen(said->rest),
                             .scales = {1, 1, 1, 1}};
    snprintf(m.version, sizeof m.version, "%s", TANDEM_VERSION);
    *from = 0;
    *size = sizeof m + m.rest;
    assert_non_null(*bytes = malloc(*size + 1));
    memcpy(*bytes, &m, sizeof m);
    memcpy((char *)*bytes + sizeof m, said->rest, m.rest);
    l->next++;
    return 1;
}

static void lone_leave(struct transport *t, bool together)
{
    struct lone *l = t->self;
    l->left = true;
    l->together = together;
}

static int work_alone(const struct said *says, struct lone *l, struct error *err)
{
    struct transport t = {
        .rank = 1, .size = 2, .send = lone_send, .receive = lone_receive, .leave = lone_leave, .self = l};
    *l = (struct lone){.next = says};
    int status = ranks_work(&t, NULL, err);
    assert_true(l->left);
    return status;
}

/* Killed, stopped for good, or lost with its machine. 600 waits of a second, and one. */
static void test_a_rank_whose_rank_0_is_dead_ends_with_a_sentence(void **state)
{
    (void)state;
    struct lone l;
    struct error err = {0};
    assert_int_equal(work_alone((struct said[]){{0}}, &l, &err), -1);
    assert_string_equal(err.text, "rank 1: rank 0 has said nothing for 600 s and is taken for dead");
    assert_int_equal(err.code, ERROR_RUN);
    assert_int_equal(l.waits, 601);
    assert_false(l.together);
    assert_int_equal(work_alone((struct said[]){{599, STILL_HERE, false, ""}, {0}}, &l, &err), -1);
    assert_int_equal(l.waits, 599 + 601);
}

/* Rank 0 may have nothing to hand out for as long as it likes. */
static void test_a_rank_waits_while_rank_0_is_there(void **state)
{
    (void)state;
    struct lone l;
    struct error err = {0};
    const struct said says[] = {{590, STILL_HERE, false, ""}, {1180, STILL_HERE, false, ""},
                                {1700, ENDS_WORK, false, ""}, {1759, STILL_HERE, false, ""},
                                {1818, LEAVES, true, ""},     {0}};
    assert_int_equal(work_alone(says, &l, &err), 0);
    assert_int_equal(l.last.kind, SAYS_GOODBYE);
    assert_true(l.together);
}

/* What it was asked for is done: that rank 0 dies after the goodbye is no failure of this rank. */
static void test_a_rank_that_has_said_goodbye_waits_for_a_minute(void **state)
{
    (void)state;
    struct lone l;
    struct error err = {0};
    assert_int_equal(work_alone((struct said[]){{0, ENDS_WORK, false, ""}, {0}}, &l, &err), 0);
    assert_int_equal(l.waits, 61);
    assert_false(l.together);
}

/* Memory that is short, or here a file that cannot be read (EIO): rank 0 is told whose fault it is, asks for nothing
 * more, and says when to leave, so that a launcher sees nobody vanish. */
static void test_a_rank_that_can_no_longer_work_says_why(void **state)
{
    (void)state;
    struct lone l;
    struct error err = {0};
    const char *unread = "{\"model\": \"llama-3.1-8b\", \"device\": \"ideal-batch-server\","
                         " \"workload\": {\"trace\": \"/proc/self/mem\"}}";
    const struct said says[] = {{0, ASKS_TRIAL, false, unread},
                                {0, ASKS_TRIAL, false, unread},
                                {9, ENDS_WORK, false, ""},
                                {9, LEAVES, true, ""},
                                {0}};
    assert_int_equal(work_alone(says, &l, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, "/proc/self/mem: cannot be read after line 0: Input/output error"));
    assert_true(l.together);
    assert_int_equal(work_alone((struct said[]){{0, ASKS_TRIAL, false, unread}, {0, LEAVES, false, ""}, {0}}, &l, &err),
                     -1);
    assert_int_equal(l.last.kind, SAYS_UNFIT);
    assert_int_equal(l.last.result.code, ERROR_IO);
    assert_string_equal(l.rest, err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_run_what_threads_run_and_leave_together),
        cmocka_unit_test(test_a_dead_rank_keeps_nobody_waiting),
        cmocka_unit_test(test_a_rank_that_cannot_work_is_told_of),
        cmocka_unit_test(test_a_rank_whose_rank_0_is_dead_ends_with_a_sentence),
        cmocka_unit_test(test_a_rank_waits_while_rank_0_is_there),
        cmocka_unit_test(test_a_rank_that_has_said_goodbye_waits_for_a_minute),
        cmocka_unit_test(test_a_rank_that_can_no_longer_work_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
