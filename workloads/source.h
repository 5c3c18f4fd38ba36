/* SPDX-License-Identifier: MIT */
/* source.h — a stream of requests in order of arrival: a trace, a generator, or either one modified.
 *
 * Sources hold one request at a time, so memory does not grow with the workload. */
#ifndef TANDEM_WORKLOADS_SOURCE_H
#define TANDEM_WORKLOADS_SOURCE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/fields.h"
#include "workloads/request.h"

/* One arrival. max_output_tokens is 0 where the workload does not say. */
struct arrival {
    sim_time at; /* since the workload's first request */
    uint32_t prompt_tokens, output_tokens, max_output_tokens;
    struct origin origin;
    const uint64_t *hashes; /* [hash_count], as in struct request; the source's own until its next arrival */
    uint32_t hash_count, hash_tokens;
    /* Of a source that has routed its requests (`routed` below): requests, between the one before and it, that other
     * clusters have; the station that it goes to; and what is predicted of it, as struct request has it. */
    uint64_t elsewhere;
    size_t station;
    uint32_t predicted_tokens;
    sim_time prediction;
};

enum { SOURCE_WAITS = 2 };

/* A conversation or a program, from its first request on. */
struct session_record {
    sim_time began, ended; /* its first arrival; its last answer so far */
    sim_time tools;        /* that it has spent in tools, of those at once the sum */
    uint32_t turns;        /* requests that have come */
    uint32_t answered;     /* of these */
    bool complete;         /* all its requests are answered */
};

struct request_source {
    /* 1 and fills *out, 0 at the end, -1 on error, SOURCE_WAITS when nobody comes before a request has finished
     * (closed loop). Arrivals never go back in time. */
    int (*next)(void *state, struct arrival *out, struct error *err);
    /* A request has finished, or was refused (it has generated nothing then), at `at`; times never go back. NULL: the
     * source does not care. */
    void (*finished)(void *state, const struct request *r, sim_time at);
    /* The last arrival has not come yet: the next call of next() gives it again, or another that comes before it now
     * that a request has finished. NULL: what has been given stays the next one. */
    void (*put_back)(void *state);
    /* How its sessions went, [*count] in order of their first requests; the source's own. NULL: it does not say. */
    const struct session_record *(*sessions)(void *state, size_t *count);
    void (*destroy)(void *state);
    void *state;
    bool routed; /* its arrivals say their station, and what is predicted of them */
};

/* The forms of a scenario's "workload": a trace, or generated requests. */
extern const struct field workload_forms[];

/* Builds the source that a scenario's "workload" object describes. `seed` feeds the generators' streams. */
int workload_create(const struct json *workload, uint64_t seed, struct request_source *out, struct error *err);

/* Prepares a scenario for a setting of `path`, which overrides: a "workload.trace" takes the place of the generated
 * requests that its workload describes, and "workload.arrivals" or "workload.lengths" that of its trace. Settings come
 * together: make way for all of them before the first is applied. */
void workload_make_way(const struct json *scenario, const char *path);

static inline void request_source_destroy(struct request_source *source)
{
    if (source->destroy)
        source->destroy(source->state);
    *source = (struct request_source){0};
}

#endif
