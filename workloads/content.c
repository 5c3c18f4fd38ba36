/* SPDX-License-Identifier: MIT */
#include "workloads/content.h"

#include "base/random.h"

enum { KEY_HASH = 1, KEY_GROUP, KEY_SESSION };

static uint64_t key_of(uint64_t what, uint64_t which, uint64_t place)
{
    uint64_t key = random_mix(random_mix(random_mix(what) + which) + place);
    return key ? key : 1;
}

/* Hashes that go on after the one of the prompt's last piece are of its answer, too. */
static bool covers_answer(const struct request *r)
{
    return r->hash_count > (r->prompt_tokens + r->hash_tokens - 1) / r->hash_tokens;
}

/* Blocks that a hash ends in the middle of belong to the next one. */
static bool hash_unit(const struct request *r, uint32_t i, uint32_t block_tokens, struct content_unit *out)
{
    uint64_t start = (uint64_t)i * r->hash_tokens, end = start + r->hash_tokens;
    if (i >= r->hash_count)
        return false;
    if (end > r->prompt_tokens && (end > (uint64_t)r->prompt_tokens + r->generated || !covers_answer(r)))
        return false;
    out->key = key_of(KEY_HASH, r->hashes[i], 0);
    out->first_block = (uint32_t)(start / block_tokens);
    out->blocks = (uint32_t)(end / block_tokens) - out->first_block;
    return true;
}

bool content_unit(const struct request *r, uint32_t i, uint32_t block_tokens, struct content_unit *out)
{
    if (r->hash_count > 0)
        return hash_unit(r, i, block_tokens, out);
    const struct origin *o = &r->origin;
    uint64_t end = ((uint64_t)i + 1) * block_tokens;
    *out = (struct content_unit){.first_block = i, .blocks = 1};
    if (end <= o->prefix_tokens)
        out->key = key_of(KEY_GROUP, o->prefix_group, i);
    else if (o->session > 0 && end <= (uint64_t)r->prompt_tokens + r->generated)
        out->key = key_of(KEY_SESSION, o->session, i);
    else
        return false;
    return true;
}
