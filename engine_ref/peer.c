/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "engine_ref/peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "engine_ref/peer_message.h"

struct peer {
    int socket;
    pid_t process;
    enum peer_link link;
    float *slots; /* [PEER_SLOTS][block_floats] in both processes, or NULL */
    size_t block_floats;
    struct peer_item *items;
    size_t item_capacity;
    float *block;     /* [block_floats] on its way through the socket */
    struct error why; /* the first failure; nothing works after it */
};

enum peer_link peer_link_find(const char *name)
{
    return strcmp(name, "shared") == 0 ? PEER_SHARED : strcmp(name, "socket") == 0 ? PEER_SOCKET : PEER_NONE;
}

static int gone(struct peer *p, struct error *err)
{
    if (p->why.code == ERROR_NONE)
        error_set(&p->why, ERROR_RUN, "the engine in the other process has ended");
    *err = p->why;
    return -1;
}

static int send_message(struct peer *p, const struct peer_message *m, struct error *err)
{
    return p->why.code != ERROR_NONE || peer_send(p->socket, m, sizeof *m) ? gone(p, err) : 0;
}

/* `most` is how many tokens may follow. */
static int receive_reply(struct peer *p, struct peer_reply *r, uint64_t most, struct error *err)
{
    if (peer_receive(p->socket, r, sizeof *r))
        return gone(p, err);
    if (r->took.wall_ns < 0 || r->took.cpu_ns < 0 || r->count > most || r->error.code < ERROR_NONE ||
        r->error.code > ERROR_RUN || !memchr(r->error.text, 0, sizeof r->error.text) ||
        (r->error.code != ERROR_NONE && !r->error.text[0])) {
        error_set(&p->why, ERROR_RUN, "the engine in the other process says what makes no sense");
        return gone(p, err);
    }
    if (r->error.code == ERROR_NONE)
        return 0;
    error_set(&p->why, r->error.code, "%s", r->error.text);
    return gone(p, err);
}

static void fill_item(struct peer_item *item, const struct request *r, const struct batch_item *b)
{
    *item = (struct peer_item){.id = r->id,
                               .prompt_tokens = r->prompt_tokens,
                               .generated = r->generated,
                               .computed = r->computed,
                               .new_tokens = b ? b->new_tokens : 1,
                               .row = b ? b->row : 0,
                               .decode = b ? b->decode : true};
}

static int run(void *self, const struct batch *b, struct step_time *took, struct error *err)
{
    struct peer *p = self;
    struct peer_reply reply;
    size_t all = b->decodes + b->count;
    struct peer_item *items = array_grow(p->items, &p->item_capacity, all + 1, sizeof *items);
    if (!items)
        return error_no_memory(err);
    p->items = items;
    for (size_t i = 0; i < b->decodes; i++)
        fill_item(&items[i], b->decoders[i], NULL);
    for (size_t i = 0; i < b->count; i++)
        fill_item(&items[b->decodes + i], b->items[i].req, &b->items[i]);
    const struct peer_message m = {.command = COMMAND_RUN,
                                   .layout = (uint32_t)b->layout,
                                   .packed_attention = (uint32_t)b->packed_attention,
                                   .rows = b->rows,
                                   .row_tokens = b->row_tokens,
                                   .row_kv = b->row_kv,
                                   .decodes = b->decodes,
                                   .count = b->count};
    if (send_message(p, &m, err))
        return -1;
    if (peer_send(p->socket, items, all * sizeof *items))
        return gone(p, err);
    if (receive_reply(p, &reply, 0, err))
        return -1;
    *took = reply.took;
    return 0;
}

static int drop_blocks(void *self, uint64_t id, struct error *err)
{
    return send_message(self, &(struct peer_message){.command = COMMAND_DROP, .id = id}, err);
}

static int forget(void *self, uint64_t id, struct error *err)
{
    return send_message(self, &(struct peer_message){.command = COMMAND_FORGET, .id = id}, err);
}

/* In shared memory a slot is written again when the other process has said that it took what was there. */
static int send_block(struct peer *p, struct instance *from, uint32_t block, size_t i, struct error *err)
{
    char taken;
    if (p->link == PEER_SOCKET)
        return from->backend->read_block(from->state, block, p->block, err)         ? -1
               : peer_send(p->socket, p->block, p->block_floats * sizeof *p->block) ? gone(p, err)
                                                                                    : 0;
    if (i >= PEER_SLOTS && peer_receive(p->socket, &taken, 1))
        return gone(p, err);
    if (from->backend->read_block(from->state, block, p->slots + i % PEER_SLOTS * p->block_floats, err))
        return -1;
    return peer_send(p->socket, "", 1) ? gone(p, err) : 0;
}

