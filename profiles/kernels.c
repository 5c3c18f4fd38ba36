/* SPDX-License-Identifier: MIT */
/* Costs of a model's work on a device, each operation from the best source there is: a table of kernels with its shape,
 * a table measured on this very model, or the device's roofline. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/attention_changes.h"
#include "profiles/cost.h"

struct priced {
    const struct operation *op;
    const struct cost_table *table; /* NULL: the roofline */
};

struct kernels {
    const struct device *device;
    const struct work *work;
    struct priced ops[WORK_OPS_MAX];
    size_t count;
    struct attention_rates rates[ATTENTION_KINDS];
    const struct cost_table *prefill, *decode, *spread,
        *mixed_spread;        /* of layers that see everything; NULL: the roofline, none */
    struct cost_table joined; /* a mixed launch less its prompt chunk alone; ns NULL when none was measured */
};

static enum cost_source source_of(enum table_where where)
{
    return where == TABLE_BEYOND ? COST_BEYOND : where == TABLE_BETWEEN ? COST_BETWEEN : COST_MEASURED;
}

/* Tables with a shape are by the tokens of all GPUs; a model's own are by those whose picks one GPU gets, and the
 * experts they wake there. */
static double experts_table_ns(const struct cost_table *t, const struct experts *e, double rows,
                               enum table_where *where)
{
    double here = t->shape.any ? rows : rows / e->expert * e->imbalance;
    return t->axis_count == 2 ? table_grid_at(t, here, experts_awake(e, rows), where) : table_at(t, here, where);
}

static double table_op_ns(const struct cost_table *t, const struct operation *op, double rows, enum table_where *where)
{
    switch (op->kind) {
    case WORK_GEMM:
        return strcmp(t->op, "gemm") == 0 ? table_gemm_at(t, rows, op->n, op->k, where) : table_at(t, rows, where);
    case WORK_EXPERTS:
        return experts_table_ns(t, &op->experts, rows, where);
    case WORK_COLLECTIVE:
        return table_at(t, rows * op->bytes_per_row, where);
    case WORK_STREAM:
        break;
    }
    return table_at(t, rows, where);
}

enum which_ops { OPS_COMPUTE, OPS_COLLECTIVES, OPS_ALL };

static double sum_ops(const struct kernels *k, enum work_rows of, enum which_ops which, double rows, double *by)
{
    double sum = 0;
    for (size_t i = 0; i < k->count; i++) {
        const struct priced *p = &k->ops[i];
        if (p->op->rows != of || (which != OPS_ALL && (p->op->kind == WORK_COLLECTIVE) != (which == OPS_COLLECTIVES)))
            continue;
        enum table_where where = TABLE_MEASURED;
        double own = rows * p->op->rows_scale;
        double ns = p->op->times * (p->table ? table_op_ns(p->table, p->op, own, &where)
                                             : roofline_operation_ns(k->device, p->op, own));
        by[p->table ? source_of(where) : COST_ESTIMATED] += ns;
        sum += ns;
    }
    return sum;
}

/* Two halves of a batch, one of which computes while the other's results go between GPUs. */
static double halves_ns(const struct kernels *k, double tokens, double *by)
{
    double compute = 2 * sum_ops(k, PER_TOKEN, OPS_COMPUTE, tokens / 2, by);
    double between = sum_ops(k, PER_TOKEN, OPS_COLLECTIVES, tokens, by);
    return compute + between - k->work->overlap.communication * fmin(compute, between);
}

/* Weights arrive from below GPU memory while others are computed with. */
static double with_loads(const struct work *w, double tokens, double compute)
{
    const struct weights_source *s = &w->source;
    double bytes = s->loaded_share * (s->experts ? work_expert_bytes(w, tokens) : s->all_bytes);
    double loads = bytes / s->bytes_per_s * 1e9;
    return compute + loads - s->overlap * fmin(compute, loads);
}

