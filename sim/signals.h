/* SPDX-License-Identifier: MIT */
/* signals.h — what a router knows of the stations it chooses among, where it does not see them as they are: what it
 * read of them last, which prefixes it was told that they have or has sent to them, and which conversations.
 *
 * Between two readings nothing changes but by what the router itself sends. The last reading at or before an instant is
 * what counts then, so only that one is made. */
#ifndef TANDEM_SIM_SIGNALS_H
#define TANDEM_SIM_SIGNALS_H

#include "policies/routing.h"
#include "sim/kv_pool.h"
#include "sim/tier.h"

/* A request that was sent to a station, and what it has to compute there. */
struct sent_prompt {
    const struct request *request;
    uint64_t id;
    size_t replica; /* that it was sent to */
    uint32_t tokens;
};

struct station_signals {
    uint64_t waiting;
    double kv_used;
    struct tier_store index; /* keys of units */
    struct sent_prompt *sent;
    size_t sent_count, sent_capacity;
};

/* Nothing of it is used where `of` is NULL: the policy sees the stations themselves. */
struct signals {
    struct routing_signals asked;
    bool keeps_index;                    /* else it looks at the pools */
    sim_time refresh, index_refresh;     /* 0: at once */
    sim_time next_reading, next_hearing; /* SIM_TIME_NEVER: none */
    struct station_signals *of;          /* [count] */
    size_t count;
    /* Stations of conversations, by their number. When the first is full it becomes the second, whose are forgotten. */
    struct unit_index sessions[2];
    double *values; /* [count] */
    bool out_of_memory;
};

/* Returns 0, or -1 when memory is short. Release it in any case. */
int signals_init(struct signals *s, const struct routing_signals *asked, size_t stations);
void signals_release(struct signals *s);

/* When the router reads, or hears, for the last time at or before `until`; SIM_TIME_NEVER: it does neither. After it
 * has, the next time of what was due is later than `at`. */
sim_time signals_due(const struct signals *s, sim_time until);
static inline bool signals_reads(const struct signals *s, sim_time at)
{
    return s->next_reading <= at;
}
static inline bool signals_hears(const struct signals *s, sim_time at)
{
    return s->next_hearing <= at;
}
void signals_advance(struct signals *s, sim_time at);

/* What a station can give others has changed. */
void signals_hear(struct signals *s, size_t station, const struct kv_change *changes, size_t count);

/* Tokens of a prompt that the index has at a station with blocks of so many tokens. */
uint32_t signals_cached(const struct signals *s, size_t station, const struct request *r, uint32_t block_tokens);

/* Prompt tokens that were sent there and are not computed, of requests without their first token. */
uint64_t signals_prefill(struct signals *s, size_t station);

/* Whether the station served the request's conversation last. */
bool signals_session_here(const struct signals *s, size_t station, const struct request *r);

/* The request is sent to the first replica of a station. `cached`: tokens of it that the router takes to be there. */
void signals_send(struct signals *s, size_t station, const struct request *r, size_t replica, uint32_t cached,
                  uint32_t block_tokens);

#endif
