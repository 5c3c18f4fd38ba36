/* SPDX-License-Identifier: MIT */
#include "workloads/trace_blocks.h"

static bool is_empty(struct block_range r)
{
    return r.least > r.most;
}

static bool holds(struct block_range r, uint32_t size)
{
    return size >= r.least && size <= r.most;
}

static void narrow(struct block_range *r, uint32_t least, uint32_t most)
{
    r->least = least > r->least ? least : r->least;
    r->most = most < r->most ? most : r->most;
}

static void allow_all(struct trace_blocks *b)
{
    b->partial = b->whole = (struct block_range){1, UINT32_MAX};
}

void trace_blocks_init(struct trace_blocks *b, uint32_t usual, uint32_t stated)
{
    *b = (struct trace_blocks){.tokens = stated, .evidence = stated ? BLOCKS_STATED : BLOCKS_NONE, .usual = usual};
    allow_all(b);
}

/* ids = ceil(tokens / size): size · (ids − 1) < tokens ≤ size · ids. ids = floor(tokens / size): size · ids ≤ tokens
 * < size · (ids + 1). */
static void narrow_by(struct trace_blocks *b, uint32_t tokens, uint32_t ids)
{
    uint32_t least = tokens / ids + (tokens % ids > 0);
    uint32_t most = tokens == 0 ? 0 : ids == 1 ? UINT32_MAX : (tokens - 1) / (ids - 1);
    narrow(&b->partial, least, most);
    narrow(&b->whole, tokens / (ids + 1) + 1, tokens / ids);
}

struct block_range trace_blocks_left(const struct trace_blocks *b)
{
    if (is_empty(b->partial) || is_empty(b->whole))
        return is_empty(b->partial) ? b->whole : b->partial;
    return (struct block_range){b->partial.least < b->whole.least ? b->partial.least : b->whole.least,
                                b->partial.most > b->whole.most ? b->partial.most : b->whole.most};
}

static bool fits(const struct trace_blocks *b, uint32_t size)
{
    return holds(b->partial, size) || holds(b->whole, size);
}

/* "64", "10 to 19", or "20 or more". */
static void describe(struct block_range r, char *out, size_t size)
{
    if (r.least == r.most)
        snprintf(out, size, "%u", r.least);
    else if (r.most == UINT32_MAX)
        snprintf(out, size, "%u or more", r.least);
    else
        snprintf(out, size, "%u to %u", r.least, r.most);
}

/* "FILE:LINE: 2 hash_ids for a prompt of 20 tokens", and what is wrong with that. */
static int complain(const char *file, const struct block_count *c, const char *what, struct error *err)
{
    return error_set(err, ERROR_INPUT, "%s:%ld: %u hash_ids for a prompt of %u tokens%s", file, c->line, c->ids,
                     c->tokens, what);
}

static int complain_of_size(const struct trace_blocks *b, const char *file, const struct block_count *c,
                            struct error *err)
{
    char what[200];
    snprintf(what, sizeof what, ", expected %u of blocks of %u tokens, %s",
             c->tokens / b->tokens + (c->tokens % b->tokens > 0), b->tokens,
             b->evidence == BLOCKS_STATED ? "the size that is stated"
                                          : "a mooncake trace's; state another by workload.block_tokens or trace "
                                            "--block-tokens");
    return complain(file, c, what, err);
}

int trace_blocks_add(struct trace_blocks *b, const char *file, const struct block_count *c, struct error *err)
{
    struct block_range before = trace_blocks_left(b);
    if (b->evidence == BLOCKS_STATED)
        allow_all(b);
    narrow_by(b, c->tokens, c->ids);
    if (!b->unusual.line && !fits(b, b->usual))
        b->unusual = *c;
    if (b->evidence == BLOCKS_STATED)
        return fits(b, b->tokens) ? 0 : complain_of_size(b, file, c, err);
    if (is_empty(trace_blocks_left(b))) {
        char sizes[40], what[120];
        describe(before, sizes, sizeof sizes);
        snprintf(what, sizeof what, " fit no block size: the lines above have blocks of %s tokens", sizes);
        return complain(file, c, before.most == UINT32_MAX && before.least == 1 ? " fit no block size" : what, err);
    }
    return b->evidence == BLOCKS_NONE || fits(b, b->tokens) ? 0 : complain_of_size(b, file, c, err);
}

int trace_blocks_settle(struct trace_blocks *b, const char *file, struct error *err)
{
    struct block_range left = trace_blocks_left(b);
    if (left.least < left.most && b->unusual.line) {
        char sizes[40], what[200];
        describe(left, sizes, sizeof sizes);
        snprintf(what, sizeof what,
                 ", expected %u of a mooncake trace's blocks of %u tokens; blocks of %s tokens fit: state which by "
                 "workload.block_tokens or trace --block-tokens",
                 b->unusual.tokens / b->usual + (b->unusual.tokens % b->usual > 0), b->usual, sizes);
        return complain(file, &b->unusual, what, err);
    }
    b->evidence = left.least == left.most ? BLOCKS_SHOWN : BLOCKS_ASSUMED;
    b->tokens = left.least == left.most ? left.least : b->usual;
    return 0;
}
