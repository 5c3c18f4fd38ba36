/* SPDX-License-Identifier: MIT */
/* Any bytes as the messages that a rank of a job gets. The first byte says which rank it is. A message is five bytes,
 * for its kind, the rank that it comes from, how many bytes of it are changed, how many are cut off and how many follow
 * it; then changes of three bytes, for place and value; then what follows. The rank ends with a sentence or its work.
 */
#include "base/version.h"
#include "planner/rank_message.h"
#include "planner/ranks.h"
#include "tests/fuzz/fuzz.h"

enum { RANKS = 3, TRIALS = 2 };

static const char scenario[] =
    "{\"model\": \"llama-3.1-8b\", \"device\": \"ideal-batch-server\", \"workload\": {\"requests\": 3, \"arrivals\":"
    "{\"name\": \"poisson\", \"rate_per_s\": 1}, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 9},"
    "\"output\": {\"name\": \"fixed\", \"tokens\": 2}}}}";

struct inbox {
    const uint8_t *at;
    size_t left;
};

static int drop(struct transport *t, int to, const void *bytes, size_t size)
{
    (void)t, (void)bytes;
    return to >= 0 && to < RANKS && size >= sizeof(struct rank_message) ? 0 : -1;
}

/* Seeds know these by their places. */
static const enum rank_message_kind kinds[] = {SAYS_READY, SAYS_UNFIT,   ASKS_TRIAL, SAYS_RESULT,
                                               ENDS_WORK,  SAYS_GOODBYE, LEAVES,     STILL_HERE};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void write_message(const uint8_t *head, struct inbox *in, char **bytes, size_t *size)
{
    static struct rank_message m; /* whose padding is 0 */
    bool asks = kinds[head[0] % KINDS] == ASKS_TRIAL && head[4] == 0;
    size_t changes = head[2] % 16, rest = asks ? strlen(scenario) : head[4] < in->left ? head[4] : in->left;
    memset(&m, 0, sizeof m);
    m.kind = kinds[head[0] % KINDS];
    m.round = 1;
    m.index = head[0] / 16 % TRIALS;
    m.rest = m.result.row_bytes = rest;
    for (size_t i = 0; i < SCALE_COUNT; i++)
        m.scales[i] = 1;
    snprintf(m.version, sizeof m.version, "%s", TANDEM_VERSION);
    *size = sizeof m + rest;
    if (!(*bytes = malloc(*size + 1)))
        abort();
    memcpy(*bytes, &m, sizeof m);
    for (; changes > 0 && in->left >= 3; changes--, in->at += 3, in->left -= 3)
        (*bytes)[((size_t)in->at[0] << 8 | in->at[1]) % sizeof m] = (char)in->at[2];
    rest = rest < in->left || asks ? rest : in->left;
    memset(*bytes + sizeof m, ' ', *size - sizeof m);
    memcpy(*bytes + sizeof m, asks ? (const void *)scenario : in->at, rest);
    if (!asks)
        in->at += rest, in->left -= rest;
    *size -= head[3] < 250 ? 0 : head[3] - 249u;
}

static int receive(struct transport *t, int *from, void **bytes, size_t *size, double wait_s)
{
    struct inbox *in = t->self;
    char *text = NULL;
    (void)wait_s;
    if (in->left < 5)
        return -1;
    const uint8_t *head = in->at;
    in->at += 5, in->left -= 5;
    write_message(head, in, &text, size);
    *from = head[1] % RANKS;
    *bytes = text;
    return 1;
}

static void leave(struct transport *t, bool together)
{
    (void)t, (void)together;
}

static void lead(struct transport *t)
{
    struct trial trials[TRIALS];
    struct trial_result *results = calloc(TRIALS, sizeof *results);
    struct trial_pool pool;
    struct planner_watch watch = {0};
    struct error err = {0};
    if (!results || ranks_pool_create(t, &watch, &pool, &err))
        abort();
    for (size_t i = 0; i < TRIALS; i++)
        trials[i] = (struct trial){.scenario = scenario, .seed = i, .scales = {1, 1, 1, 1}};
    if (pool.run(pool.self, trials, TRIALS, results, NULL, NULL, &err))
        fuzz_expect_sentence(&err);
    for (size_t i = 0; i < TRIALS; i++) {
        if (utf8_check(results[i].message) > sizeof results[i].message)
            abort();
        free(results[i].rows);
    }
    pool.destroy(pool.self);
    free(results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct inbox in = {.at = data + 1, .left = size - 1};
    struct transport t = {
        .rank = data[0] % 2, .size = RANKS, .send = drop, .receive = receive, .leave = leave, .self = &in};
    struct error err = {0};
    if (t.rank == 0)
        lead(&t);
    else if (ranks_work(&t, NULL, &err))
        fuzz_expect_sentence(&err);
    return 0;
}
