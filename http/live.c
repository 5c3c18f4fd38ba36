/* SPDX-License-Identifier: MIT */
/* The thread that runs the simulation holds the lock but while it waits: whoever has the lock sees a cluster between
 * two events. */
#include "http/live.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reports/formats/openmetrics.h"
#include "workloads/trace.h"

enum { LOOK_NS = 50000000 }; /* for a signal */

struct live_request {
    struct live_request *next; /* of those that wait to be taken in, or of those that are served */
    struct live *live;
    struct arrival arrival;
    const struct request *in_run; /* since it was taken in, and until it has ended */
    struct live_state state;
    sim_time last_token; /* when it came */
    uint32_t coming;     /* tokens that it has when the next one has come, and when that is */
    sim_time coming_at;
    bool released, scheduled;
    pthread_cond_t changed;
};

struct live {
    struct live_options options;
    pthread_mutex_t lock;
    pthread_cond_t wake;                  /* a request has come, or the run is to end */
    struct live_request *queue, **behind; /* submitted, not taken in yet */
    struct live_request *served;
    int said; /* what the source has answered last: 1, 0 or SOURCE_WAITS */
    uint64_t submitted;
    bool started, drains, over;
    int64_t wall_start; /* ns, at simulated time 0 */
    sim_time simulated; /* everything up to there has been */
    uint64_t kv_blocks;
    struct live_counts counts;
};

static int64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const double *live_bounds(enum live_histogram h)
{
    switch (h) {
    case LIVE_TTFT:
        return openmetrics_token_times;
    case LIVE_GAP:
    case LIVE_TPOT:
        return openmetrics_gaps;
    case LIVE_PROMPT:
    case LIVE_OUTPUT:
        return openmetrics_tokens;
    default:
        return openmetrics_request_times;
    }
}

static void observe(struct live *live, enum live_histogram h, double value)
{
    const double *bounds = live_bounds(h);
    size_t i = 0;
    while (bounds[i] > 0 && value > bounds[i])
        i++;
    live->counts.histograms[h].counts[i]++;
    live->counts.histograms[h].sum += value;
    live->counts.histograms[h].total++;
}

struct live *live_create(const struct live_options *o)
{
    pthread_condattr_t monotonic;
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return NULL;
    live->options = *o;
    live->behind = &live->queue;
    live->simulated = -1;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&live->lock, NULL);
    pthread_cond_init(&live->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return live;
}

void live_destroy(struct live *live)
{
    if (!live)
        return;
    pthread_cond_destroy(&live->wake);
    pthread_mutex_destroy(&live->lock);
    free(live);
}

/* Simulated time by the wall clock; it stands still until somebody comes. */
static sim_time clock_now(const struct live *live)
{
    return live->started ? (sim_time)((double)(wall_ns() - live->wall_start) * live->options.speed) : 0;
}

static struct live_request *request_create(struct live *live, const struct live_wish *wish)
{
    struct live_request *r = calloc(1, sizeof *r);
    uint64_t *hashes = wish->hash_count > 0 ? malloc(wish->hash_count * sizeof *hashes) : NULL;
    if (!r || (wish->hash_count > 0 && !hashes)) {
        free(r);
        free(hashes);
        return NULL;
    }
    if (hashes)
        memcpy(hashes, wish->hashes, wish->hash_count * sizeof *hashes);
    r->live = live;
    r->arrival = (struct arrival){.prompt_tokens = wish->prompt_tokens,
                                  .output_tokens = wish->output_tokens,
                                  .max_output_tokens = wish->output_tokens,
                                  .hashes = hashes,
                                  .hash_count = wish->hash_count,
                                  .hash_tokens = wish->hash_tokens};
    r->state = (struct live_state){.first_token = -1, .last_token = -1, .answered = -1};
    pthread_cond_init(&r->changed, NULL);
    return r;
}

static void request_free(struct live_request *r)
{
    pthread_cond_destroy(&r->changed);
    free((uint64_t *)(uintptr_t)r->arrival.hashes);
    free(r);
}

static bool takes_more(const struct live *live)
{
    return !live->drains && !live->over &&
           (live->options.most_requests == 0 || live->submitted < live->options.most_requests);
}

struct live_request *live_submit(struct live *live, const struct live_wish *wish, bool *ended)
{
    struct live_request *r = request_create(live, wish);
    *ended = false;
    if (!r)
        return NULL;
    pthread_mutex_lock(&live->lock);
    if ((*ended = !takes_more(live))) {
        pthread_mutex_unlock(&live->lock);
        request_free(r);
        return NULL;
    }
    sim_time now = clock_now(live), least = live->simulated + 1;
    if (!live->started) {
        live->started = true;
        live->wall_start = wall_ns();
    }
    /* What has been simulated cannot change: it arrives after that. */
    r->arrival.at = now > least ? now : least;
    r->state.id = live->submitted++;
    *live->behind = r;
    live->behind = &r->next;
    pthread_cond_signal(&live->wake);
    pthread_mutex_unlock(&live->lock);
    return r;
}

