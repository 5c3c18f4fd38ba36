/* SPDX-License-Identifier: MIT */
/* peer.h — an engine in a process of its own, to which keys and values go as in a disaggregated deployment: through
 * memory that both processes have, or through a socket. Commands and tokens go through a socket in either case. */
#ifndef TANDEM_ENGINE_REF_PEER_H
#define TANDEM_ENGINE_REF_PEER_H

#include "engine_ref/instance.h"
#include "engine_ref/port.h"

enum peer_link { PEER_NONE, PEER_SHARED, PEER_SOCKET };

/* By its name, "shared" or "socket"; PEER_NONE for any other. */
enum peer_link peer_link_find(const char *name);

struct peer;

/* Starts the process, which makes its instance of the same weights. To be called before this process has an engine: a
 * GPU's state does not survive a fork, nor do threads. `backend` and `weights` must stay until peer_stop. */
int peer_start(struct peer **out, const struct weights *weights, const struct backend *backend,
               const struct engine_limits *limits, uint64_t seed, enum peer_link link, struct error *err);

/* An engine whose process was started elsewhere, at the other end of a socket, which is closed by peer_stop. Blocks go
 * through it, too. */
int peer_connect(struct peer **out, int socket, const struct weights *weights, const struct engine_limits *limits,
                 struct error *err);

/* What that process does: obeys what comes through its end of the socket, with an engine of its own, until the other
 * end is closed or what comes makes no sense. `slots` is the memory of PEER_SHARED, NULL for none. */
void peer_serve(int socket, const float *slots, const struct weights *weights, const struct backend *backend,
                const struct engine_limits *limits, uint64_t seed);

/* Ends the process and waits for it; NULL is nothing. */
void peer_stop(struct peer *p);

struct engine_port peer_port(struct peer *p);

/* What is there: sequences, free blocks, and of one sequence the tokens that it has generated, at most `most` of them.
 * *count is 0 where there is no such sequence. */
int peer_look(struct peer *p, uint64_t id, uint32_t *tokens, size_t most, size_t *count, size_t *sequences,
              size_t *free_blocks, struct error *err);

#endif