static int receive(void *self, struct instance *from, uint64_t id, struct error *err)
{
    struct peer *p = self;
    const struct sequence *s = instance_sequence(from, id);
    struct peer_reply reply;
    if (!s)
        return error_set(err, ERROR_RUN, "request %llu is not known to the engine", (unsigned long long)id);
    const struct peer_message m = {.command = COMMAND_RECEIVE,
                                   .id = id,
                                   .count = s->block_count,
                                   .generated = s->generated_count};
    if (send_message(p, &m, err))
        return -1;
    if (peer_send(p->socket, s->generated, s->generated_count * sizeof *s->generated))
        return gone(p, err);
    for (size_t i = 0; i < s->block_count; i++)
        if (send_block(p, from, s->blocks[i], i, err)) { /* the other process still waits for the rest */
            p->why = *err;
            return -1;
        }
    size_t open = p->link == PEER_SOCKET ? 0 : s->block_count < PEER_SLOTS ? s->block_count : PEER_SLOTS;
    char taken[PEER_SLOTS];
    if (peer_receive(p->socket, taken, open))
        return gone(p, err);
    if (receive_reply(p, &reply, 0, err))
        return -1;
    instance_forget(from, id);
    return 0;
}

struct engine_port peer_port(struct peer *p)
{
    return (
        struct engine_port){.run = run, .drop_blocks = drop_blocks, .forget = forget, .receive = receive, .self = p};
}

int peer_look(struct peer *p, uint64_t id, uint32_t *tokens, size_t most, size_t *count, size_t *sequences,
              size_t *free_blocks, struct error *err)
{
    struct peer_reply reply;
    if (send_message(p, &(struct peer_message){.command = COMMAND_LOOK, .id = id, .count = most}, err) ||
        receive_reply(p, &reply, most, err))
        return -1;
    *count = reply.count;
    *sequences = reply.sequences;
    *free_blocks = reply.free_blocks;
    return peer_receive(p->socket, tokens, reply.count * sizeof *tokens) ? gone(p, err) : 0;
}

static int system_error(const char *what, struct error *err)
{
    return error_set(err, ERROR_RUN, "no process for an engine: %s: %s", what, strerror(errno));
}

static int fork_child(struct peer *p, const struct weights *weights, const struct backend *backend,
                      const struct engine_limits *limits, uint64_t seed, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        return system_error("socketpair", err);
    fflush(NULL);
    p->process = fork();
    if (p->process < 0) {
        close(ends[0]);
        close(ends[1]);
        return system_error("fork", err);
    }
    if (p->process == 0) {
        close(ends[0]);
        signal(SIGINT, SIG_IGN); /* it is the other one that is interrupted, and says when to end */
        signal(SIGTERM, SIG_IGN);
        peer_serve(ends[1], p->slots, weights, backend, limits, seed);
        _exit(0);
    }
    close(ends[1]);
    p->socket = ends[0];
    return 0;
}

/* Without a process; the caller stops it, also on failure. */
static int prepare(struct peer **out, const struct weights *weights, const struct engine_limits *limits,
                   enum peer_link link, struct error *err)
{
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return error_no_memory(err);
    *p = (struct peer){.socket = -1, .process = -1, .link = link};
    p->block_floats = block_floats(&weights->model, limits->block_tokens);
    p->block = malloc(p->block_floats * sizeof *p->block);
    *out = p;
    return p->block ? 0 : error_no_memory(err);
}

static int await_ready(struct peer *p, struct error *err)
{
    struct peer_reply ready;
    return receive_reply(p, &ready, 0, err);
}

int peer_connect(struct peer **out, int socket, const struct weights *weights, const struct engine_limits *limits,
                 struct error *err)
{
    struct peer *p = NULL;
    int status = prepare(&p, weights, limits, PEER_SOCKET, err);
    if (p)
        p->socket = socket;
    else
        close(socket);
    if (status || await_ready(p, err)) {
        peer_stop(p);
        return -1;
    }
    *out = p;
    return 0;
}

int peer_start(struct peer **out, const struct weights *weights, const struct backend *backend,
               const struct engine_limits *limits, uint64_t seed, enum peer_link link, struct error *err)
{
    struct peer *p = NULL;
    int status = prepare(&p, weights, limits, link, err);
    if (status == 0 && link == PEER_SHARED) {
        void *slots = mmap(NULL, PEER_SLOTS * p->block_floats * sizeof *p->slots, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        p->slots = slots == MAP_FAILED ? NULL : slots;
        status = p->slots ? 0 : system_error("mmap", err);
    }
    if (status == 0)
        status = fork_child(p, weights, backend, limits, seed, err) || await_ready(p, err) ? -1 : 0;
    if (status) {
        peer_stop(p);
        return -1;
    }
    *out = p;
    return 0;
}

void peer_stop(struct peer *p)
{
    if (!p)
        return;
    if (p->socket >= 0)
        close(p->socket); /* at which it ends */
    if (p->process > 0)
        while (waitpid(p->process, NULL, 0) < 0 && errno == EINTR)
            ;
    if (p->slots)
        munmap(p->slots, PEER_SLOTS * p->block_floats * sizeof *p->slots);
    free(p->block);
    free(p->items);
    free(p);
}