struct live_state live_await(struct live_request *r, uint32_t seen)
{
    struct live *live = r->live;
    pthread_mutex_lock(&live->lock);
    while (r->state.tokens <= seen && r->state.end == LIVE_GOES_ON)
        pthread_cond_wait(&r->changed, &live->lock);
    struct live_state state = r->state;
    pthread_mutex_unlock(&live->lock);
    return state;
}

void live_release(struct live_request *r)
{
    struct live *live = r->live;
    pthread_mutex_lock(&live->lock);
    bool ended = r->state.end != LIVE_GOES_ON;
    r->released = true;
    pthread_mutex_unlock(&live->lock);
    if (ended)
        request_free(r);
}

/* ---- the run: the source ---- */

static int next(void *state, struct arrival *out, struct error *err)
{
    struct live *live = state;
    struct live_request *r = live->queue;
    if (!r)
        return live->said = takes_more(live) ? SOURCE_WAITS : 0;
    live->queue = r->next;
    if (!live->queue)
        live->behind = &live->queue;
    r->next = live->served;
    live->served = r;
    *out = r->arrival;
    if (live->options.arrivals && trace_write_line(live->options.arrivals, &r->arrival))
        return error_set(err, ERROR_IO, "the arrivals could not be written");
    return live->said = 1;
}

/* ---- the run: its listeners ---- */

static void tell_tokens(struct live *live, struct live_request *q, uint32_t tokens, sim_time at)
{
    if (q->state.tokens > 0)
        observe(live, LIVE_GAP, sim_time_to_s(at - q->last_token));
    live->counts.output_tokens += tokens - q->state.tokens;
    q->last_token = at;
    q->state.tokens = tokens;
    pthread_cond_signal(&q->changed);
}

static struct live_request **find(struct live *live, uint64_t id)
{
    struct live_request **at = &live->served;
    while (*at && (*at)->state.id != id)
        at = &(*at)->next;
    return at;
}

/* Nothing more becomes of it. */
static void end_request(struct live *live, const struct request *r, enum live_end how, const char *reason)
{
    struct live_request **at = find(live, r->id), *q = *at;
    if (!q)
        return;
    *at = q->next;
    q->in_run = NULL;
    q->state.end = how;
    q->state.reason = reason;
    if (how == LIVE_FINISHED) {
        if (r->output_tokens > q->state.tokens)
            tell_tokens(live, q, r->output_tokens, r->last_token);
        q->state.first_token = r->first_token - r->arrival;
        q->state.last_token = r->last_token - r->arrival;
        q->state.answered = request_answered(r) - r->arrival;
    }
    if (q->released)
        request_free(q);
    else
        pthread_cond_signal(&q->changed);
}

static void arrived(void *state, struct station_id station, const struct request *r)
{
    struct live_request *q = *find(state, r->id);
    (void)station;
    if (q)
        q->in_run = r;
}

static void delayed(void *state, size_t delay, const struct request *r)
{
    (void)delay;
    arrived(state, DELAY_STATIONS, r);
}

static void scheduled(void *state, struct station_id station, const struct request *r)
{
    struct live_request *q = *find(state, r->id);
    (void)station;
    if (q)
        q->scheduled = true;
}

static void preempted(void *state, struct station_id station, const struct request *r)
{
    (void)station, (void)r;
    ((struct live *)state)->counts.preemptions++;
}

static void rejected(void *state, const struct request *r, const char *reason)
{
    struct live *live = state;
    live->counts.rejected++;
    end_request(live, r, LIVE_REJECTED, reason);
}

static void lost(void *state, const struct request *r, sim_time at, const char *reason)
{
    struct live *live = state;
    (void)at;
    live->counts.lost++;
    end_request(live, r, LIVE_LOST, reason);
}

static void finished(void *state, struct station_id station, const struct request *r)
{
    struct live *live = state;
    struct live_counts *c = &live->counts;
    c->finished++;
    if (station.index != NO_STATION.index) {
        double first = sim_time_to_s(r->first_token - r->arrival),
               e2e = sim_time_to_s(request_answered(r) - r->arrival),
               queue = sim_time_to_s(r->first_scheduled - r->arrival);
        observe(live, LIVE_TTFT, first);
        observe(live, LIVE_E2E, e2e);
        observe(live, LIVE_QUEUE, queue);
        observe(live, LIVE_PREFILL, first - queue);
        observe(live, LIVE_DECODE, e2e - first);
        observe(live, LIVE_INFERENCE, e2e - queue);
        if (r->output_tokens > 1)
            observe(live, LIVE_TPOT, sim_time_to_s(r->last_token - r->first_token) / (r->output_tokens - 1));
    }
    observe(live, LIVE_PROMPT, r->prompt_tokens);
    observe(live, LIVE_OUTPUT, r->output_tokens);
    c->prompt_tokens += r->prompt_tokens;
    c->cached_tokens += r->cached_tokens;
    end_request(live, r, LIVE_FINISHED, NULL);
}

