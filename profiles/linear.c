/* SPDX-License-Identifier: MIT */
/* A stated line: base + prefill tokens and their squares + decode sequences + KV tokens read; decodes may have another
 * base, and another line from so many sequences on. */
#include <math.h>

#include "profiles/cost.h"

static double token_ns(const void *self, double tokens, double *by)
{
    (void)tokens, (void)by;
    return ((const struct device *)self)->base_ns;
}

static double head_ns(const void *self, double sequences, double *by)
{
    (void)self, (void)sequences, (void)by;
    return 0;
}

/* Squares add up over the chunks of a prompt: (k + n)² − k². */
static struct attention_piece prefill_piece(const void *self, double new_tokens, double kv_before)
{
    const struct device *d = self;
    double squared = d->ns_per_prefill_token_squared * new_tokens;
    (void)kv_before;
    return (struct attention_piece){.until = INFINITY,
                                    .ns = (d->ns_per_prefill_token + squared) * new_tokens,
                                    .slope = d->decodes.ns_per_kv_token + 2 * squared,
                                    .source = COST_ESTIMATED};
}

static struct attention_piece decode_piece(const void *self, double sequences, double kv_tokens)
{
    const struct device *d = self;
    bool many = d->many_from > 0 && sequences >= d->many_from;
    const struct linear_decodes *line = many ? &d->many_decodes : &d->decodes;
    (void)kv_tokens;
    return (struct attention_piece){.until = INFINITY,
                                    .ns = line->base_ns + line->ns_per_decode_sequence * sequences,
                                    .slope = line->ns_per_kv_token,
                                    .source = COST_ESTIMATED};
}

static void keep(void *self)
{
    (void)self; /* the device belongs to the cost model */
}

int linear_create(struct cost_model *cm, struct cost_backend *out, struct error *err)
{
    (void)err;
    cm->device.host_ns = cm->device.host_ns_per_sequence = cm->device.eager_layer_ns = 0;
    *out = (struct cost_backend){.token_ns = token_ns,
                                 .head_ns = head_ns,
                                 .prefill_piece = prefill_piece,
                                 .decode_piece = decode_piece,
                                 .destroy = keep,
                                 .self = &cm->device};
    return 0;
}
