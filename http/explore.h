/* SPDX-License-Identifier: MIT */
/* explore.h — one page on which a scenario's settings are moved, and what comes of them is seen at once. The page asks
 * for a curve; each of its points is a simulation, answered as soon as it has run. */
#ifndef TANDEM_HTTP_EXPLORE_H
#define TANDEM_HTTP_EXPLORE_H

#include <pthread.h>
#include <signal.h>

#include "base/json.h"
#include "http/http.h"
#include "profiles/shared_costs.h"

struct explorer {
    const char *scenario;              /* as it was named */
    char *text;                        /* its JSON */
    const char *database;              /* where runs are kept */
    const volatile sig_atomic_t *stop; /* ends what runs */
    struct shared_costs *costs;
    pthread_mutex_t turn; /* one point at a time; and of what follows */
    int trace;            /* the file of a dropped trace; -1: none */
    double trace_per_s;   /* its rate */
};

/* `scenario` is its JSON, of which the explorer keeps a copy. */
int explorer_open(struct explorer *e, const char *name, const struct json *scenario, const char *database,
                  const volatile sig_atomic_t *stop, struct error *err);
void explorer_close(struct explorer *e);

/* An http_handler whose state is a struct explorer. */
void explorer_handle(void *state, const struct http_request *request, struct http_answer *out);

#endif
