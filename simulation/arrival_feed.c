/* SPDX-License-Identifier: MIT */
#include "simulation/arrival_feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "sim/predictor.h"

int arrival_feed_open(struct arrival_feed *f, const struct request_source *source, const struct cluster_config *config,
                      size_t readers, struct run_metrics *whole, const struct run_control *control)
{
    *f = (struct arrival_feed){.source = *source,
                               .config = config,
                               .stations = cluster_stations(config),
                               .readers = readers,
                               .whole = whole,
                               .control = control};
    if (config->predictor && !(f->prediction_rng = random_stream_create(config->seed, "prediction noise")))
        return -1;
    if (pthread_mutex_init(&f->mutex, NULL) == 0) {
        if (pthread_cond_init(&f->changed, NULL) == 0)
            return 0;
        pthread_mutex_destroy(&f->mutex);
    }
    if (f->prediction_rng)
        gsl_rng_free(f->prediction_rng);
    return -1;
}

static void free_blocks(struct feed_block *first)
{
    for (struct feed_block *next; first; first = next) {
        next = first->next;
        free(first->hashes);
        free(first);
    }
}

void arrival_feed_close(struct arrival_feed *f)
{
    free_blocks(f->oldest);
    free_blocks(f->unused);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    if (f->prediction_rng)
        gsl_rng_free(f->prediction_rng);
    request_source_destroy(&f->source);
}

static struct feed_block *take_block(struct arrival_feed *f)
{
    struct feed_block *b = f->unused;
    if (b)
        f->unused = b->next;
    else if ((b = malloc(sizeof *b)))
        b->hashes = NULL, b->hash_capacity = 0;
    if (!b)
        return NULL;
    b->count = b->hash_count = 0;
    b->holders = (unsigned)f->readers;
    b->first = f->next_request;
    b->next = NULL;
    return b;
}

/* A source keeps a request's hashes until its next one. */
static bool copy_hashes(struct feed_block *b, const struct arrival *a)
{
    uint64_t *grown = array_grow(b->hashes, &b->hash_capacity, b->hash_count + a->hash_count, sizeof *grown);
    if (!grown)
        return false;
    b->hashes = grown;
    b->hashes_at[b->count] = b->hash_count;
    memcpy(grown + b->hash_count, a->hashes, a->hash_count * sizeof *grown);
    b->hash_count += a->hash_count;
    return true;
}

/* What a cluster's router does. False when it chooses a station that there is not. */
static bool route(struct arrival_feed *f, struct arrival *a)
{
    const struct router_config *router = &f->config->routers[0];
    const struct routing_view view = {.params = router->params};
    struct request r;
    request_init(&r, f->next_request, a->at, a->prompt_tokens, a->output_tokens, a->max_output_tokens);
    r.origin = a->origin;
    if (f->prediction_rng)
        predictor_apply(f->config->predictor, f->config->predictor_params, &r, f->prediction_rng);
    a->predicted_tokens = r.predicted_tokens;
    a->prediction = r.prediction;
    a->station = router->policy->choose(&f->cursor, f->stations, &r, &view);
    return a->station < f->stations;
}

/* Puts a request into the block. False where one thread has to see what is wrong. */
static bool add(struct arrival_feed *f, struct feed_block *b, struct arrival *a)
{
    size_t i = b->count;
    if (!route(f, a) || (a->hash_count > 0 && !copy_hashes(b, a)))
        return false;
    b->stations[i] = a->station;
    b->arrivals[i] = *a;
    b->at[i] = a->at;
    b->begins[i] = run_metrics_sees(f->whole, f->next_request++, a->at);
    atomic_init(&b->finished[i], 0);
    b->count++;
    return true;
}

static void tell_progress(const struct arrival_feed *f, const struct feed_block *b)
{
    const struct cluster_totals so_far = {.arrived = f->next_request,
                                          .finished = f->seen - f->in_flight,
                                          .end = b->at[b->count - 1]};
    if (f->control->tick)
        f->control->tick(f->control->state, &so_far);
}

