/* SPDX-License-Identifier: MIT */
#include "sim/signals.h"

#include <stdlib.h>

#include "base/array.h"
#include "workloads/content.h"

enum { SESSIONS_KEPT = 1 << 17 };

int signals_init(struct signals *s, const struct routing_signals *asked, size_t stations)
{
    *s = (struct signals){.asked = *asked,
                          .refresh = sim_time_from_s(asked->refresh_s),
                          .index_refresh = asked->approximate ? 0 : sim_time_from_s(asked->index_refresh_s),
                          .of = calloc(stations, sizeof *s->of),
                          .values = calloc(stations, sizeof *s->values)};
    s->keeps_index = asked->approximate || s->index_refresh > 0;
    s->next_reading = s->refresh > 0 ? 0 : SIM_TIME_NEVER;
    s->next_hearing = s->index_refresh > 0 ? 0 : SIM_TIME_NEVER;
    if (!s->of || !s->values || unit_index_init(&s->sessions[0]) || unit_index_init(&s->sessions[1]))
        return -1;
    for (; s->count < stations; s->count++)
        if (tier_store_init(&s->of[s->count].index, asked->approximate ? asked->index_blocks : UINT64_MAX, TIER_LRU))
            return -1;
    return 0;
}

void signals_release(struct signals *s)
{
    for (size_t i = 0; s->of && i < s->count; i++) {
        tier_store_release(&s->of[i].index);
        free(s->of[i].sent);
    }
    for (size_t i = 0; i < 2; i++)
        unit_index_release(&s->sessions[i]);
    free(s->of);
    free(s->values);
    *s = (struct signals){0};
}

static sim_time last_at(sim_time next, sim_time period, sim_time until)
{
    return next > until ? SIM_TIME_NEVER : until / period * period;
}

sim_time signals_due(const struct signals *s, sim_time until)
{
    sim_time reading = last_at(s->next_reading, s->refresh, until),
             hearing = last_at(s->next_hearing, s->index_refresh, until);
    return reading < hearing ? reading : hearing;
}

void signals_advance(struct signals *s, sim_time at)
{
    if (signals_reads(s, at))
        s->next_reading = (at / s->refresh + 1) * s->refresh;
    if (signals_hears(s, at))
        s->next_hearing = (at / s->index_refresh + 1) * s->index_refresh;
}

static void learn(struct signals *s, struct tier_store *index, uint64_t key, uint64_t blocks)
{
    struct tier_unit gone;
    if (tier_store_knows(index, key)) {
        tier_store_use(index, key);
        return;
    }
    if (blocks > index->capacity)
        return;
    while (blocks > index->capacity - index->held && tier_store_evict(index, &gone))
        ;
    if (tier_store_expect(index, key, blocks))
        s->out_of_memory = true;
    else
        tier_store_arrive(index, key);
}

void signals_hear(struct signals *s, size_t station, const struct kv_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (changes[i].found)
            learn(s, &s->of[station].index, changes[i].key, 1);
        else
            tier_store_forget(&s->of[station].index, changes[i].key);
}

/* Whether the index looks the request's unit up. */
static bool looks_up(const struct signals *s, const struct request *r, uint32_t i, uint32_t block_tokens,
                     struct content_unit *out)
{
    return content_unit(r, i, block_tokens, out) && out->first_block < s->asked.match_blocks &&
           out->first_block < r->prompt_tokens / block_tokens;
}

uint32_t signals_cached(const struct signals *s, size_t station, const struct request *r, uint32_t block_tokens)
{
    uint64_t tokens = 0, most = (uint64_t)s->asked.match_blocks * block_tokens;
    struct content_unit unit;
    for (uint32_t i = 0; looks_up(s, r, i, block_tokens, &unit); i++) {
        if (unit.blocks > 0 && !tier_store_has(&s->of[station].index, unit.key))
            break;
        tokens += (uint64_t)unit.blocks * block_tokens;
    }
    most = most < r->prompt_tokens ? most : r->prompt_tokens;
    return (uint32_t)(tokens < most ? tokens : most);
}

uint64_t signals_prefill(struct signals *s, size_t station)
{
    struct station_signals *of = &s->of[station];
    uint64_t tokens = 0;
    size_t kept = 0;
    for (size_t i = 0; i < of->sent_count; i++) {
        const struct sent_prompt *p = &of->sent[i];
        if (p->request->id != p->id || p->request->generated > 0 || p->request->replica.index != p->replica)
            continue;
        tokens += p->tokens;
        of->sent[kept++] = *p;
    }
    of->sent_count = kept;
    return tokens;
}

static uint64_t key_of_session(uint64_t session)
{
    uint64_t key = routing_scramble(session);
    return key ? key : 1;
}

bool signals_session_here(const struct signals *s, size_t station, const struct request *r)
{
    const struct kv_unit *at = NULL;
    for (size_t i = 0; r->origin.session > 0 && !at && i < 2; i++)
        at = unit_index_find(&s->sessions[i], key_of_session(r->origin.session));
    return at && at->segment == station;
}

static void remember_session(struct signals *s, size_t station, uint64_t key)
{
    struct kv_unit *at = unit_index_find(&s->sessions[0], key);
    if (!at && s->sessions[0].count >= SESSIONS_KEPT) {
        unit_index_release(&s->sessions[1]);
        s->sessions[1] = s->sessions[0];
        s->out_of_memory |= unit_index_init(&s->sessions[0]) != 0;
    }
    if (!at)
        at = unit_index_add(&s->sessions[0], key);
    if (at)
        at->segment = station;
    else
        s->out_of_memory = true;
}

void signals_send(struct signals *s, size_t station, const struct request *r, size_t replica, uint32_t cached,
                  uint32_t block_tokens)
{
    struct station_signals *of = &s->of[station];
    struct content_unit unit;
    struct sent_prompt *grown = array_grow(of->sent, &of->sent_capacity, of->sent_count + 1, sizeof *grown);
    if (!grown) {
        s->out_of_memory = true;
        return;
    }
    of->sent = grown;
    grown[of->sent_count++] = (struct sent_prompt){r, r->id, replica, r->prompt_tokens - cached};
    if (r->origin.session > 0)
        remember_session(s, station, key_of_session(r->origin.session));
    for (uint32_t i = 0; s->asked.approximate && looks_up(s, r, i, block_tokens, &unit); i++)
        if (unit.blocks > 0)
            learn(s, &of->index, unit.key, unit.blocks);
}
