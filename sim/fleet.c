/* SPDX-License-Identifier: MIT */
#include "sim/fleet.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"

bool fleet_may_fail(const struct fleet_config *c)
{
    return c->mtbf_s > 0 || c->outage_count > 0;
}

static void set_event(struct fleet *f, size_t slot, sim_time at)
{
    min_index_set(&f->events, slot, at == SIM_TIME_NEVER ? MIN_INDEX_NONE : (uint64_t)at);
}

/* An exponential time whose value depends on the seed, the replica's place in the cluster and how many came before it
 * alone: replicas fail alike under every policy, and whether a pool or the cluster says so. */
static sim_time draw(struct fleet *f, size_t place, double mean_s)
{
    uint64_t bits =
        random_mix(f->seed ^ random_mix((f->config->first + place) * 0x9e3779b97f4a7c15u + ++f->draws[place]));
    double uniform = ((double)(bits >> 11) + 0.5) * 0x1p-53;
    return sim_time_from_s(fmin(-log(uniform) * mean_s, 1e9));
}

/* The next failure of a replica that works from `from` on, by appointment or by chance. */
static void await_failure(struct fleet *f, size_t place, sim_time from)
{
    const struct fleet_config *c = f->config;
    sim_time at = SIM_TIME_NEVER, repaired = SIM_TIME_NEVER;
    if (c->mtbf_s > 0) {
        at = from + draw(f, place, c->mtbf_s);
        repaired = at + draw(f, place, c->mttr_s);
    }
    for (size_t i = 0; i < c->outage_count; i++)
        if (c->outages[i].place == place && c->outages[i].at >= from && c->outages[i].at < at) {
            at = c->outages[i].at;
            repaired = at + c->outages[i].lasts;
        }
    f->repaired_at[place] = repaired;
    set_event(f, place, at);
}

static void mark_up(struct fleet *f, size_t place)
{
    f->states[place] = REPLICA_UP;
    f->serving_count++;
}

static void serve(struct fleet *f, size_t place, sim_time now)
{
    mark_up(f, place);
    await_failure(f, place, now);
}

int fleet_init(struct fleet *f, const struct fleet_config *config, uint64_t seed)
{
    size_t replicas = config->count;
    *f = (struct fleet){.config = config, .count = replicas, .seed = random_mix(seed ^ 0x666c656574u)};
    f->states = calloc(replicas, sizeof *f->states);
    f->held_since = calloc(replicas, sizeof *f->held_since);
    f->held = calloc(replicas, sizeof *f->held);
    f->draws = calloc(replicas, sizeof *f->draws);
    f->repaired_at = calloc(replicas, sizeof *f->repaired_at);
    f->want_count = config->scaling ? (size_t)(config->slow_down / config->interval) + 1 : 1;
    f->wants = calloc(f->want_count, sizeof *f->wants);
    if (min_index_init(&f->events, replicas + 1) || !f->states || !f->held_since || !f->held || !f->draws ||
        !f->repaired_at || !f->wants)
        return -1;
    size_t first = config->scaling ? config->least : replicas;
    for (size_t i = 0; i < replicas; i++) {
        if (i < first)
            serve(f, i, 0);
        else
            f->states[i] = REPLICA_OFF;
    }
    f->wanted = first;
    set_event(f, replicas, config->scaling ? config->interval : SIM_TIME_NEVER);
    return 0;
}

void fleet_release(struct fleet *f)
{
    min_index_release(&f->events);
    free(f->states);
    free(f->held_since);
    free(f->held);
    free(f->draws);
    free(f->repaired_at);
    free(f->wants);
    free(f->waiting);
    *f = (struct fleet){0};
}

sim_time fleet_next(const struct fleet *f)
{
    uint64_t key = min_index_first(&f->events).key;
    sim_time event = key == MIN_INDEX_NONE ? SIM_TIME_NEVER : (sim_time)key;
    sim_time gives_up = f->waiting_count ? f->waiting[f->first_waiting].until : SIM_TIME_NEVER;
    return gives_up < event ? gives_up : event;
}

sim_time fleet_fails_at(const struct fleet *f, size_t place)
{
    bool works = f->states[place] == REPLICA_UP || f->states[place] == REPLICA_DRAINING;
    uint64_t key = works ? min_index_key(&f->events, place) : MIN_INDEX_NONE;
    return key == MIN_INDEX_NONE ? SIM_TIME_NEVER : (sim_time)key;
}

bool fleet_awaits_change(const struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (min_index_key(&f->events, i) != MIN_INDEX_NONE)
            return true;
    return f->waiting_count > 0;
}

