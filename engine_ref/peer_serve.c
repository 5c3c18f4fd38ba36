/* SPDX-License-Identifier: MIT */
/* The engine's own process. What it is told is checked before it acts on it: from a message that makes no sense on,
 * nobody knows where the next one begins, so it says so and ends. */
#include <stdlib.h>

#include "base/array.h"
#include "engine_ref/peer.h"
#include "engine_ref/peer_message.h"

struct child {
    struct instance engine;
    int socket;
    const float *slots;
    size_t block_floats;
    float *block; /* that comes through the socket */
    struct peer_item *items;
    struct request *requests;
    struct request **decoders;
    struct batch_item *batch_items;
    size_t capacity[4];
    struct error error; /* what went wrong since the last reply */
};

/* Room for a batch's requests. */
static int make_room(struct child *c, size_t count)
{
    struct peer_item *items = array_grow(c->items, &c->capacity[0], count, sizeof *items);
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
    const struct peer_item *item = &c->items[i];
    c->requests[i] = (struct request){.id = item->id,
                                      .prompt_tokens = item->prompt_tokens,
                                      .generated = item->generated,
                                      .computed = item->computed};
    return &c->requests[i];
}

static int refuse(struct child *c, const char *why)
{
    struct peer_reply reply = {.error = {.code = ERROR_NONE}};
    error_set(&reply.error, ERROR_RUN, "the engine in the other process was told %s", why);
    peer_send(c->socket, &reply, sizeof reply);
    return -1;
}

/* Tokens of a request that the engine knows: its prompt and what has been generated here. */
static uint64_t known_tokens(const struct child *c, const struct peer_item *item)
{
    const struct sequence *s = instance_sequence(&c->engine, item->id);
    return (uint64_t)item->prompt_tokens + (s ? s->generated_count : 0);
}

/* A request's next tokens are there to be computed, and it has no more than a sequence may have. */
static bool fits(const struct child *c, const struct peer_item *item, uint64_t tokens)
{
    uint64_t end = (uint64_t)item->computed + tokens;
    return tokens > 0 && end <= known_tokens(c, item) && end <= c->engine.limits.max_tokens &&
           (uint64_t)item->prompt_tokens + item->generated <= UINT32_MAX;
}

/* Rows of a layout other than ragged hold what is put there, and a step has that many. */
static bool layout_fits(const struct child *c, const struct peer_message *m)
{
    const struct peer_item *items = c->items + m->decodes;
    uint64_t rows = m->count == 0 ? m->rows : (uint64_t)m->rows * m->row_tokens, filled[2] = {0};
    if (m->layout == BATCH_RAGGED)
        return true;
    if (m->layout > BATCH_PACKED || m->packed_attention > PACKED_VARLEN || rows > c->engine.limits.rows ||
        m->row_tokens > c->engine.limits.max_tokens || m->row_kv >= c->engine.limits.max_tokens)
        return false;
    if (m->count == 0)
        return m->decodes > 0;
    bool whole = m->layout == BATCH_PADDED || m->packed_attention != PACKED_VARLEN; /* prompts are computed at once */
    if (m->decodes > 0 || (m->layout == BATCH_PADDED && m->count > m->rows))
        return false;
    for (uint64_t row = 0; row < m->rows; row++, filled[0] = 0)
        for (uint64_t i = 0; i < m->count; i++)
            if ((m->layout == BATCH_PACKED ? items[i].row : i) == row &&
                ((whole && items[i].computed > 0) || items[i].decode ||
                 (filled[0] += items[i].new_tokens) > m->row_tokens))
                return false;
    for (uint64_t i = 0; i < m->count; i++)
        filled[1] += m->layout == BATCH_PADDED || items[i].row < m->rows;
    return filled[1] == m->count;
}

static bool batch_fits(const struct child *c, const struct peer_message *m)
{
    uint64_t rows = 0;
    for (uint64_t i = 0; i < m->decodes + m->count; i++) {
        uint64_t tokens = i < m->decodes ? 1 : c->items[i].new_tokens;
        if (!fits(c, &c->items[i], tokens) || (c->items[i].decode && tokens != 1))
            return false;
        rows += tokens;
    }
    return rows <= c->engine.limits.rows && layout_fits(c, m);
}

