/* SPDX-License-Identifier: MIT */
/* A backend whose times are all another's, times a factor. */
#include <stdlib.h>

#include "profiles/cost.h"

struct scaled {
    struct cost_backend inner; /* owned */
    double factor;
};

static double scale_sum(double factor, double ns, const double *before, double *by)
{
    for (int i = 0; i < COST_SOURCES; i++)
        by[i] = before[i] + factor * (by[i] - before[i]);
    return factor * ns;
}

static double scaled_token_ns(const void *self, double tokens, double *by)
{
    const struct scaled *s = self;
    double before[COST_SOURCES];
    for (int i = 0; i < COST_SOURCES; i++)
        before[i] = by[i];
    double ns = s->inner.token_ns(s->inner.self, tokens, by);
    return scale_sum(s->factor, ns, before, by);
}

static double scaled_head_ns(const void *self, double sequences, double *by)
{
    const struct scaled *s = self;
    double before[COST_SOURCES];
    for (int i = 0; i < COST_SOURCES; i++)
        before[i] = by[i];
    double ns = s->inner.head_ns(s->inner.self, sequences, by);
    return scale_sum(s->factor, ns, before, by);
}

static struct attention_piece scaled_piece(const struct scaled *s, struct attention_piece p)
{
    p.ns *= s->factor;
    p.slope *= s->factor;
    return p;
}

static struct attention_piece scaled_prefill_piece(const void *self, double new_tokens, double kv_before)
{
    const struct scaled *s = self;
    return scaled_piece(s, s->inner.prefill_piece(s->inner.self, new_tokens, kv_before));
}

static struct attention_piece scaled_decode_piece(const void *self, double sequences, double kv_tokens)
{
    const struct scaled *s = self;
    return scaled_piece(s, s->inner.decode_piece(s->inner.self, sequences, kv_tokens));
}

static double scaled_shared_ns(const void *self, double tokens)
{
    const struct scaled *s = self;
    return s->factor * s->inner.shared_ns(s->inner.self, tokens);
}

static double scaled_joined_decode_ns(const void *self, double new_tokens, double kv_before, double sequences,
                                      double kv_tokens, enum cost_source *source)
{
    const struct scaled *s = self;
    return s->factor * s->inner.joined_decode_ns(s->inner.self, new_tokens, kv_before, sequences, kv_tokens, source);
}

static double scaled_decode_spread(const void *self, double sequences, bool mixed)
{
    const struct scaled *s = self;
    return s->inner.decode_spread(s->inner.self, sequences, mixed);
}

static void scaled_destroy(void *self)
{
    struct scaled *s = self;
    s->inner.destroy(s->inner.self);
    free(s);
}

int scaled_create(struct cost_backend *backend, double factor, struct error *err)
{
    struct scaled *s = malloc(sizeof *s);
    if (!s)
        return error_no_memory(err);
    *s = (struct scaled){.inner = *backend, .factor = factor};
    *backend = (struct cost_backend){.token_ns = scaled_token_ns,
                                     .head_ns = scaled_head_ns,
                                     .prefill_piece = scaled_prefill_piece,
                                     .decode_piece = scaled_decode_piece,
                                     .shared_ns = s->inner.shared_ns ? scaled_shared_ns : NULL,
                                     .joined_decode_ns = s->inner.joined_decode_ns ? scaled_joined_decode_ns : NULL,
                                     .decode_spread = s->inner.decode_spread ? scaled_decode_spread : NULL,
                                     .launch_ns = factor * s->inner.launch_ns,
                                     .destroy = scaled_destroy,
                                     .self = s};
    return 0;
}
