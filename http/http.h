/* SPDX-License-Identifier: MIT */
/* http.h — a small HTTP server for programs on the same machine, over libmicrohttpd: a thread for each connection, and
 * a limit on whatever a client can make grow or last.
 *
 * It listens on 127.0.0.1 unless another address is asked for, and then answers only requests whose Host names this
 * machine, so that no page of another site can reach it by a name of its own. */
#ifndef TANDEM_HTTP_HTTP_H
#define TANDEM_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct http_request {
    const char *method, *path; /* the path without its query, decoded */
    const char *body;          /* [body_size] and a 0 behind it; "" without one */
    size_t body_size;
};

/* What a handler answers: a text, or what `read` brings as it comes. */
struct http_answer {
    int status;       /* 200 unless it is set */
    const char *type; /* constant; application/json unless it is set */
    char *text;       /* freed by the server; NULL: "" */
    /* Writes up to `room` bytes as soon as there are some: their number, 0 at the end, -1 to break off. `done` is
     * called once in any case. NULL: the text is the answer. */
    ssize_t (*read)(void *state, char *out, size_t room);
    void (*done)(void *state);
    void *state;
};

/* Called on any thread, many at once. */
typedef void (*http_handler)(void *state, const struct http_request *request, struct http_answer *out);

struct http_options {
    const char *address; /* an IPv4 address; NULL: 127.0.0.1 */
    unsigned port;       /* 0: any that is free */
    const char *token;   /* requests bring it as "Authorization: Bearer TOKEN" or ?token=TOKEN; NULL: they need none */
    size_t most_body;    /* bytes of a request's body */
    unsigned most_connections;
    unsigned most_wait_s; /* for a client to send its whole request, or to take what it is sent */
};

struct http_server;

/* Returns 0, or -1 with a sentence that names the address. `o`'s texts outlive the server. */
int http_start(struct http_server **out, const struct http_options *o, http_handler handler, void *state,
               struct error *err);

/* Where it listens. */
unsigned http_port(const struct http_server *s);
const char *http_address(const struct http_server *s);

/* Takes no more connections; waits, at most so long, until all answers have been sent; closes what is left. May be
 * NULL. */
void http_stop(struct http_server *s, double most_s);

/* A text for `text`, made as printf does; NULL when memory is short. */
char *http_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