/* ---- the run: its clock ---- */

static void tell_those_that_came(struct live *live, struct live_request *q)
{
    if (q->coming > q->state.tokens && q->coming_at <= live->simulated)
        tell_tokens(live, q, q->coming, q->coming_at);
}

/* Tokens that came with the event before; what an engine has scheduled ahead comes with the next one. */
static void hand_out(struct live *live, struct cluster *c)
{
    for (struct live_request *q = live->served; q; q = q->next) {
        if (!q->in_run)
            continue;
        tell_those_that_came(live, q);
        q->coming = cluster_generated(c, q->in_run, &q->coming_at);
        tell_those_that_came(live, q);
    }
    live->counts.kv_use = live->kv_blocks > 0 ? (double)cluster_kv_in_use(c) / (double)live->kv_blocks : 0;
}

static void wait_a_while(struct live *live, sim_time until)
{
    double now = (double)wall_ns(), at = now + LOOK_NS;
    if (live->started && until != SIM_TIME_NEVER) {
        double due = (double)live->wall_start + (double)until / live->options.speed + 1;
        at = due < at ? due : at;
    }
    struct timespec t = {.tv_sec = (time_t)(at * 1e-9)};
    t.tv_nsec = (long)(at - (double)t.tv_sec * 1e9);
    pthread_cond_timedwait(&live->wake, &live->lock, &t);
}

/* Whether the source, which had nobody, has somebody now, or will have nobody any more. */
static bool has_news(const struct live *live)
{
    return live->said == SOURCE_WAITS && (live->queue || !takes_more(live));
}

static bool goes_on(struct live *live, sim_time at)
{
    if (live->options.stop && *live->options.stop)
        live->drains = true;
    if (has_news(live) || live->drains)
        return true;
    return at == SIM_TIME_NEVER ? live->said == 0 : live->started && clock_now(live) >= at;
}

static bool wait_for(void *state, struct cluster *c, sim_time next_event)
{
    struct live *live = state;
    hand_out(live, c);
    while (!goes_on(live, next_event))
        wait_a_while(live, next_event);
    if (has_news(live))
        return true;
    live->simulated = next_event;
    return false;
}

/* Nobody is taken any more; whoever has no end yet will have none. */
static void end_run(struct live *live)
{
    live->over = true;
    if (live->queue) {
        *live->behind = live->served;
        live->served = live->queue;
        live->queue = NULL;
        live->behind = &live->queue;
    }
    for (struct live_request *q; (q = live->served);) {
        live->served = q->next;
        q->in_run = NULL;
        q->state.end = LIVE_BROKEN;
        q->state.reason = "the run has ended";
        if (q->released)
            request_free(q);
        else
            pthread_cond_signal(&q->changed);
    }
}

int live_run(struct live *live, struct simulation *s, struct store *store, struct error *err)
{
    const struct observer observer = {.state = live,
                                      .arrived = arrived,
                                      .delayed = delayed,
                                      .scheduled = scheduled,
                                      .preempted = preempted,
                                      .rejected = rejected,
                                      .lost = lost,
                                      .finished = finished};
    struct request_source source = {.next = next, .state = live};
    const struct simulation_options o = {.observers = &observer,
                                         .source = &source,
                                         .control = {.wait = wait_for, .state = live},
                                         .store = store,
                                         .step = true,
                                         .threads = 1};
    pthread_mutex_lock(&live->lock);
    for (size_t i = 0; i < s->scenario.cluster.pool_count; i++)
        live->kv_blocks +=
            (uint64_t)s->scenario.cluster.pools[i].replica.kv_blocks * s->scenario.cluster.pools[i].stations;
    int status = simulation_run(s, &o, err);
    end_run(live);
    pthread_mutex_unlock(&live->lock);
    return status;
}

void live_count(struct live *live, struct live_counts *out)
{
    pthread_mutex_lock(&live->lock);
    *out = live->counts;
    for (const struct live_request *q = live->served; q; q = q->next)
        *(q->scheduled ? &out->running : &out->waiting) += 1;
    for (const struct live_request *q = live->queue; q; q = q->next)
        out->waiting++;
    pthread_mutex_unlock(&live->lock);
}
