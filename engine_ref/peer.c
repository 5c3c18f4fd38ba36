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

enum command { COMMAND_RUN, COMMAND_DROP, COMMAND_FORGET, COMMAND_RECEIVE, COMMAND_LOOK };

/* What goes to the other process; a RUN is followed by its requests, a RECEIVE by tokens and blocks. */
struct message {
    uint32_t command, layout, packed_attention, rows, row_tokens, row_kv;
    uint64_t id, decodes, count; /* items of a RUN; blocks of a RECEIVE; most tokens wanted by a LOOK */
    uint64_t generated;          /* tokens of a RECEIVE */
};

/* A request of a batch, as much as an instance looks at. */
struct item {
    uint64_t id;
    uint32_t prompt_tokens, generated, computed, new_tokens, row, decode;
};

struct reply {
    struct step_time took;
    uint64_t count, sequences, free_blocks; /* of a LOOK; tokens follow */
    struct error error;                     /* code ERROR_NONE: it went well */
};

enum { SLOTS = 4 }; /* blocks on their way in shared memory */

struct peer {
    int socket;
    pid_t process;
    enum peer_link link;
    float *slots; /* [SLOTS][block_floats] in both processes, or NULL */
    size_t block_floats;
    struct item *items;
    size_t item_capacity;
    float *block;     /* [block_floats] on its way through the socket */
    struct error why; /* the first failure; nothing works after it */
};

enum peer_link peer_link_find(const char *name)
{
    return strcmp(name, "shared") == 0 ? PEER_SHARED : strcmp(name, "socket") == 0 ? PEER_SOCKET : PEER_NONE;
}

