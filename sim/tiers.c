/* SPDX-License-Identifier: MIT */
#include "sim/tiers.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "workloads/content.h"

#define NO_END SIZE_MAX /* of a link */

static int init_tier(struct tier *t, const struct tier_config *config, size_t stores, size_t stations)
{
    *t = (struct tier){.config = config, .stores = calloc(stores, sizeof *t->stores), .store_count = stores};
    t->writes = calloc(stations, sizeof *t->writes);
    if (!t->stores || !t->writes || link_init(&t->read, &config->read, stores, stations) ||
        link_init(&t->write, &config->write, stations, stores))
        return -1;
    for (size_t i = 0; i < stations; i++)
        t->writes[i].station = (struct station_id){i};
    for (size_t i = 0; i < stores; i++)
        if (tier_store_init(&t->stores[i], config->bytes, config->evict))
            return -1;
    t->totals.capacity = config->bytes * stores;
    return 0;
}

int tiers_init(struct tiers *t, const struct tier_config *config, size_t count, const size_t *stores, size_t stations,
               const struct observer *observer)
{
    *t = (struct tiers){.observer = observer, .stations = stations};
    for (size_t i = 0; i < count; i++) {
        t->count++;
        if (init_tier(&t->of[i], &config[i], stores[i], stations))
            return -1;
    }
    return 0;
}

void tiers_release(struct tiers *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct tier *tier = &t->of[i];
        for (size_t k = 0; tier->stores && k < tier->store_count; k++)
            tier_store_release(&tier->stores[k]);
        for (size_t k = 0; tier->writes && k < t->stations; k++)
            free(tier->writes[k].units);
        free(tier->stores);
        free(tier->writes);
        link_release(&tier->read);
        link_release(&tier->write);
    }
    *t = (struct tiers){0};
}

void tier_user_init(struct tier_user *u, struct tiers *t, const struct tier_use *use, struct station_id station,
                    uint32_t block_tokens)
{
    *u = (struct tier_user){.tiers = t, .use = use, .station = station, .block_tokens = block_tokens};
    for (size_t i = 0; i < use->count; i++)
        u->through |= t->of[use->of[i]].config->through;
}

void tier_user_release(struct tier_user *u)
{
    free(u->asks);
    free(u->evicted);
    free(u->computed);
    *u = (struct tier_user){0};
}

static struct tier *tier_at(const struct tier_user *u, size_t place)
{
    return &u->tiers->of[u->use->of[place]];
}

static struct tier_store *store_at(const struct tier_user *u, size_t place)
{
    return &tier_at(u, place)->stores[u->stores[place]];
}

/* Of a unit, among those of all pools. */
static uint64_t key_of(const struct tier_user *u, uint64_t key)
{
    if (u->use->space == 0)
        return key;
    uint64_t mixed = random_mix(key + random_mix(u->use->space));
    return mixed ? mixed : 1;
}

/* The nearest tier that has it, or how many there are. */
static size_t nearest(const struct tier_user *u, uint64_t key)
{
    size_t place = 0;
    while (place < u->use->count && !tier_store_has(store_at(u, place), key))
        place++;
    return place;
}

struct tier_found tiers_find(const struct tier_user *u, const struct request *r, uint32_t first, uint32_t blocks,
                             uint32_t most)
{
    struct tier_found found = {.first = first, .units = first, .blocks = blocks};
    struct content_unit unit;
    for (; content_unit(r, found.units, u->block_tokens, &unit) && unit.first_block < most; found.units++) {
        size_t place = unit.blocks > 0 ? nearest(u, key_of(u, unit.key)) : 0;
        if (place == u->use->count)
            break;
        found.bytes[place] += unit.blocks * u->use->block_bytes;
        found.loaded[place] += unit.blocks;
        found.blocks += unit.blocks;
    }
    return found;
}

bool tiers_compare(const struct tier_user *u, const struct tier_found *found)
{
    bool compares = false;
    for (size_t i = 0; i < u->use->count; i++)
        compares |= found->loaded[i] > 0 && tier_at(u, i)->config->faster;
    return compares;
}

sim_time tiers_estimate(const struct tier_user *u, const struct tier_found *found, sim_time now)
{
    sim_time longest = 0;
    for (size_t i = 0; i < u->use->count; i++) {
        size_t others = 0;
        double before = 0;
        if (found->loaded[i] == 0)
            continue;
        for (size_t k = 0; k < u->ask_count; k++)
            if (u->asks[k].place == i) {
                others++;
                before += (double)u->asks[k].bytes;
            }
        sim_time takes = link_estimate(&tier_at(u, i)->read, u->stores[i], u->station.index, (double)found->bytes[i],
                                       others, before, now);
        longest = takes > longest ? takes : longest;
    }
    return longest;
}

