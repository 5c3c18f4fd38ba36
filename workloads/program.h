/* SPDX-License-Identifier: MIT */
/* program.h — sessions and agents: requests that wait for others' answers, for tools and delays.
 *
 * A program's requests form a graph without cycles. One that waits for several joins them; several that wait for one
 * fan out. A request's prompt begins with what the first one that it waits for was asked and has answered, unless the
 * trace says otherwise. */
#ifndef TANDEM_WORKLOADS_PROGRAM_H
#define TANDEM_WORKLOADS_PROGRAM_H

#include <stddef.h>

#include "workloads/request.h"

/* Another step of the same program, by its place there. */
struct program_link {
    uint32_t step;
    sim_time delay; /* from that one's answer on, before the step's own */
};

struct program_step {
    sim_time at;          /* of one that waits for nobody: after its program began */
    sim_time delay, tool; /* of one that waits: what lies between the last answer and its arrival, and what of it is
                             spent in tools */
    uint32_t prompt_tokens, output_tokens, max_output_tokens;
    uint32_t context_tokens; /* of its prompt that are the first ones of what the first step that it waits for was asked
                                and has answered */
    struct origin origin;
    size_t first_hash; /* this and the next two: of hashes that the trace has of it */
    uint32_t hash_count, hash_tokens;
    size_t first_after, first_next; /* links: those that it waits for, and those that wait for it */
    uint32_t after_count, next_count;
};

struct program {
    sim_time at;
    size_t first; /* of its steps */
    uint32_t count;
};

/* Those of a trace, in order of `at`, which is 0 of the first. */
struct programs {
    struct program *items; /* [count] */
    struct program_step *steps;
    struct program_link *links;
    uint64_t *hashes;
    size_t count, step_count;
};

void programs_release(struct programs *p);

#endif
