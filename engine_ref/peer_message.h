/* SPDX-License-Identifier: MIT */
/* peer_message.h — what goes between an engine's process and the one that it works for (peer.h). */
#ifndef TANDEM_ENGINE_REF_PEER_MESSAGE_H
#define TANDEM_ENGINE_REF_PEER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine_ref/port.h"

enum peer_command { COMMAND_RUN, COMMAND_DROP, COMMAND_FORGET, COMMAND_RECEIVE, COMMAND_LOOK };

/* What goes to the other process; a RUN is followed by its requests, a RECEIVE by tokens and blocks. */
struct peer_message {
    uint32_t command, layout, packed_attention, rows, row_tokens, row_kv;
    uint64_t id, decodes, count; /* items of a RUN; blocks of a RECEIVE; most tokens wanted by a LOOK */
    uint64_t generated;          /* tokens of a RECEIVE */
};

/* A request of a batch, as much as an instance looks at. */
struct peer_item {
    uint64_t id;
    uint32_t prompt_tokens, generated, computed, new_tokens, row, decode;
};

struct peer_reply {
    struct step_time took;
    uint64_t count, sequences, free_blocks; /* of a LOOK; tokens follow */
    struct error error;                     /* code ERROR_NONE: it went well */
};

enum { PEER_SLOTS = 4 }; /* blocks on their way in shared memory */

/* All of it, or -1. A write into a socket that is closed raises no signal. */
int peer_send(int socket, const void *bytes, size_t size);
int peer_receive(int socket, void *bytes, size_t size);

#endif
