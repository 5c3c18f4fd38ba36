/* SPDX-License-Identifier: MIT */
/* content.h — which of a request's KV blocks hold the same as another request's: those of a common prefix.
 *
 * A request's shareable blocks come in units, from its first token on. Two requests' units with the same key hold the
 * same tokens after the same tokens. A unit is a block of a prefix group or of a conversation, or the blocks of one
 * hash of a trace. */
#ifndef TANDEM_WORKLOADS_CONTENT_H
#define TANDEM_WORKLOADS_CONTENT_H

#include "workloads/request.h"

struct content_unit {
    uint64_t key;                 /* never 0 */
    uint32_t first_block, blocks; /* of the request's */
};

static inline bool content_is_shared(const struct request *r)
{
    return r->hash_count > 0 || r->origin.prefix_group > 0 || r->origin.session > 0;
}

/* The request's unit `i` in blocks of `block_tokens`; false when it has no more. Those of a conversation, and
 * of hashes that cover the answer, go on into it, as far as that is there; all others end with the prompt. */
bool content_unit(const struct request *r, uint32_t i, uint32_t block_tokens, struct content_unit *out);

#endif
