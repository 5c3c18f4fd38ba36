/* SPDX-License-Identifier: MIT */
/* A stated straight line: base + prefill tokens + decode sequences + KV tokens read. */
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

static struct attention_piece prefill_piece(const void *self, double new_tokens, double kv_before)
{
    const struct device *d = self;
    (void)kv_before;
    return (struct attention_piece){.until = INFINITY,
                                    .ns = d->ns_per_prefill_token * new_tokens,
                                    .slope = d->ns_per_kv_token,
                                    .source = COST_ESTIMATED};
}

static struct attention_piece decode_piece(const void *self, double sequences, double kv_tokens)
{
    const struct device *d = self;
    (void)kv_tokens;
    return (struct attention_piece){.until = INFINITY,
                                    .ns = d->ns_per_decode_sequence * sequences,
                                    .slope = d->ns_per_kv_token,
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