static double token_ns(const void *self, double tokens, double *by)
{
    const struct kernels *k = self;
    const struct overlap *o = &k->work->overlap;
    double ns = o->communication > 0 && tokens >= o->from_tokens ? halves_ns(k, tokens, by)
                                                                 : sum_ops(k, PER_TOKEN, OPS_ALL, tokens, by);
    return k->work->source.any && tokens > 0 ? with_loads(k->work, tokens, ns) : ns;
}

/* Experts and what carries tokens to them and back. */
static double shared_ns(const void *self, double tokens)
{
    const struct kernels *k = self;
    double sum = 0;
    for (size_t i = 0; i < k->count; i++) {
        const struct priced *p = &k->ops[i];
        enum table_where ignored = TABLE_MEASURED;
        double rows = tokens * p->op->rows_scale;
        if (p->op->rows_scale != 1)
            sum += p->op->times * (p->table ? table_op_ns(p->table, p->op, rows, &ignored)
                                            : roofline_operation_ns(k->device, p->op, rows));
    }
    return sum;
}

/* S-LoRA (Sheng et al. 2023, arXiv 2311.03285): kernels that read every adapter of a batch once, at two launches for
 * each of four projections; their arithmetic is a hundredth of the projections' own. */
static double adapters_ns(const struct kernels *k, double rows)
{
    const struct adapters *a = &k->work->adapters;
    double sequences = rows / fmax(k->work->attention[ATTENTION_FULL].decode_queries, 1); /* rows of one have its own */
    const struct device *d = k->device;
    double present = a->count * -expm1(sequences * log1p(-1 / fmax(a->count, 1 + 1e-12)));
    return present * a->bytes / (d->bandwidth_bytes_per_s * d->bandwidth_efficiency * 1e-9) +
           8 * k->work->layers * d->launch_ns;
}

static double head_ns(const void *self, double sequences, double *by)
{
    const struct kernels *k = self;
    double ns = sum_ops(k, PER_SEQUENCE, OPS_ALL, sequences, by);
    return k->work->adapters.count > 0 && sequences > 0 ? ns + adapters_ns(k, sequences) : ns;
}

/* Between chunk lengths the table is interpolated by work, which is no straight line in KV: a point at a time. */
static struct attention_piece table_prefill(const struct kernels *k, double new_tokens, double kv_before)
{
    enum table_where where = TABLE_MEASURED;
    double layers = k->work->attention[ATTENTION_FULL].prefill_layers;
    double ns = layers * table_prefill_at(k->prefill, new_tokens, kv_before, &where);
    return (struct attention_piece){.until = kv_before, .ns = ns, .source = source_of(where)};
}

/* Between two columns of mean KV the table is a straight line in the sum; so it is beyond the last one, and flat
 * before the first. */
static struct attention_piece table_decode(const struct kernels *k, double sequences, double kv_tokens)
{
    const struct table_axis *axis = &k->decode->axes[1];
    double layers = k->work->attention[ATTENTION_FULL].decode_layers;
    size_t columns = axis->count, next = kv_tokens < axis->at[0] * sequences ? 0 : 1;
    while (next > 0 && next < columns && kv_tokens > axis->at[next] * sequences)
        next++;
    bool before = next == 0, beyond = next == columns;
    enum table_where where = TABLE_MEASURED;
    double from = before ? 0 : axis->at[next - 1], to = beyond ? 2 * axis->at[next - 1] : axis->at[next];
    double low = table_grid_at(k->decode, sequences, from, &where);
    where = beyond ? TABLE_MEASURED : TABLE_BETWEEN;
    double high = table_grid_at(k->decode, sequences, to, &where);
    double slope = before ? 0 : layers * (high - low) / ((to - from) * sequences);
    return (struct attention_piece){.until = beyond   ? INFINITY
                                             : before ? ceil(to * sequences) - 1
                                                      : floor(to * sequences),
                                    .ns = layers * (before ? high : low) - slope * from * sequences,
                                    .slope = slope,
                                    .source = before ? COST_BEYOND : source_of(where)};
}

static struct attention_piece scaled(struct attention_line line, double layers)
{
    return (struct attention_piece){.until = line.until,
                                    .ns = layers * line.ns,
                                    .slope = layers * line.slope,
                                    .source = COST_ESTIMATED};
}

