/* SPDX-License-Identifier: MIT */
/* rank_message.h — what the ranks of a job send each other (ranks.h). What comes in is checked before it is looked at:
 * a message may be cut, or be of another program. */
#ifndef TANDEM_PLANNER_RANK_MESSAGE_H
#define TANDEM_PLANNER_RANK_MESSAGE_H

#include "planner/transport.h"
#include "planner/trial.h"

/* STILL_HERE is said now and then by rank 0 to those that wait for it, and by a rank whose trial takes long to rank 0:
 * who hears nothing takes the other for dead. */
enum rank_message_kind { SAYS_READY, SAYS_UNFIT, ASKS_TRIAL, SAYS_RESULT, ENDS_WORK, SAYS_GOODBYE, STILL_HERE, LEAVES };

struct rank_message {
    enum rank_message_kind kind;
    char version[16];
    bool keep_rows, together;
    int64_t index;        /* of a trial */
    uint64_t seed, round; /* of calls to run: late answers to an earlier one say nothing */
    double scales[SCALE_COUNT];
    struct trial_result result; /* of one that is unfit, its code alone: whose fault that is */
    size_t
        rest; /* bytes that follow: a scenario's text, or rows; the plug-ins of who is ready; why somebody is unfit */
};

/* Whether `size` bytes are a message of this version: *out is a copy of its head, and out->rest bytes follow that. */
bool rank_message_read(const void *bytes, size_t size, struct rank_message *out);

/* Sends m's head and `size` bytes after it. Returns 0, or -1 when memory is short or the rank cannot be reached. */
int rank_message_send(struct transport *t, int to, struct rank_message *m, const void *rest, size_t size);

/* The next message: *rest points to what follows its head, text that ends with a 0, in *bytes, which are the caller's
 * to free. Waits for up to wait_s. Returns 1; 0 when there was none; -1 when it is not one of this version. */
int rank_message_receive(struct transport *t, int *from, struct rank_message *m, void **bytes, char **rest,
                         double wait_s);

#endif