/* Draws a block; nobody else does at the same time. */
static void draw(struct arrival_feed *f)
{
    f->stopped |= f->control->stop && *f->control->stop;
    struct feed_block *b = f->stopped ? NULL : take_block(f);
    struct error err = {0};
    struct arrival a = {0};
    int more = 1;
    while (b && b->count < FEED_BLOCK && (more = f->source.next(f->source.state, &a, &err)) == 1)
        if (!add(f, b, &a))
            f->failed = true, more = 0;
    f->failed |= more < 0 || more == SOURCE_WAITS || (!b && !f->stopped);
    f->ended |= !b || b->count < FEED_BLOCK;
    if (!b)
        return;
    if (b->count == 0) {
        b->next = f->unused;
        f->unused = b;
        return;
    }
    *(f->newest ? &f->newest->next : &f->oldest) = b;
    f->newest = b;
    f->blocks++;
    tell_progress(f, b);
}

/* Whether the reader may draw: nobody goes far ahead of the last one, who always may. */
static bool may_draw(const struct feed_reader *r)
{
    return r->feed->blocks < FEED_BLOCKS || !r->held || r->held == r->feed->oldest;
}

/* The block after the one that it has read, or NULL. */
static struct feed_block *next_block(struct feed_reader *r)
{
    struct arrival_feed *f = r->feed;
    struct feed_block *next;
    pthread_mutex_lock(&f->mutex);
    while (!(next = r->block ? r->block->next : f->oldest) && !f->failed && !f->ended)
        if (may_draw(r)) {
            draw(f);
            pthread_cond_broadcast(&f->changed);
        } else {
            pthread_cond_wait(&f->changed, &f->mutex);
        }
    next = f->failed ? NULL : next;
    pthread_mutex_unlock(&f->mutex);
    return next;
}

/* All readers have gone past it, so all who had finished before its arrivals are known. */
static void count_in_flight(struct arrival_feed *f, const struct feed_block *b)
{
    for (size_t i = 0; i < b->count; i++) {
        f->in_flight += 1 - (uint64_t)atomic_load_explicit(&b->finished[i], memory_order_relaxed);
        if (f->in_flight > f->peak_in_flight)
            f->peak_in_flight = f->in_flight;
    }
    f->seen += b->count;
}

/* Gives back all blocks before `until`. */
static void give_back(struct feed_reader *r, const struct feed_block *until)
{
    struct arrival_feed *f = r->feed;
    pthread_mutex_lock(&f->mutex);
    while (r->held != until) {
        struct feed_block *b = r->held;
        r->held = b->next;
        b->holders--;
    }
    bool any = false;
    while (f->oldest && f->oldest->holders == 0) {
        struct feed_block *b = f->oldest;
        count_in_flight(f, b);
        f->oldest = b->next;
        f->newest = f->oldest ? f->newest : NULL;
        b->next = f->unused;
        f->unused = b;
        f->blocks--;
        any = true;
    }
    if (any)
        pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

bool feed_reader_next(struct feed_reader *r, const struct feed_block **block, size_t *place)
{
    while (!r->block || r->next == r->block->count) {
        struct feed_block *next = next_block(r);
        if (!next)
            return false;
        if (!r->held)
            r->held = r->last = r->finishes = next;
        r->block = next;
        r->next = 0;
    }
    *block = r->block;
    *place = r->next++;
    return true;
}

/* What has happened until the arrival before it has been noted: no request finishes earlier. */
void feed_reader_takes(struct feed_reader *r)
{
    if (r->finishes->first < r->last->first) {
        r->finishes = r->last;
        r->finishes_at = 0;
    }
    if (r->held != r->last)
        give_back(r, r->last);
    r->last = r->block;
}

void feed_reader_finished(struct feed_reader *r, sim_time at)
{
    for (; r->finishes; r->finishes = r->finishes->next, r->finishes_at = 0) {
        struct feed_block *b = r->finishes;
        while (r->finishes_at < b->count && b->at[r->finishes_at] <= at)
            r->finishes_at++;
        if (r->finishes_at < b->count) {
            atomic_fetch_add_explicit(&b->finished[r->finishes_at], 1, memory_order_relaxed);
            return;
        }
        if (!b->next)
            return; /* after all arrivals */
    }
}

void feed_reader_end(struct feed_reader *r)
{
    if (r->held)
        give_back(r, NULL);
    pthread_mutex_lock(&r->feed->mutex);
    r->feed->ended = true; /* it was, or the run is stopped */
    pthread_cond_broadcast(&r->feed->changed);
    pthread_mutex_unlock(&r->feed->mutex);
}

void arrival_feed_fail(struct arrival_feed *f)
{
    pthread_mutex_lock(&f->mutex);
    f->failed = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}