static struct attention_piece both(struct attention_piece a, struct attention_piece b)
{
    return (struct attention_piece){.until = fmin(a.until, b.until),
                                    .ns = a.ns + b.ns,
                                    .slope = a.slope + b.slope,
                                    .source = a.source > b.source ? a.source : b.source};
}

/* MInference (Jiang et al. 2024) and its kind compute a share of the scores that falls with the keys there are: of a
 * chunk, at its middle. The chunk's own queries, keys and values are moved whole. */
static void thin_out(const struct kernels *k, double new_tokens, double kv_before, struct attention_piece *piece)
{
    const struct attention_work *a = &k->work->attention[ATTENTION_FULL];
    double keys = (kv_before + (new_tokens + 1) / 2) / a->density_from;
    double share = keys > 1 ? pow(keys, -a->density_power) : 1;
    const struct attention_rates *r = &k->rates[ATTENTION_FULL];
    double whole = a->prefill_layers * (r->launch_ns + (r->kv_token_ns + r->query_ns) * new_tokens);
    double all = piece->ns + piece->slope * kv_before, kept = fmin(whole, all);
    *piece = (struct attention_piece){.until = kv_before,
                                      .ns = kept + share * (all - kept) +
                                            a->prefill_layers * a->density_ns_per_token * new_tokens,
                                      .source = COST_ESTIMATED};
}

static struct attention_piece prefill_piece(const void *self, double new_tokens, double kv_before)
{
    const struct kernels *k = self;
    const struct attention_work *full = &k->work->attention[ATTENTION_FULL], *window = full + ATTENTION_WINDOW;
    struct attention_piece piece =
        k->prefill ? table_prefill(k, new_tokens, kv_before)
                   : scaled(roofline_prefill(&k->rates[ATTENTION_FULL], new_tokens, kv_before), full->prefill_layers);
    if (full->density_from > 0)
        thin_out(k, new_tokens, kv_before, &piece);
    if (full->ranks > 1)
        ring_prefill(full, new_tokens, kv_before, &piece);
    if (window->prefill_layers > 0)
        piece = both(piece, scaled(roofline_prefill(&k->rates[ATTENTION_WINDOW], new_tokens, kv_before),
                                   window->prefill_layers));
    return piece;
}

static struct attention_piece decode_piece(const void *self, double sequences, double kv_tokens)
{
    const struct kernels *k = self;
    const struct attention_work *full = &k->work->attention[ATTENTION_FULL], *window = full + ATTENTION_WINDOW;
    struct attention_piece piece =
        k->decode ? table_decode(k, sequences, kv_tokens)
                  : scaled(changed_decode(&k->rates[ATTENTION_FULL], sequences, kv_tokens), full->decode_layers);
    if (window->decode_layers > 0)
        piece = both(piece,
                     scaled(roofline_decode(&k->rates[ATTENTION_WINDOW], sequences, kv_tokens), window->decode_layers));
    return piece;
}

static double joined_decode_ns(const void *self, double new_tokens, double kv_before, double sequences,
                               double kv_tokens, enum cost_source *source)
{
    const struct kernels *k = self;
    enum table_where where = TABLE_MEASURED;
    double ns = k->work->attention[ATTENTION_FULL].decode_layers *
                table_mixed_at(&k->joined, new_tokens, kv_before, sequences, kv_tokens / sequences, &where);
    *source = source_of(where);
    return fmax(ns, 0);
}

static double decode_spread(const void *self, double sequences, bool mixed)
{
    const struct kernels *k = self;
    enum table_where ignored = TABLE_MEASURED;
    return table_at(mixed && k->mixed_spread ? k->mixed_spread : k->spread, sequences, &ignored);
}

