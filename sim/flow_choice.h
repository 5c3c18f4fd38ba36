/* SPDX-License-Identifier: MIT */
/* flow_choice.h — a step of the flow in which what a request is decides its pool, and a router only which station of
 * it: a small and a large model, long prompts apart, a share of the requests for a trial. */
#ifndef TANDEM_SIM_FLOW_CHOICE_H
#define TANDEM_SIM_FLOW_CHOICE_H

#include "base/fields.h"
#include "workloads/request.h"

enum { FLOW_CHOICE_POOLS = 16 };

enum flow_chooser {
    CHOOSE_ANY,
    CHOOSE_BY_PRIORITY,
    CHOOSE_BY_CLIENT,
    CHOOSE_BY_SIZE,
    CHOOSE_AT_RANDOM,
    CHOOSE_BY_CLASS
};

struct flow_choice {
    enum flow_chooser by; /* CHOOSE_ANY: the router chooses among the stations of all pools */
    size_t pools;
    uint32_t most_tokens[FLOW_CHOICE_POOLS]; /* [pools − 1] CHOOSE_BY_SIZE: longest prompt of all pools but the last */
    double until[FLOW_CHOICE_POOLS];         /* [pools] CHOOSE_AT_RANDOM: sums of shares, the last is 1 */
    uint64_t seed;
};

/* Which of the step's pools, counted from 0. It depends on the request alone, not on what came before it. */
size_t flow_choice_of(const struct flow_choice *c, const struct request *r);

/* The fields of a step that is an object: "by", "to", and what the rule needs. */
extern const struct field flow_choice_fields[];

/* Reads such a step but for its pools, of which "to" names so many. */
int flow_choice_read(const struct json *step, uint64_t seed, struct flow_choice *out, struct error *err);

#endif
