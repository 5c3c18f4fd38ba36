/* SPDX-License-Identifier: MIT */
/* Any bytes as what an engine's process is told, or as what it answers: it obeys or says what makes no sense, and its
 * other side takes the answer or says so. The first byte says which. A message is eight bytes, for its numbers, then
 * how many bytes of it are changed; then changes of two bytes, for place and value. What follows it are the next bytes.
 */
#include <sys/socket.h>

#include "engine_ref/peer.h"
#include "engine_ref/peer_message.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_BYTES = 2000, TOLD_MAX = 1 << 17, BLOCK = 2 };

static const struct model small = {.name = "small",
                                   .layers = 1,
                                   .hidden = 4,
                                   .intermediate = 4,
                                   .heads = 2,
                                   .kv_heads = 1,
                                   .head_dim = 2,
                                   .vocab = 5,
                                   .max_tokens = 32};
static const struct engine_limits limits = {
    .block_tokens = BLOCK, .blocks = 24, .rows = 48, .outputs = 6, .max_tokens = 32, .threads = 1};
static struct weights weights;

struct told {
    const uint8_t *at;
    size_t left, size;
    uint8_t bytes[TOLD_MAX];
};

static uint8_t take(struct told *t)
{
    if (t->left == 0)
        return 0;
    t->left--;
    return *t->at++;
}

/* Appends it, with some of its bytes changed. */
static void put(struct told *t, const void *bytes, size_t size)
{
    if (t->size + size > TOLD_MAX)
        return;
    memcpy(t->bytes + t->size, bytes, size);
    for (size_t changes = take(t) % 8; changes > 5; changes--) {
        size_t place = take(t);
        t->bytes[t->size + place % size] = take(t);
    }
    t->size += size;
}

static void put_items(struct told *t, size_t count)
{
    for (size_t i = 0; i < count && i < 16; i++) {
        uint8_t a = take(t), b = take(t), c = take(t);
        struct peer_item item = {.id = a % 8,
                                 .prompt_tokens = b % 16,
                                 .generated = b / 16,
                                 .computed = c % 16,
                                 .new_tokens = 1 + c / 16,
                                 .row = a / 8 % 4,
                                 .decode = a / 64};
        put(t, &item, sizeof item);
    }
}

static void put_message(struct told *t)
{
    static const float zeros[64];
    static const uint32_t tokens[8];
    uint8_t h[8];
    for (size_t i = 0; i < sizeof h; i++)
        h[i] = take(t);
    struct peer_message m = {.command = h[0] % 6,
                             .layout = h[0] / 8 % 3,
                             .packed_attention = h[0] / 32 % 3,
                             .rows = h[1] % 8,
                             .row_tokens = h[2] % 16,
                             .row_kv = h[3] % 32,
                             .id = h[4] % 8,
                             .decodes = h[5] % 4,
                             .count = h[6] % 4,
                             .generated = h[7] % 8};
    put(t, &m, sizeof m);
    if (m.command == COMMAND_RUN)
        put_items(t, (size_t)(m.decodes + m.count));
    if (m.command != COMMAND_RECEIVE)
        return;
    put(t, tokens, (size_t)m.generated * sizeof *tokens + (m.generated == 0));
    for (size_t i = 0; i < m.count; i++)
        put(t, zeros, block_floats(&small, BLOCK) * sizeof *zeros);
}

static void put_reply(struct told *t)
{
    static struct peer_reply r; /* whose padding is 0 */
    uint8_t h[4];
    for (size_t i = 0; i < sizeof h; i++)
        h[i] = take(t);
    memset(&r, 0, sizeof r);
    r.took.wall_ns = h[0];
    r.count = h[1] % 16;
    r.error.code = h[2] < 250 ? ERROR_NONE : ERROR_RUN;
    snprintf(r.error.text, sizeof r.error.text, "told %d", h[3]);
    put(t, &r, sizeof r);
    put(t, r.error.text, h[1] % 16 * sizeof(uint32_t) + 1);
}

/* Socket 1 is the side that reads what was told, and can still answer. */
static void tell(const struct told *t, int sockets[2])
{
    const int room = 4 << 20;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) ||
        setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) ||
        setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) || peer_send(sockets[0], t->bytes, t->size) ||
        shutdown(sockets[0], SHUT_WR))
        abort();
}

static void serve(struct told *t)
{
    int sockets[2];
    while (t->left > 0)
        put_message(t);
    tell(t, sockets);
    peer_serve(sockets[1], NULL, &weights, &cpu_reference_backend, &limits, 1);
    close(sockets[0]);
    close(sockets[1]);
}

static void use(struct peer *p, struct instance *here)
{
    struct engine_port port = peer_port(p);
    struct error err = {0};
    uint32_t tokens[4];
    size_t count = 0, sequences = 0, free_blocks = 0;
    struct step_time took = {0};
    struct request r = {.id = 7, .prompt_tokens = 9};
    struct batch_item item = {.req = &r, .new_tokens = 9};
    struct batch b = {.items = &item, .count = 1};
    if (instance_run(here, &b, &err))
        abort();
    if (peer_look(p, 7, tokens, 4, &count, &sequences, &free_blocks, &err))
        fuzz_expect_sentence(&err);
    else if (count > 4)
        abort();
    if (port.run(port.self, &b, &took, &err) || port.receive(port.self, here, 7, &err) ||
        peer_look(p, 7, tokens, 1, &count, &sequences, &free_blocks, &err) || port.forget(port.self, 7, &err))
        fuzz_expect_sentence(&err);
}

static void command(struct told *t)
{
    int sockets[2];
    struct peer *p = NULL;
    struct instance here;
    struct error err = {0};
    while (t->left > 0)
        put_reply(t);
    tell(t, sockets);
    if (instance_create(&here, &weights, &cpu_reference_backend, &limits, 1, &err))
        abort();
    if (peer_connect(&p, sockets[1], &weights, &limits, &err))
        fuzz_expect_sentence(&err);
    else
        use(p, &here);
    peer_stop(p);
    instance_release(&here);
    close(sockets[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct told told;
    struct error err = {0};
    if (!weights.memory && (weights_create(&weights, &small, false, &err) || weights_fill(&weights, 1, &err)))
        abort();
    if (size == 0)
        return 0;
    told.size = 0;
    told.at = data + 1;
    told.left = size - 1 < MOST_BYTES ? size - 1 : MOST_BYTES;
    if (data[0] % 4 == 0)
        command(&told);
    else
        serve(&told);
    return 0;
}