/* What decodes add at every measured point of mixed launches; its axes are the device's. */
static int subtract_prefill(struct kernels *k, const struct cost_table *mixed, struct error *err)
{
    size_t cells = table_cells(mixed), decodes = mixed->axes[2].count * mixed->axes[3].count;
    k->joined = *mixed;
    k->joined.ns = malloc(cells * sizeof *mixed->ns);
    if (!k->joined.ns)
        return error_no_memory(err);
    for (size_t i = 0; i < cells / decodes; i++) {
        enum table_where ignored = TABLE_MEASURED;
        double chunk = mixed->axes[0].at[i / mixed->axes[1].count];
        double before = mixed->axes[1].at[i % mixed->axes[1].count];
        double alone = table_prefill_at(k->prefill, chunk, before, &ignored);
        for (size_t d = i * decodes; d < (i + 1) * decodes; d++)
            k->joined.ns[d] = mixed->ns[d] - alone;
    }
    return 0;
}

static bool same(double a, double b)
{
    return fabs(a - b) < 0.5;
}

/* Whether a table of kernels holds an operation's shape. */
static bool fits(const struct cost_table *t, const struct operation *op)
{
    const struct table_shape *s = &t->shape;
    const struct experts *e = &op->experts;
    if (!s->any)
        return false;
    switch (op->kind) {
    case WORK_GEMM:
        return strcmp(t->op, "gemm") == 0 && s->dtype == op->dtype;
    case WORK_EXPERTS:
        return strcmp(t->op, "moe") == 0 && s->dtype == op->dtype && same(s->hidden, e->hidden) &&
               same(s->intermediate, e->intermediate) && same(s->experts, e->experts) && same(s->top_k, e->top_k) &&
               same(s->tensor, e->tensor) && same(s->expert, e->expert);
    case WORK_COLLECTIVE:
        return strcmp(t->op, op->name) == 0 && same(s->gpus, op->gpus);
    case WORK_STREAM:
        break;
    }
    return false;
}

static const struct cost_table *find_shape(const struct device *d, const struct operation *op)
{
    for (size_t i = 0; i < d->table_count; i++)
        if (fits(&d->tables[i], op))
            return &d->tables[i];
    return NULL;
}

/* A table measured on this very model stands for the operation of its name. */
static const struct cost_table *find_named(const struct device *d, const char *op, bool own_model)
{
    return own_model ? device_table(d, op) : NULL;
}

static const struct cost_table *find_attention(const struct kernels *k, const char *op, bool own_model)
{
    const struct attention_work *a = &k->work->attention[ATTENTION_FULL];
    bool decode = strcmp(op, "decode_attention") == 0;
    const struct cost_table *named = a->changed && decode ? NULL : find_named(k->device, op, own_model);
    for (size_t i = 0; !named && !a->latent && i < k->device->table_count; i++) {
        const struct cost_table *t = &k->device->tables[i];
        const struct table_shape *s = &t->shape;
        if (s->any && strcmp(t->op, op) == 0 && same(s->heads, a->heads) && same(s->kv_heads, a->kv_heads) &&
            same(s->head_dim, a->head_dim) && fabs(dtype_bytes(s->kv_dtype) - a->kv_value_bytes) < 0.01)
            named = t;
    }
    return named;
}

/* Experts measured as a block include the router's GEMM. */
static bool included_elsewhere(const struct kernels *k, const struct operation *op, bool own_model)
{
    return strcmp(op->name, "router") == 0 && find_named(k->device, "moe", own_model) != NULL;
}

static void price_operations(struct kernels *k, const struct cost_model *cm, bool own_model)
{
    for (size_t i = 0; i < cm->work.count; i++) {
        const struct operation *op = &cm->work.ops[i];
        if (included_elsewhere(k, op, own_model))
            continue;
        const struct cost_table *table = find_named(k->device, op->name, own_model);
        k->ops[k->count++] = (struct priced){op, table ? table : find_shape(k->device, op)};
    }
}

/* Whole iterations measured at once: prompts by their tokens, decodes by sequences and mean KV. */
static bool price_whole(struct kernels *k, bool own_model)
{
    const struct cost_table *prefill = find_named(k->device, "whole_prefill", own_model);
    const struct cost_table *decode = find_named(k->device, "whole_decode", own_model);
    if (!prefill || !decode)
        return false;
    k->prefill = prefill;
    k->decode = decode;
    return true;
}