static int run_there(struct child *c, const struct peer_message *m)
{
    if (m->decodes > c->engine.limits.outputs || m->count > c->engine.limits.outputs - m->decodes)
        return refuse(c, "to run more sequences than it has room for");
    size_t all = (size_t)(m->decodes + m->count);
    if (make_room(c, all + 1) || peer_receive(c->socket, c->items, all * sizeof *c->items))
        return -1;
    if (c->error.code == ERROR_NONE && !batch_fits(c, m))
        return refuse(c, "to run a batch that it has no room for, or whose tokens it does not have");
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
        const struct peer_item *item = &c->items[m->decodes + i];
        c->batch_items[i] = (struct batch_item){.req = make_request(c, (size_t)m->decodes + i),
                                                .new_tokens = item->new_tokens,
                                                .row = item->row,
                                                .decode = item->decode != 0};
    }
    struct peer_reply reply = {0};
    if (c->error.code == ERROR_NONE)
        instance_run(&c->engine, &b, &c->error);
    reply.took = c->engine.took;
    reply.error = c->error;
    return peer_send(c->socket, &reply, sizeof reply);
}

/* Blocks come one after another, each to be taken out of its slot before the slot is said to be free. */
static int take_block(struct child *c, size_t i, const float **block)
{
    size_t floats = c->block_floats;
    char full;
    *block = c->slots ? c->slots + i % PEER_SLOTS * floats : c->block;
    return c->slots ? peer_receive(c->socket, &full, 1) : peer_receive(c->socket, c->block, floats * sizeof *c->block);
}

static bool model_has(const struct child *c, const uint32_t *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tokens[i] >= c->engine.weights->model.vocab)
            return false;
    return true;
}

static int receive_there(struct child *c, const struct peer_message *m)
{
    if (m->generated > c->engine.limits.max_tokens || m->count > c->engine.limits.blocks)
        return refuse(c, "to take over a sequence that it has no room for");
    uint32_t *tokens = calloc(m->generated + 1, sizeof *tokens), *blocks = calloc(m->count + 1, sizeof *blocks);
    bool whole = tokens && blocks && peer_receive(c->socket, tokens, m->generated * sizeof *tokens) == 0;
    if (whole && !model_has(c, tokens, m->generated)) {
        free(tokens);
        free(blocks);
        return refuse(c, "of tokens that its model does not have");
    }
    if (whole && c->error.code == ERROR_NONE)
        instance_adopt(&c->engine, m->id, tokens, m->generated, m->count, blocks, &c->error);
    for (size_t i = 0; i < m->count && whole; i++) {
        const float *block;
        whole = take_block(c, i, &block) == 0;
        if (whole && c->error.code == ERROR_NONE)
            c->engine.backend->write_block(c->engine.state, blocks[i], block, &c->error);
        whole = whole && (!c->slots || peer_send(c->socket, "", 1) == 0);
    }
    free(tokens);
    free(blocks);
    struct peer_reply reply = {.error = c->error};
    return whole ? peer_send(c->socket, &reply, sizeof reply) : -1;
}

static int look_there(struct child *c, const struct peer_message *m)
{
    const struct sequence *s = instance_sequence(&c->engine, m->id);
    struct peer_reply reply = {.error = c->error,
                               .sequences = c->engine.sequence_count,
                               .free_blocks = c->engine.free_count,
                               .count = s ? s->generated_count : 0};
    reply.count = reply.count < m->count ? reply.count : m->count;
    return peer_send(c->socket, &reply, sizeof reply) ||
                   (s && peer_send(c->socket, s->generated, reply.count * sizeof *s->generated))
               ? -1
               : 0;
}

static int obey(struct child *c, const struct peer_message *m)
{
    switch (m->command) {
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

void peer_serve(int socket, const float *slots, const struct weights *weights, const struct backend *backend,
                const struct engine_limits *limits, uint64_t seed)
{
    struct child c = {.socket = socket,
                      .slots = slots,
                      .block_floats = block_floats(&weights->model, limits->block_tokens)};
    struct peer_message m;
    struct peer_reply ready = {0};
    bool made = instance_create(&c.engine, weights, backend, limits, seed, &c.error) == 0;
    if (made) {
        c.block = malloc(c.block_floats * sizeof *c.block);
        if (!c.block)
            error_no_memory(&c.error);
    }
    ready.error = c.error;
    if (peer_send(socket, &ready, sizeof ready) == 0 && c.error.code == ERROR_NONE)
        while (peer_receive(socket, &m, sizeof m) == 0 && obey(&c, &m) == 0)
            ;
    if (made)
        instance_release(&c.engine);
    free(c.block);
    free(c.items);
    free(c.requests);
    free(c.decoders);
    free(c.batch_items);
}
