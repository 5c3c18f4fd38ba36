/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

#include <math.h>

/* Of a model that reads the prompt, too: in fine time. */
static int64_t read_by(const struct cost_model *helper, uint32_t new_tokens, uint32_t kv_before)
{
    struct attention_piece p = helper->backend.prefill_piece(helper->backend.self, new_tokens, kv_before);
    return cost_fine(p.ns + p.slope * kv_before);
}

static double piece_ns(const struct cost_model *cm, uint64_t tokens, uint64_t before)
{
    struct attention_piece p = {0};
    if (tokens > 0)
        p = cm->backend.prefill_piece(cm->backend.self, (double)tokens, (double)before);
    return p.ns + p.slope * (double)before;
}

/* CacheBlend (Yao et al. 2024, arXiv 2405.16444): tokens that are computed attend to all, and the KV of the others
 * arrives meanwhile. */
static struct attention_piece reused_piece(const struct cost_model *cm, struct cost_shapes *s, unsigned times,
                                           uint32_t new_tokens, uint32_t kv_before)
{
    const struct kv_reuse *r = &cm->work.reuse;
    struct dense_cost scratch;
    uint64_t computed = cost_kept(cm, 0, (uint64_t)kv_before + new_tokens) - cost_kept(cm, 0, kv_before);
    double share = (double)computed / new_tokens, layers = cm->work.kv_layers[ATTENTION_FULL];
    double bytes = (1 - share) * new_tokens * cm->work.kv_bytes_per_token * layers;
    double attention = share * piece_ns(cm, new_tokens, kv_before), loads = bytes / r->bytes_per_s * 1e9;
    double computes = attention + (double)cost_tokens(cm, computed, &scratch)->total / (double)ONE_NS;
    for (unsigned g = 0; g < KEEP_GROUPS; g++)
        s->kept[g] += times * computed;
    return (struct attention_piece){.until = kv_before,
                                    .ns = attention + loads - r->overlap * fmin(computes, loads),
                                    .source = COST_ESTIMATED};
}

/* Fewer tokens in every group of layers, after fewer; and once more through all layers what is kept in the end. */
static struct attention_piece kept_piece(const struct cost_model *cm, struct cost_shapes *s, unsigned times,
                                         uint32_t new_tokens, uint32_t kv_before)
{
    struct attention_piece all = {.until = kv_before, .source = COST_ESTIMATED};
    uint64_t end = (uint64_t)kv_before + new_tokens;
    if (cm->work.reuse.loaded_share > 0)
        return reused_piece(cm, s, times, new_tokens, kv_before);
    for (unsigned g = 0; g <= KEEP_GROUPS; g++) {
        uint64_t before = cost_kept(cm, g, kv_before), kept = cost_kept(cm, g, end) - before;
        s->kept[g] += times * cost_ranked(cm, kept);
        all.ns += piece_ns(cm, kept, before) / (g < KEEP_GROUPS ? KEEP_GROUPS : 1);
    }
    return all;
}

static void add_prefill(const struct cost_model *cm, struct cost_shapes *s, unsigned times, uint32_t new_tokens,
                        uint32_t kv_before)
{
    const struct cost_model *reader = cm->phases[PHASE_PROMPTS] ? cm->phases[PHASE_PROMPTS] : cm;
    struct attention_piece p = cost_keeps(cm)
                                   ? kept_piece(cm, s, times, new_tokens, kv_before)
                                   : reader->backend.prefill_piece(reader->backend.self, new_tokens, kv_before);
    int64_t slope = cost_fine(p.slope), at_zero = cost_fine(p.ns), most = (int64_t)1 << 60;
    double near = (double)times * ((double)at_zero + (double)slope * kv_before) + (double)s->prefill;
    int64_t ns = near < (double)most ? times * (at_zero + slope * (int64_t)kv_before) : most - s->prefill;
    s->prefill_tokens += (uint64_t)times * new_tokens;
    s->prefill_keys += (uint64_t)times * new_tokens * kv_before;
    s->prefill += ns;
    s->prefill_by[p.source] += ns;
    if (cm->draft)
        s->prefill += times * read_by(cm->draft, new_tokens, kv_before);
    if (cm->scorer)
        s->prefill += times * read_by(cm->scorer, new_tokens, kv_before);
    s->launches += times;
    s->growth = slope * new_tokens;
    s->source = p.source;
    double room = (p.until - kv_before) / new_tokens;
    s->steady = s->launches > 1 || slope < 0 || near >= (double)most ? 1 : room < 1e6 ? (uint64_t)room + 1 : 1000000;
}

static void ragged_shapes(const struct cost_model *cm, const struct batch *b, struct cost_shapes *s)
{
    s->tokens = s->heads = s->decode_sequences = b->decodes;
    s->decode_kv = b->decode_kv + b->decodes;
    s->decode_longest = b->decode_longest + (b->decode_longest > 0);
    for (size_t i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        s->tokens += item->new_tokens;
        if (item->decode) {
            s->decode_sequences++;
            s->decode_kv += item->req->computed + 1;
            if (s->decode_longest < item->req->computed + 1)
                s->decode_longest = item->req->computed + 1;
        } else {
            add_prefill(cm, s, 1, item->new_tokens, item->req->computed);
        }
        s->heads += cm->engine.head_for_all || item->new_tokens == request_uncomputed(item->req);
    }
    if (b->count > 1 || cost_keeps(cm))
        s->steady = 1;
}

static void row_shapes(const struct cost_model *cm, const struct batch *b, struct cost_shapes *s)
{
    s->tokens = (uint64_t)b->rows * b->row_tokens;
    s->heads = b->layout == BATCH_PACKED ? b->count : b->rows;
    if (b->row_tokens == 1 && b->row_kv > 0) {
        s->decode_sequences = b->rows;
        s->decode_kv = (uint64_t)b->rows * (b->row_kv + 1);
    } else if (b->layout == BATCH_PACKED && b->packed_attention == PACKED_VARLEN) {
        for (size_t i = 0; i < b->count; i++)
            add_prefill(cm, s, 1, b->items[i].new_tokens, 0);
    } else {
        add_prefill(cm, s, b->rows, b->row_tokens, b->row_kv);
    }
    s->steady = 1;
}

void cost_shapes_of(const struct cost_model *cm, const struct batch *b, struct cost_shapes *out)
{
    if (b->layout != BATCH_RAGGED)
        row_shapes(cm, b, out);
    else
        ragged_shapes(cm, b, out);
}