static int price_attention(struct kernels *k, bool own_model, struct error *err)
{
    bool changed = k->work->attention[ATTENTION_FULL].changed;
    const struct cost_table *mixed = changed ? NULL : find_named(k->device, "mixed_attention", own_model);
    k->prefill = find_attention(k, "prefill_attention", own_model);
    k->decode = find_attention(k, "decode_attention", own_model);
    k->spread = find_named(k->device, "decode_spread", own_model);
    k->mixed_spread = find_named(k->device, "mixed_spread", own_model);
    return mixed && k->prefill ? subtract_prefill(k, mixed, err) : 0;
}

static void destroy(void *self)
{
    struct kernels *k = self;
    free(k->joined.ns);
    free(k);
}

/* A launch's fixed part: an attention launch without work. */
static double launch_ns(const struct kernels *k, bool whole)
{
    enum table_where ignored = TABLE_MEASURED;
    const struct attention_work *full = &k->work->attention[ATTENTION_FULL], *window = full + ATTENTION_WINDOW;
    double of_full = whole        ? 0
                     : k->prefill ? table_prefill_at(k->prefill, 1, 0, &ignored)
                                  : k->rates[ATTENTION_FULL].launch_ns;
    return full->prefill_layers * of_full + window->prefill_layers * k->rates[ATTENTION_WINDOW].launch_ns;
}

static bool all_tables_named(const struct device *d)
{
    for (size_t i = 0; i < d->table_count; i++)
        if (d->tables[i].shape.any)
            return false;
    return d->table_count > 0;
}

/* Scores are computed in the format of activations: queries, keys and values are 16 bits wide where weights are
 * narrower. */
static enum dtype attention_dtype(const struct model *m)
{
    return dtype_bytes(m->dtype) < dtype_bytes(DTYPE_BF16) ? DTYPE_BF16 : m->dtype;
}

int kernels_create(struct cost_model *cm, struct cost_backend *out, struct error *err)
{
    const struct device *d = &cm->device;
    bool own_model = strcmp(d->model, cm->model.name) == 0 && d->tensor_parallel == cm->parallel.tensor;
    if (d->kind == DEVICE_TABLES && !own_model && all_tables_named(d) && !cm->is_draft)
        return error_set(err, ERROR_INPUT,
                         "profile %s was measured on %s with tensor_parallel %u, the scenario asks "
                         "for %s with %u",
                         d->name, d->model, d->tensor_parallel, cm->model.name, cm->parallel.tensor);
    struct kernels *k = calloc(1, sizeof *k);
    if (!k)
        return error_no_memory(err);
    k->device = d;
    k->work = &cm->work;
    for (int i = 0; i < ATTENTION_KINDS; i++)
        k->rates[i] = roofline_attention_rates(d, attention_dtype(&cm->model), &cm->work.attention[i]);
    bool whole = price_whole(k, own_model);
    if (whole) {
        cm->work.attention[ATTENTION_FULL].prefill_layers = cm->work.attention[ATTENTION_FULL].decode_layers = 1;
        cm->work.attention[ATTENTION_WINDOW].prefill_layers = cm->work.attention[ATTENTION_WINDOW].decode_layers = 0;
    } else {
        price_operations(k, cm, own_model);
        if (price_attention(k, own_model, err)) {
            destroy(k);
            return -1;
        }
    }
    *out = (struct cost_backend){.token_ns = token_ns,
                                 .head_ns = head_ns,
                                 .shared_ns = cm->parallel.data > 1 ? shared_ns : NULL,
                                 .prefill_piece = prefill_piece,
                                 .decode_piece = decode_piece,
                                 .joined_decode_ns = k->joined.ns ? joined_decode_ns : NULL,
                                 .decode_spread = k->spread ? decode_spread : NULL,
                                 .launch_ns = launch_ns(k, whole),
                                 .destroy = destroy,
                                 .self = k};
    return 0;
}
