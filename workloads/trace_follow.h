/* SPDX-License-Identifier: MIT */
/* trace_follow.h — whom a request of a JSONL trace waits for, by the keys of its format. */
#ifndef TANDEM_WORKLOADS_TRACE_FOLLOW_H
#define TANDEM_WORKLOADS_TRACE_FOLLOW_H

#include "workloads/trace_object.h"

/* Keys of a format; NULL: it has none of that. */
struct follow_keys {
    int (*lengths)(const struct object *o, struct arrival *a); /* reads them, and all else but what is below */
    const char *times[2];  /* when a request comes that waits for nobody: one of these */
    const char *request;   /* its name */
    const char *session;   /* requests of a session belong to one program */
    const char *after;     /* names of requests above that it waits for: one, or a list */
    const char *delays[2]; /* from their answers on: one of these */
    const char *tool;      /* what it spends in tools after that */
    const char *context;   /* tokens of its prompt that the first of them was asked and has answered */
    double ns;             /* of a unit of delays and tools */
    bool chained; /* a request of a session that names nobody waits for the one before it there; where it has a time and
                     no delay, that is the time between the two */
    bool recorded; /* all have times; delays are the times between them */
};

/* Reads a request, and puts it in the row's programs if it has some. Where the row has none, a request that waits for
 * others is an error unless the row is open. */
int follow_read(const struct object *o, const struct follow_keys *keys, struct arrival *a);

/* A name as text: a string, or a number's digits; NULL: neither. */
const char *follow_name(const cJSON *node, char *buffer, size_t size);

/* A time of a member that may be missing, which leaves *out as it is; *said: it is there. */
int follow_time(const struct object *o, const char *key, double ns, sim_time *out, bool *said);

#endif
