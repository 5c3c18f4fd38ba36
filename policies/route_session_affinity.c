/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

static const struct param_spec params[] = {{0}};

/* The replica that scores a session highest (Thaler and Ravishankar 1998): with one replica more or less, most sessions
 * stay where they are. */
static size_t choose(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor;
    uint64_t highest = 0, session = r->origin.session;
    size_t best = 0;
    if (session == 0)
        return routing_least_loaded(count, view);
    for (size_t i = 0; i < count; i++) {
        uint64_t score = routing_scramble(routing_scramble(session) + i);
        if (score >= highest) {
            highest = score;
            best = i;
        }
    }
    return best;
}

const struct routing_policy routing_session_affinity = {
    .name = "session_affinity",
    .summary = "all of a conversation to the same replica, by rendezvous hashing; others to the least loaded",
    .params = params,
    .choose = choose};
