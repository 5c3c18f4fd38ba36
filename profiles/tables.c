/* SPDX-License-Identifier: MIT */
/* Costs from measured tables of one model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/cost.h"
#include "profiles/table.h"

struct tables {
    const struct device *device;
    double layers;
    const struct cost_table *prefill, *decode, *head, *sampler;
    struct cost_table
        joined; /* a mixed launch less its prompt chunk alone; ns NULL when mixed launches were not measured */
};

static const char *const token_ops[] = {"qkv_proj", "o_proj",     "gate_up_proj", "down_proj",  "act_fn",
                                        "norm",     "rotary_emb", "embedding",    "final_norm", NULL};

static double sum_token_ops(const struct tables *t, double tokens, bool *outside)
{
    double ns = 0;
    for (const char *const *op = token_ops; *op; op++) {
        const struct cost_table *table = device_table(t->device, *op);
        if (!table)
            continue;
        double times = table->times_per_iteration ? table->times_per_iteration : t->layers * table->times_per_layer;
        ns += times * table_at(table, tokens, outside);
    }
    return ns;
}

static double counted(double ns, bool outside, double *sum)
{
    *sum += outside ? ns : 0;
    return ns;
}

static double token_ns(const void *self, double tokens, double *outside)
{
    const struct tables *t = self;
    bool beyond = false;
    double ns = sum_token_ops(t, tokens, &beyond);
    return counted(ns, beyond, outside);
}

static double head_ns(const void *self, double sequences, double *outside)
{
    const struct tables *t = self;
    bool beyond = false;
    double ns = table_at(t->head, sequences, &beyond) + (t->sampler ? table_at(t->sampler, sequences, &beyond) : 0);
    return counted(ns, beyond, outside);
}

/* Between chunk lengths the table is interpolated by work, which is no straight line in KV: a point at a time. */
static struct attention_piece prefill_piece(const void *self, double new_tokens, double kv_before)
{
    const struct tables *t = self;
    bool beyond = false;
    double ns = t->layers * table_prefill_at(t->prefill, new_tokens, kv_before, &beyond);
    return (struct attention_piece){.until = kv_before, .ns = ns, .outside = beyond};
}

/* Between two columns of mean KV the table is a straight line in the sum; so it is beyond the last one, and flat
 * before the first. */
static struct attention_piece decode_piece(const void *self, double sequences, double kv_tokens)
{
    const struct tables *t = self;
    const double *axis = t->decode->column_axis;
    size_t columns = t->decode->columns, next = kv_tokens < axis[0] * sequences ? 0 : 1;
    while (next > 0 && next < columns && kv_tokens > axis[next] * sequences)
        next++;
    bool before = next == 0, beyond = next == columns, outside = false;
    double from = before ? 0 : axis[next - 1], to = beyond ? 2 * axis[next - 1] : axis[next];
    double low = table_decode_at(t->decode, sequences, from, &outside);
    outside = false;
    double high = table_decode_at(t->decode, sequences, to, &outside);
    double slope = before ? 0 : t->layers * (high - low) / ((to - from) * sequences);
    return (struct attention_piece){.until = beyond   ? INFINITY
                                             : before ? ceil(to * sequences) - 1
                                                      : floor(to * sequences),
                                    .ns = t->layers * (before ? high : low) - slope * from * sequences,
                                    .slope = slope,
                                    .outside = outside || before};
}

static double joined_decode_ns(const void *self, double new_tokens, double kv_before, double sequences,
                               double kv_tokens, double *outside)
{
    const struct tables *t = self;
    bool beyond = false;
    double ns =
        t->layers * table_mixed_at(&t->joined, new_tokens, kv_before, sequences, kv_tokens / sequences, &beyond);
    return counted(ns > 0 ? ns : 0, beyond, outside);
}

/* What decodes add at every measured point of mixed launches; its axes are the device's. */
static int subtract_prefill(struct tables *t, const struct cost_table *mixed, struct error *err)
{
    t->joined = *mixed;
    t->joined.ns = malloc(mixed->rows * mixed->columns * mixed->sequences * mixed->kvs * sizeof *mixed->ns);
    if (!t->joined.ns)
        return error_no_memory(err);
    size_t decodes = mixed->sequences * mixed->kvs;
    for (size_t i = 0; i < mixed->rows * mixed->columns; i++) {
        bool ignored = false;
        double chunk = mixed->row_axis[i / mixed->columns], before = mixed->column_axis[i % mixed->columns];
        double alone = table_prefill_at(t->prefill, chunk, before, &ignored);
        for (size_t k = i * decodes; k < (i + 1) * decodes; k++)
            t->joined.ns[k] = mixed->ns[k] - alone;
    }
    return 0;
}

static void tables_destroy(void *self)
{
    struct tables *t = self;
    free(t->joined.ns);
    free(t);
}

int tables_create(const struct cost_model *cm, struct cost_backend *out, struct error *err)
{
    const struct device *d = &cm->device;
    if (strcmp(d->model, cm->model.name) != 0 || d->tensor_parallel != cm->tensor_parallel)
        return error_set(err, ERROR_INPUT,
                         "profile %s was measured on %s with tensor_parallel %u, the scenario asks "
                         "for %s with %u",
                         d->name, d->model, d->tensor_parallel, cm->model.name, cm->tensor_parallel);
    struct tables *t = calloc(1, sizeof *t);
    if (!t)
        return error_no_memory(err);
    t->device = d;
    t->layers = cm->model.layers;
    t->prefill = device_table(d, "prefill_attention");
    t->decode = device_table(d, "decode_attention");
    t->head = device_table(d, "lm_head");
    t->sampler = device_table(d, "sampler");
    const struct cost_table *qkv = device_table(d, "qkv_proj");
    if (!t->prefill || t->prefill->columns < 2 || !t->decode || t->decode->columns < 2 || !t->head || !qkv) {
        free(t);
        return error_set(err, ERROR_INPUT,
                         "profile %s: lacks one of the tables qkv_proj, prefill_attention, "
                         "decode_attention (two axes) and lm_head",
                         d->name);
    }
    const struct cost_table *mixed = device_table(d, "mixed_attention");
    if (mixed && (!mixed->column_axis || !mixed->sequence_axis || !mixed->kv_axis)) {
        free(t);
        return error_set(err, ERROR_INPUT, "profile %s: table mixed_attention has not got four axes", d->name);
    }
    if (mixed && subtract_prefill(t, mixed, err)) {
        free(t);
        return -1;
    }
    bool ignored = false;
    double launch = t->layers * table_prefill_at(t->prefill, 1, 0, &ignored);
    *out = (struct cost_backend){.token_ns = token_ns,
                                 .head_ns = head_ns,
                                 .prefill_piece = prefill_piece,
                                 .decode_piece = decode_piece,
                                 .joined_decode_ns = mixed ? joined_decode_ns : NULL,
                                 .launch_ns = launch,
                                 .destroy = tables_destroy,
                                 .self = t};
    return 0;
}