enum fleet_event fleet_take(struct fleet *f, sim_time now, size_t *place)
{
    struct min_index_node first = min_index_first(&f->events);
    if (first.key > (uint64_t)now)
        return FLEET_NOTHING;
    *place = first.slot;
    if (first.slot == f->count) {
        set_event(f, f->count, now + f->config->interval);
        return FLEET_LOOK;
    }
    switch (f->states[first.slot]) {
    case REPLICA_STARTING:
        f->starting--;
        serve(f, first.slot, now);
        return FLEET_UP;
    case REPLICA_FAILED:
        serve(f, first.slot, now);
        return FLEET_UP;
    case REPLICA_UP:
        f->serving_count--;
        break;
    case REPLICA_DRAINING:
    case REPLICA_OFF:
        break;
    }
    f->states[first.slot] = REPLICA_FAILED; /* one that drains may fail, too */
    set_event(f, first.slot, f->repaired_at[first.slot]);
    return FLEET_FAILED;
}

/* The most that was wanted within slow_down counts, so that a short lull gives nothing up. */
void fleet_look(struct fleet *f, struct scaling_view *view)
{
    const struct fleet_config *c = f->config;
    view->params = &c->scaling_params;
    view->up = f->serving_count;
    view->coming = f->starting;
    view->arrived = f->arrived;
    view->interval_s = sim_time_to_s(c->interval);
    f->arrived = 0;
    size_t wanted = c->scaling->wanted(view);
    wanted = wanted < c->least ? c->least : wanted > f->count ? f->count : wanted;
    f->wants[f->next_want] = wanted;
    f->next_want = (f->next_want + 1) % f->want_count;
    f->wanted = wanted;
    for (size_t i = 0; i < f->want_count; i++)
        f->wanted = f->wants[i] > f->wanted ? f->wants[i] : f->wanted;
}

static size_t first_in(const struct fleet *f, enum replica_state state)
{
    size_t i = 0;
    while (i < f->count && f->states[i] != state)
        i++;
    return i;
}

enum fleet_event fleet_adjust(struct fleet *f, sim_time now, size_t least_loaded, size_t *place)
{
    while (f->serving_count + f->starting < f->wanted) {
        size_t drains = first_in(f, REPLICA_DRAINING), off = first_in(f, REPLICA_OFF);
        if (drains < f->count) {
            *place = drains;
            mark_up(f, drains); /* it will fail when it would have failed */
            return FLEET_UP;
        }
        if (off == f->count)
            return FLEET_NOTHING; /* the others are being repaired */
        f->states[off] = REPLICA_STARTING;
        f->held_since[off] = now;
        f->starting++;
        set_event(f, off, now + f->config->cold_start);
    }
    if (f->serving_count + f->starting <= f->wanted)
        return FLEET_NOTHING;
    *place = first_in(f, REPLICA_STARTING);
    if (*place < f->count) {
        f->starting--;
        fleet_off(f, *place, now);
        return FLEET_OFF;
    }
    *place = least_loaded;
    f->states[least_loaded] = REPLICA_DRAINING;
    f->serving_count--;
    return FLEET_DRAIN;
}

void fleet_off(struct fleet *f, size_t place, sim_time now)
{
    f->states[place] = REPLICA_OFF;
    f->held[place] += now - f->held_since[place];
    set_event(f, place, SIM_TIME_NEVER);
}

int fleet_wait(struct fleet *f, struct request *r)
{
    if (f->config->patience == SIM_TIME_NEVER)
        return 0;
    if (f->waiting_count == f->waiting_capacity) {
        size_t capacity = f->waiting_capacity ? 2 * f->waiting_capacity : 64;
        struct impatient *grown = calloc(capacity, sizeof *grown);
        if (!grown)
            return -1;
        for (size_t i = 0; i < f->waiting_count; i++)
            grown[i] = f->waiting[(f->first_waiting + i) % f->waiting_capacity];
        free(f->waiting);
        f->waiting = grown;
        f->waiting_capacity = capacity;
        f->first_waiting = 0;
    }
    size_t at = (f->first_waiting + f->waiting_count++) % f->waiting_capacity;
    f->waiting[at] = (struct impatient){r, r->id, r->arrival + f->config->patience};
    return 0;
}

struct request *fleet_gives_up(struct fleet *f, sim_time now)
{
    while (f->waiting_count > 0 && f->waiting[f->first_waiting].until <= now) {
        struct request *r = f->waiting[f->first_waiting].request;
        uint64_t id = f->waiting[f->first_waiting].id;
        f->first_waiting = (f->first_waiting + 1) % f->waiting_capacity;
        f->waiting_count--;
        if (r->id == id && !r->scheduled && !r->prefilling &&
            !r->loading) /* it stands in no batch; its place may be another's by now */
            return r;
    }
    return NULL;
}

sim_time fleet_held(const struct fleet *f, size_t place, sim_time end)
{
    return f->held[place] + (f->states[place] != REPLICA_OFF ? end - f->held_since[place] : 0);
}