static int send_all(int socket, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        at += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int receive_all(int socket, void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t got = recv(socket, at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

/* ---- The other process. */

struct child {
    struct instance engine;
    int socket;
    const float *slots;
    size_t block_floats;
    float *block; /* that comes through the socket */
    struct item *items;
    struct request *requests;
    struct request **decoders;
    struct batch_item *batch_items;
    size_t capacity[4];
    struct error error; /* what went wrong since the last reply */
};

/* Room for a batch's requests. */
static int make_room(struct child *c, size_t count)
{
    struct item *items = array_grow(c->items, &c->capacity[0], count, sizeof *items);
    c->items = items ? items : c->items;
    struct request *requests = array_grow(c->requests, &c->capacity[1], count, sizeof *requests);
    c->requests = requests ? requests : c->requests;
    struct request **decoders = array_grow(c->decoders, &c->capacity[2], count, sizeof *decoders);
    c->decoders = decoders ? decoders : c->decoders;
    struct batch_item *batch_items = array_grow(c->batch_items, &c->capacity[3], count, sizeof *batch_items);
    c->batch_items = batch_items ? batch_items : c->batch_items;
    return items && requests && decoders && batch_items ? 0 : error_no_memory(&c->error);
}

static struct request *make_request(struct child *c, size_t i)
{
    const struct item *item = &c->items[i];
    c->requests[i] = (struct request){.id = item->id,
                                      .prompt_tokens = item->prompt_tokens,
                                      .generated = item->generated,
                                      .computed = item->computed};
    return &c->requests[i];
}

static int run_there(struct child *c, const struct message *m)
{
    size_t all = (size_t)(m->decodes + m->count);
    if (make_room(c, all + 1) || receive_all(c->socket, c->items, all * sizeof *c->items))
        return -1;
    struct batch b = {.decodes = (uint32_t)m->decodes,
                      .decoders = c->decoders,
                      .items = c->batch_items,
                      .count = (size_t)m->count,
                      .layout = (enum batch_layout)m->layout,
                      .packed_attention = (enum packed_attention)m->packed_attention,
                      .rows = m->rows,
                      .row_tokens = m->row_tokens,
                      .row_kv = m->row_kv};
    for (size_t i = 0; i < m->decodes; i++)
        c->decoders[i] = make_request(c, i);
    for (size_t i = 0; i < m->count; i++) {
        const struct item *item = &c->items[m->decodes + i];
        c->batch_items[i] = (struct batch_item){.req = make_request(c, (size_t)m->decodes + i),
                                                .new_tokens = item->new_tokens,
                                                .row = item->row,
                                                .decode = item->decode != 0};
    }
    struct reply reply = {0};
    if (c->error.code == ERROR_NONE)
        instance_run(&c->engine, &b, &c->error);
    reply.took = c->engine.took;
    reply.error = c->error;
    return send_all(c->socket, &reply, sizeof reply);
}

/* Blocks come one after another, each to be taken out of its slot before the slot is said to be free. */
static int take_block(struct child *c, size_t i, const float **block)
{
    size_t floats = c->block_floats;
    char full;
    *block = c->slots ? c->slots + i % SLOTS * floats : c->block;
    return c->slots ? receive_all(c->socket, &full, 1) : receive_all(c->socket, c->block, floats * sizeof *c->block);
}

static int receive_there(struct child *c, const struct message *m)
{
    uint32_t *tokens = calloc(m->generated + 1, sizeof *tokens), *blocks = calloc(m->count + 1, sizeof *blocks);
    bool whole = tokens && blocks && receive_all(c->socket, tokens, m->generated * sizeof *tokens) == 0;
    if (whole && c->error.code == ERROR_NONE)
        instance_adopt(&c->engine, m->id, tokens, m->generated, m->count, blocks, &c->error);
    for (size_t i = 0; i < m->count && whole; i++) {
        const float *block;
        whole = take_block(c, i, &block) == 0;
        if (whole && c->error.code == ERROR_NONE)
            c->engine.backend->write_block(c->engine.state, blocks[i], block, &c->error);
        whole = whole && (!c->slots || send_all(c->socket, "", 1) == 0);
    }
    free(tokens);
    free(blocks);
    struct reply reply = {.error = c->error};
    return whole ? send_all(c->socket, &reply, sizeof reply) : -1;
}

static int look_there(struct child *c, const struct message *m)
{
    const struct sequence *s = instance_sequence(&c->engine, m->id);
    struct reply reply = {.error = c->error,
                          .sequences = c->engine.sequence_count,
                          .free_blocks = c->engine.free_count,
                          .count = s ? s->generated_count : 0};
    reply.count = reply.count < m->count ? reply.count : m->count;
    return send_all(c->socket, &reply, sizeof reply) ||
                   (s && send_all(c->socket, s->generated, reply.count * sizeof *s->generated))
               ? -1
               : 0;
}

static int obey(struct child *c, const struct message *m)
{
    switch ((enum command)m->command) {
    case COMMAND_RUN:
        return run_there(c, m);
    case COMMAND_RECEIVE:
        return receive_there(c, m);
    case COMMAND_LOOK:
        return look_there(c, m);
    case COMMAND_DROP:
        instance_drop_blocks(&c->engine, m->id);
        return 0;
    case COMMAND_FORGET:
        instance_forget(&c->engine, m->id);
        return 0;
    }
    return -1;
}

/* Until the first process has gone. It is that one that is interrupted, and says when to end. */
static void live(struct child *c, const struct weights *weights, const struct backend *backend,
                 const struct engine_limits *limits, uint64_t seed)
{
    struct message m;
    struct reply ready = {0};
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    bool made = instance_create(&c->engine, weights, backend, limits, seed, &c->error) == 0;
    if (made) {
        c->block = malloc(c->block_floats * sizeof *c->block);
        if (!c->block)
            error_no_memory(&c->error);
    }
    ready.error = c->error;
    if (send_all(c->socket, &ready, sizeof ready) == 0 && c->error.code == ERROR_NONE)
        while (receive_all(c->socket, &m, sizeof m) == 0 && obey(c, &m) == 0)
            ;
    if (made)
        instance_release(&c->engine);
    free(c->block);
    free(c->items);
    free(c->requests);
    free(c->decoders);
    free(c->batch_items);
}

/* ---- This process. */

static int gone(struct peer *p, struct error *err)
{
    if (p->why.code == ERROR_NONE)
        error_set(&p->why, ERROR_RUN, "the engine in the other process has ended");
    *err = p->why;
    return -1;
}

static int send_message(struct peer *p, const struct message *m, struct error *err)
{
    return p->why.code != ERROR_NONE || send_all(p->socket, m, sizeof *m) ? gone(p, err) : 0;
}

static int receive_reply(struct peer *p, struct reply *r, struct error *err)
{
    if (receive_all(p->socket, r, sizeof *r))
        return gone(p, err);
    if (r->error.code == ERROR_NONE)
        return 0;
    p->why = r->error;
    return gone(p, err);
}

static void fill_item(struct item *item, const struct request *r, const struct batch_item *b)
{
    *item = (struct item){.id = r->id,
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
    struct reply reply;
    size_t all = b->decodes + b->count;
    struct item *items = array_grow(p->items, &p->item_capacity, all + 1, sizeof *items);
    if (!items)
        return error_no_memory(err);
    p->items = items;
    for (size_t i = 0; i < b->decodes; i++)
        fill_item(&items[i], b->decoders[i], NULL);
    for (size_t i = 0; i < b->count; i++)
        fill_item(&items[b->decodes + i], b->items[i].req, &b->items[i]);
    const struct message m = {.command = COMMAND_RUN,
                              .layout = (uint32_t)b->layout,
                              .packed_attention = (uint32_t)b->packed_attention,
                              .rows = b->rows,
                              .row_tokens = b->row_tokens,
                              .row_kv = b->row_kv,
                              .decodes = b->decodes,
                              .count = b->count};
    if (send_message(p, &m, err))
        return -1;
    if (send_all(p->socket, items, all * sizeof *items))
        return gone(p, err);
    if (receive_reply(p, &reply, err))
        return -1;
    *took = reply.took;
    return 0;
}

static int drop_blocks(void *self, uint64_t id, struct error *err)
{
    return send_message(self, &(struct message){.command = COMMAND_DROP, .id = id}, err);
}

static int forget(void *self, uint64_t id, struct error *err)
{
    return send_message(self, &(struct message){.command = COMMAND_FORGET, .id = id}, err);
}

/* In shared memory a slot is written again when the other process has said that it took what was there. */
static int send_block(struct peer *p, struct instance *from, uint32_t block, size_t i, struct error *err)
{
    char taken;
    if (p->link == PEER_SOCKET)
        return from->backend->read_block(from->state, block, p->block, err)        ? -1
               : send_all(p->socket, p->block, p->block_floats * sizeof *p->block) ? gone(p, err)
                                                                                   : 0;
    if (i >= SLOTS && receive_all(p->socket, &taken, 1))
        return gone(p, err);
    if (from->backend->read_block(from->state, block, p->slots + i % SLOTS * p->block_floats, err))
        return -1;
    return send_all(p->socket, "", 1) ? gone(p, err) : 0;
}

static int receive(void *self, struct instance *from, uint64_t id, struct error *err)
{
    struct peer *p = self;
    const struct sequence *s = instance_sequence(from, id);
    struct reply reply;
    if (!s)
        return error_set(err, ERROR_RUN, "request %llu is not known to the engine", (unsigned long long)id);
    const struct message m = {.command = COMMAND_RECEIVE,
                              .id = id,
                              .count = s->block_count,
                              .generated = s->generated_count};
    if (send_message(p, &m, err))
        return -1;
    if (send_all(p->socket, s->generated, s->generated_count * sizeof *s->generated))
        return gone(p, err);
    for (size_t i = 0; i < s->block_count; i++)
        if (send_block(p, from, s->blocks[i], i, err)) { /* the other process still waits for the rest */
            p->why = *err;
            return -1;
        }
    size_t open = p->link == PEER_SOCKET ? 0 : s->block_count < SLOTS ? s->block_count : SLOTS;
    char taken[SLOTS];
    if (receive_all(p->socket, taken, open))
        return gone(p, err);
    if (receive_reply(p, &reply, err))
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
    struct reply reply;
    if (send_message(p, &(struct message){.command = COMMAND_LOOK, .id = id, .count = most}, err) ||
        receive_reply(p, &reply, err))
        return -1;
    *count = reply.count;
    *sequences = reply.sequences;
    *free_blocks = reply.free_blocks;
    return receive_all(p->socket, tokens, reply.count * sizeof *tokens) ? gone(p, err) : 0;
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
        struct child c = {.socket = ends[1], .slots = p->slots, .block_floats = p->block_floats};
        live(&c, weights, backend, limits, seed);
        _exit(0);
    }
    close(ends[1]);
    p->socket = ends[0];
    struct reply ready;
    return receive_reply(p, &ready, err);
}

int peer_start(struct peer **out, const struct weights *weights, const struct backend *backend,
               const struct engine_limits *limits, uint64_t seed, enum peer_link link, struct error *err)
{
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return error_no_memory(err);
    *p = (struct peer){.socket = -1, .process = -1, .link = link};
    p->block_floats = block_floats(&weights->model, limits->block_tokens);
    p->block = malloc(p->block_floats * sizeof *p->block);
    int status = p->block ? 0 : error_no_memory(err);
    if (status == 0 && link == PEER_SHARED) {
        void *slots = mmap(NULL, SLOTS * p->block_floats * sizeof *p->slots, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        p->slots = slots == MAP_FAILED ? NULL : slots;
        status = p->slots ? 0 : system_error("mmap", err);
    }
    if (status == 0)
        status = fork_child(p, weights, backend, limits, seed, err);
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
        munmap(p->slots, SLOTS * p->block_floats * sizeof *p->slots);
    free(p->block);
    free(p->items);
    free(p);
}