/* A request's units are used, the last one first, so that the beginning of a prefix outlives its end. */
static void use_units(const struct tier_user *u, const struct request *r, const struct tier_found *found)
{
    struct content_unit unit;
    for (uint32_t i = found->units; i-- > found->first;) {
        content_unit(r, i, u->block_tokens, &unit);
        size_t place = unit.blocks > 0 ? nearest(u, key_of(u, unit.key)) : u->use->count;
        if (place < u->use->count)
            tier_store_use(store_at(u, place), key_of(u, unit.key));
    }
}

void tiers_ask(struct tier_user *u, struct request *r, const struct tier_found *found)
{
    r->load_parts = 0;
    for (size_t i = 0; i < u->use->count; i++) {
        struct tier_totals *totals = &tier_at(u, i)->totals;
        if (found->loaded[i] == 0)
            continue;
        struct tier_ask *grown = array_grow(u->asks, &u->ask_capacity, u->ask_count + 1, sizeof *grown);
        if (!grown) {
            u->tiers->out_of_memory = true;
            return;
        }
        u->asks = grown;
        u->asks[u->ask_count++] = (struct tier_ask){r, i, found->bytes[i]};
        r->load_parts++;
        totals->loads++;
        totals->read += found->bytes[i];
        totals->tokens += (uint64_t)found->loaded[i] * u->block_tokens;
    }
    use_units(u, r, found);
}

void tiers_count(struct tier_user *u, uint64_t tokens)
{
    for (size_t i = 0; i < u->use->count; i++)
        tier_at(u, i)->totals.asked_tokens += tokens;
}

static void note(struct tier_user *u, struct tier_part **list, size_t *count, size_t *capacity, uint64_t key,
                 uint32_t blocks)
{
    struct tier_part *grown = array_grow(*list, capacity, *count + 1, sizeof *grown);
    if (!grown) {
        u->tiers->out_of_memory = true;
        return;
    }
    *list = grown;
    grown[(*count)++] = (struct tier_part){key_of(u, key), blocks * u->use->block_bytes};
}

void tiers_note_evicted(struct tier_user *u, uint64_t key, uint32_t blocks)
{
    note(u, &u->evicted, &u->evicted_count, &u->evicted_capacity, key, blocks);
}

void tiers_note_computed(struct tier_user *u, uint64_t key, uint32_t blocks)
{
    note(u, &u->computed, &u->computed_count, &u->computed_capacity, key, blocks);
}

/* Sends what a station has to write to a tier, unless a write is under way. */
static void send_writes(struct tiers *all, struct tier *t, struct tier_write *w, size_t store, sim_time now)
{
    double bytes = 0;
    if (w->sent > 0 || w->count == 0)
        return;
    for (size_t i = 0; i < w->count; i++)
        bytes += (double)w->units[i].bytes;
    w->sent = w->count;
    if (link_send(&t->write, w->station.index, store, bytes, w, now))
        all->out_of_memory = true;
}

static void put_below(struct tier_user *u, size_t place, struct tier_part unit);

/* Room for so many bytes: what goes is evicted to the tier below. False: there is none. */
static bool make_room(struct tier_user *u, size_t place, uint64_t bytes)
{
    struct tier_store *store = store_at(u, place);
    struct tier_unit victim;
    while (bytes > store->capacity - store->held) {
        if (bytes > store->capacity || !tier_store_evict(store, &victim))
            return false;
        tier_at(u, place)->totals.evicted += victim.bytes;
        put_below(u, place + 1, (struct tier_part){victim.key, victim.bytes});
    }
    return true;
}

/* Writes a unit to a tier, which may have it. */
static void put(struct tier_user *u, size_t place, struct tier_part unit)
{
    struct tier *t = tier_at(u, place);
    struct tier_store *store = store_at(u, place);
    struct tier_write *w = &t->writes[u->station.index];
    if (tier_store_knows(store, unit.key)) {
        tier_store_use(store, unit.key);
        return;
    }
    if (!make_room(u, place, unit.bytes)) {
        t->totals.turned_away += unit.bytes;
        return;
    }
    struct tier_part *grown = array_grow(w->units, &w->capacity, w->count + 1, sizeof *grown);
    if (!grown || tier_store_expect(store, unit.key, unit.bytes)) {
        u->tiers->out_of_memory = true;
        return;
    }
    w->units = grown;
    w->units[w->count++] = unit;
    t->totals.written += unit.bytes;
    uint64_t held = t->totals.written - t->totals.evicted;
    t->totals.peak = held > t->totals.peak ? held : t->totals.peak;
}

