/* SPDX-License-Identifier: MIT */
#include "simulation/parts.h"

#include <stdlib.h>

#include "simulation/arrival_feed.h"

/* Some of a run's stations, one after another, and what they need to run by themselves. */
struct part {
    struct station_id first;
    struct scenario scenario; /* the run's, with so many stations; what it points to is the run's own */
    struct run_metrics metrics;
    struct cluster *cluster;
    struct feed_reader reader;
    uint64_t expected; /* request, were there no other parts */
    const struct run_control *control;
    pthread_t thread;
    bool failed;
};

static bool routes_alone(const struct cluster_config *c)
{
    return c->step_count == 1 && c->pool_count == 1 && c->routers[0].policy->oblivious;
}

static bool nothing_is_shared(const struct cluster_config *c)
{
    return c->delay_count == 0 && c->fleet_count == 0 && c->tier_count == 0;
}

static bool nobody_listens(const struct simulation *s, const struct simulation_options *o)
{
    bool rows = o->rows.state || (o->store && scenario_keeps_rows(&s->scenario));
    return !o->source && !o->observers && !rows && s->scenario.slo.window == 0;
}

size_t parts_of(const struct simulation *s, const struct simulation_options *o)
{
    const struct cluster_config *c = &s->scenario.cluster;
    if (!routes_alone(c) || !nothing_is_shared(c) || !nobody_listens(s, o))
        return 1;
    size_t most = c->pools[0].stations / c->pools[0].ranks;
    return o->threads > most ? most : o->threads > 1 ? o->threads : 1;
}

/* The next request of the part, as a source of its cluster. */
static int next_request(void *state, struct arrival *out, struct error *err)
{
    struct part *p = state;
    const struct feed_block *b;
    size_t i, count = p->metrics.replica_count;
    if (p->metrics.reject_reason)
        return error_set(err, ERROR_RUN, "a request is refused"); /* who is the first in all parts? */
    while (feed_reader_next(&p->reader, &b, &i)) {
        size_t station = b->stations[i] - p->first.index; /* large for those before */
        uint64_t request = b->first + i;
        if (b->begins[i])
            run_metrics_passes(&p->metrics, request, b->at[i]);
        if (station >= count)
            continue;
        feed_reader_takes(&p->reader);
        *out = b->arrivals[i];
        out->hashes = out->hash_count > 0 ? b->hashes + b->hashes_at[i] : NULL;
        out->station = station;
        out->elsewhere = request - p->expected;
        p->expected = request + 1;
        return 1;
    }
    return p->reader.feed->failed ? error_set(err, ERROR_RUN, "another part has failed") : 0;
}

static void request_finished(void *state, const struct request *r, sim_time at)
{
    (void)r;
    feed_reader_finished(&((struct part *)state)->reader, at);
}

static int run_part(struct part *p, struct error *err)
{
    struct request_source source = {.next = next_request, .finished = request_finished, .state = p, .routed = true};
    struct observer observer = run_metrics_observer(&p->metrics);
    const struct run_control control = {.stop = p->control->stop};
    return cluster_open(&p->scenario.cluster, &source, &observer, &p->cluster, err) ||
                   cluster_replay(p->cluster, &control, err) || memory_check(err) || p->metrics.out_of_memory ||
                   p->metrics.reject_reason
               ? -1
               : 0;
}

static void *work(void *state)
{
    struct part *p = state;
    struct error err = {0};
    p->failed = run_part(p, &err) != 0;
    if (p->failed)
        arrival_feed_fail(p->reader.feed);
    feed_reader_end(&p->reader);
    return NULL;
}

static struct part *part_create(const struct simulation *s, struct arrival_feed *feed, size_t index, size_t count,
                                const struct run_control *control)
{
    struct part *p = calloc(1, sizeof *p);
    struct error err;
    if (!p)
        return NULL;
    const struct pool_config *pool = &s->scenario.cluster.pools[0];
    size_t groups = pool->stations / pool->ranks;
    p->scenario = s->scenario;
    p->first = (struct station_id){index * groups / count * pool->ranks};
    p->scenario.cluster.pools[0].stations = (index + 1) * groups / count * pool->ranks - p->first.index;
    p->reader = (struct feed_reader){.feed = feed};
    p->control = control;
    if (run_metrics_init(&p->metrics, &p->scenario, &err) == 0)
        return p;
    run_metrics_release(&p->metrics);
    free(p);
    return NULL;
}

static void part_destroy(struct part *p)
{
    if (!p)
        return;
    cluster_close(p->cluster);
    run_metrics_release(&p->metrics);
    free(p);
}

/* The first one runs on the calling thread. */
static bool run_all(struct part **parts, size_t count)
{
    size_t started = 1;
    while (started < count && pthread_create(&parts[started]->thread, NULL, work, parts[started]) == 0)
        started++;
    if (started < count)
        arrival_feed_fail(parts[0]->reader.feed);
    work(parts[0]);
    bool failed = started < count || parts[0]->failed;
    for (size_t i = 1; i < started; i++) {
        pthread_join(parts[i]->thread, NULL);
        failed |= parts[i]->failed;
    }
    return !failed;
}

/* In order of stations, so that sums are what one run has. */
static void put_together(struct simulation *s, struct part **parts, size_t count, struct cluster_totals *totals)
{
    sim_time end = 0;
    for (size_t i = 0; i < count; i++)
        end = cluster_ended(parts[i]->cluster) > end ? cluster_ended(parts[i]->cluster) : end;
    for (size_t i = 0; i < count; i++) {
        cluster_add_up(parts[i]->cluster, end, totals);
        run_metrics_absorb(&s->metrics, &parts[i]->metrics, parts[i]->first);
    }
    totals->peak_in_flight = parts[0]->reader.feed->peak_in_flight;
    totals->stopped |= parts[0]->reader.feed->stopped;
}

static bool run_from(struct simulation *s, struct arrival_feed *feed, const struct run_control *control, size_t count,
                     struct cluster_totals *totals)
{
    struct part **parts = calloc(count, sizeof *parts);
    bool done = parts;
    for (size_t i = 0; done && i < count; i++)
        done = (parts[i] = part_create(s, feed, i, count, control)) != NULL;
    done = done && run_all(parts, count);
    if (done)
        put_together(s, parts, count, totals);
    for (size_t i = 0; parts && i < count; i++)
        part_destroy(parts[i]);
    free(parts);
    return done;
}

bool parts_run(struct simulation *s, const struct simulation_options *o, size_t count, struct cluster_totals *totals)
{
    struct request_source source = {0};
    struct arrival_feed feed;
    struct error err;
    if (scenario_open_workload(&s->scenario, &source, &err))
        return false;
    if (source.finished || arrival_feed_open(&feed, &source, &s->scenario.cluster, count, &s->metrics, &o->control)) {
        request_source_destroy(&source);
        return false;
    }
    bool done = run_from(s, &feed, &o->control, count, totals);
    arrival_feed_close(&feed);
    return done;
}
