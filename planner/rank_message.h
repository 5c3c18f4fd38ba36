/* SPDX-License-Identifier: MIT */
/* rank_message.h — what the ranks of a job send each other (ranks.h). What comes in is checked before it is looked at:
 * a message may be cut, or be of another program. */
#ifndef TANDEM_PLANNER_RANK_MESSAGE_H
#define TANDEM_PLANNER_RANK_MESSAGE_H

#include "planner/trial.h"

enum rank_message_kind { SAYS_READY, SAYS_UNFIT, ASKS_TRIAL, SAYS_RESULT, ENDS_WORK, SAYS_GOODBYE, LEAVES };

struct rank_message {
    enum rank_message_kind kind;
    char version[16];
    bool keep_rows, together;
    int64_t index;        /* of a trial */
    uint64_t seed, round; /* of calls to run: late answers to an earlier one say nothing */
    double scales[SCALE_COUNT];
    struct trial_result result;
    size_t
        rest; /* bytes that follow: a scenario's text, or rows; the plug-ins of who is ready; why somebody is unfit */
};

/* Whether `size` bytes are a message of this version: *out is a copy of its head, and out->rest bytes follow that. */
bool rank_message_read(const void *bytes, size_t size, struct rank_message *out);

#endif