/* Of the tiers from `place` on, the first that is written on eviction takes it. */
static void put_below(struct tier_user *u, size_t place, struct tier_part unit)
{
    while (place < u->use->count && tier_at(u, place)->config->through)
        place++;
    if (place < u->use->count)
        put(u, place, unit);
}

/* The units that were computed last are written first, so that the beginning of a prefix outlives its end. */
static void put_through(struct tier_user *u)
{
    for (size_t i = u->computed_count; i-- > 0;)
        for (size_t place = 0; place < u->use->count; place++)
            if (tier_at(u, place)->config->through)
                put(u, place, u->computed[i]);
}

void tiers_flush(struct tier_user *u, sim_time now)
{
    for (size_t i = 0; i < u->evicted_count; i++)
        put_below(u, 0, u->evicted[i]);
    put_through(u);
    u->evicted_count = u->computed_count = 0;
    for (size_t place = 0; place < u->use->count; place++)
        send_writes(u->tiers, tier_at(u, place), &tier_at(u, place)->writes[u->station.index], u->stores[place], now);
    for (size_t i = 0; i < u->ask_count; i++) {
        const struct tier_ask *a = &u->asks[i];
        a->request->load_began = now;
        tell_load_began(u->tiers->observer, u->use->of[a->place], a->request, now);
        if (link_send(&tier_at(u, a->place)->read, u->stores[a->place], u->station.index, (double)a->bytes, a->request,
                      now))
            u->tiers->out_of_memory = true;
    }
    u->ask_count = 0;
}

/* What a station was writing to a tier does not come. */
static void drop_writes(struct tier_user *u, size_t place, sim_time now)
{
    struct tier *t = tier_at(u, place);
    struct tier_write *w = &t->writes[u->station.index];
    size_t to;
    while (link_cancel(&t->write, u->station.index, NO_END, now, &to))
        ;
    for (size_t i = 0; i < w->count; i++)
        t->totals.evicted += tier_store_drop(store_at(u, place), w->units[i].key);
    w->sent = w->count = 0;
}

void tiers_fail(struct tier_user *u, sim_time now)
{
    u->ask_count = u->evicted_count = u->computed_count = 0;
    for (size_t place = 0; place < u->use->count; place++) {
        struct tier *t = tier_at(u, place);
        struct tier_unit gone;
        size_t to;
        for (struct request *r; (r = link_cancel(&t->read, NO_END, u->station.index, now, &to));)
            tell_load_ended(u->tiers->observer, u->use->of[place], r, now);
        drop_writes(u, place, now);
        while (t->config->shared_by == TIER_OF_REPLICA && tier_store_evict(store_at(u, place), &gone))
            t->totals.evicted += gone.bytes;
    }
}

sim_time tiers_next(const struct tiers *t)
{
    sim_time next = SIM_TIME_NEVER;
    for (size_t i = 0; i < t->count; i++) {
        sim_time read = link_next(&t->of[i].read), write = link_next(&t->of[i].write);
        next = read < next ? read : next;
        next = write < next ? write : next;
    }
    return next;
}

/* Writes that have arrived by now can be read; what was to be written meanwhile is sent. */
static void take_writes(struct tiers *all, struct tier *t, sim_time now)
{
    size_t store;
    for (struct tier_write *w; (w = link_arrived(&t->write, now, &store));) {
        for (size_t i = 0; i < w->sent; i++)
            tier_store_arrive(&t->stores[store], w->units[i].key);
        w->count -= w->sent;
        memmove(w->units, w->units + w->sent, w->count * sizeof *w->units);
        w->sent = 0;
        send_writes(all, t, w, store, now);
    }
}

struct request *tiers_take(struct tiers *t, sim_time now, struct station_id *station)
{
    for (size_t i = 0; i < t->count; i++) {
        take_writes(t, &t->of[i], now);
        for (struct request *r; (r = link_arrived(&t->of[i].read, now, &station->index));) {
            tell_load_ended(t->observer, i, r, now);
            if (--r->load_parts == 0)
                return r;
        }
    }
    return NULL;
}

struct tier_totals tiers_sum_up(const struct tiers *t, size_t tier)
{
    struct tier_totals totals = t->of[tier].totals;
    for (size_t i = 0; i < t->of[tier].store_count; i++)
        totals.held += t->of[tier].stores[i].held;
    return totals;
}
