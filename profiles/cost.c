/* SPDX-License-Identifier: MIT */
#include "profiles/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* What kernels see of a batch that holds more than decodes. */
struct shapes {
    double tokens, heads;                 /* rows of token-wise operations; rows of the output head */
    uint64_t decode_sequences, decode_kv; /* kv summed over sequences, the new token included */
    double prefill_ns;
    unsigned launches;
};

/* KV tokens that lines are drawn for; no pool holds more. */
static const double most_kv_tokens = 1e13;

static struct dense_cost token_cost(const struct cost_model *cm, double tokens)
{
    if (cm->tokens && tokens <= DENSE_TOKENS)
        return cm->tokens[(size_t)tokens];
    struct dense_cost c = {0};
    c.ns = cm->backend.token_ns(cm->backend.self, tokens, &c.outside);
    return c;
}

/* Host work for every sequence that gets a token is counted with the output head. */
static struct dense_cost head_cost(const struct cost_model *cm, double sequences)
{
    if (cm->heads && sequences <= DENSE_SEQUENCES)
        return cm->heads[(size_t)sequences];
    struct dense_cost c = {0};
    if (sequences > 0)
        c.ns = cm->backend.head_ns(cm->backend.self, sequences, &c.outside);
    c.ns += cm->device.host_ns_per_sequence * sequences;
    return c;
}

static int64_t rounded(double fine)
{
    return (int64_t)llround(fmax(fmin(fine, (double)FINE_LONGEST), -(double)FINE_LONGEST));
}

/* The line of a piece of decode attention, with everything else that an iteration of these decodes does. */
static struct decode_line line_of(const struct cost_model *cm, uint64_t sequences, const struct decode_piece *p)
{
    struct dense_cost tokens = token_cost(cm, (double)sequences), heads = head_cost(cm, (double)sequences);
    double outside = tokens.outside + heads.outside, fine = 1 << FINE_BITS;
    struct decode_line line = {.until = p->until < most_kv_tokens ? (uint64_t)p->until : (uint64_t)most_kv_tokens,
                               .attention_ns = p->ns,
                               .attention_slope = p->slope,
                               .attention_outside = p->outside};
    line.slope = rounded(p->slope * fine);
    line.base = rounded((cm->device.host_ns + tokens.ns + heads.ns + p->ns) * fine);
    line.outside = rounded((outside + (p->outside ? p->ns : 0)) * fine);
    line.outside_slope = p->outside ? line.slope : 0;
    return line;
}

static struct decode_line compute_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv)
{
    struct decode_piece p = cm->backend.decode_piece(cm->backend.self, (double)sequences, (double)kv);
    return line_of(cm, sequences, &p);
}

static struct decode_line find_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv)
{
    if (sequences > DENSE_SEQUENCES || kv > (uint64_t)most_kv_tokens)
        return compute_line(cm, sequences, kv);
    const struct decode_line *line = &cm->lines[cm->lines_at[sequences]];
    while (kv > line->until)
        line++;
    return *line;
}

static int compile_lines(struct cost_model *cm, struct error *err)
{
    size_t count = 0, capacity = 0;
    for (uint32_t n = 1; n <= DENSE_SEQUENCES; n++) {
        cm->lines_at[n] = (uint32_t)count;
        for (double kv = 0; kv < most_kv_tokens;) {
            struct decode_line *grown = array_grow(cm->lines, &capacity, count + 1, sizeof *grown);
            if (!grown)
                return error_no_memory(err);
            cm->lines = grown;
            cm->lines[count] = compute_line(cm, n, (uint64_t)kv);
            kv = (double)cm->lines[count++].until + 1;
        }
    }
    return 0;
}

/* Everything that a run asks for again and again, once. */
static int compile(struct cost_model *cm, struct error *err)
{
    struct dense_cost *tokens = calloc(DENSE_TOKENS + 1, sizeof *tokens);
    struct dense_cost *heads = calloc(DENSE_SEQUENCES + 1, sizeof *heads);
    cm->lines_at = calloc(DENSE_SEQUENCES + 2, sizeof *cm->lines_at);
    if (!tokens || !heads || !cm->lines_at) {
        free(tokens);
        free(heads);
        return error_no_memory(err);
    }
    for (size_t i = 1; i <= DENSE_TOKENS; i++)
        tokens[i] = token_cost(cm, (double)i);
    for (size_t i = 0; i <= DENSE_SEQUENCES; i++)
        heads[i] = head_cost(cm, (double)i);
    cm->tokens = tokens;
    cm->heads = heads;
    return compile_lines(cm, err);
}

static int create_backend(struct cost_model *cm, struct error *err)
{
    const struct device *d = &cm->device;
    if (cm->model.kv_heads % cm->tensor_parallel != 0 && cm->tensor_parallel % cm->model.kv_heads != 0)
        return error_set(err, ERROR_INPUT, "tensor_parallel %u does not divide the %u KV heads of %s",
                         cm->tensor_parallel, cm->model.kv_heads, cm->model.name);
    if (d->kind == DEVICE_TABLES)
        return tables_create(cm, &cm->backend, err);
    return (d->kind == DEVICE_LINEAR ? linear_create : roofline_create)(cm, &cm->backend, err);
}

int cost_model_create(struct cost_model *out, const char *model, const char *device, uint32_t tensor_parallel,
                      struct error *err)
{
    *out = (struct cost_model){.tensor_parallel = tensor_parallel};
    if (model_load(model, &out->model, err) || device_load(device, &out->device, err))
        return -1;
    int status = create_backend(out, err);
    if (status == 0 && cost_model_kv_tokens(out) == 0)
        status = error_set(err, ERROR_INPUT,
                           "%s does not fit on %u × %s: its weights take %.1f GB; raise "
                           "cluster.tensor_parallel or choose a larger device",
                           out->model.name, tensor_parallel, out->device.name,
                           model_parameters(&out->model) * out->model.bytes_per_weight * 1e-9);
    if (status == 0)
        status = compile(out, err);
    if (status)
        cost_model_release(out);
    return status;
}

void cost_model_release(struct cost_model *cm)
{
    if (cm->backend.destroy)
        cm->backend.destroy(cm->backend.self);
    cm->backend.destroy = NULL;
    free(cm->tokens);
    free(cm->heads);
    free(cm->lines);
    free(cm->lines_at);
    cm->tokens = cm->heads = NULL;
    cm->lines = NULL;
    cm->lines_at = NULL;
    device_release(&cm->device);
}

uint64_t cost_model_kv_tokens(const struct cost_model *cm)
{
    const struct device *d = &cm->device;
    double tp = cm->tensor_parallel;
    double usable = d->memory_bytes * (d->kind == DEVICE_LINEAR ? 1 : d->memory_utilization);
    double free_bytes = d->kind == DEVICE_LINEAR ? usable
                                                 : usable - d->reserved_bytes -
                                                       model_parameters(&cm->model) * cm->model.bytes_per_weight / tp;
    double tokens = free_bytes * tp / model_kv_bytes_per_token(&cm->model);
    return tokens > 0 ? (uint64_t)tokens : 0;
}

double cost_model_decode_attention_ns(const struct cost_model *cm, double sequences, double kv_tokens, double *outside)
{
    struct decode_piece p = cm->backend.decode_piece(cm->backend.self, sequences, kv_tokens);
    double ns = p.ns + p.slope * kv_tokens;
    *outside += p.outside ? ns : 0;
    return ns;
}

static void add_prefill(const struct cost_model *cm, struct shapes *s, double times, double new_tokens,
                        double kv_before, double *outside)
{
    double extra = 0;
    s->prefill_ns += times * cm->backend.prefill_ns(cm->backend.self, new_tokens, kv_before, &extra);
    s->launches += (unsigned)times;
    *outside += times * extra;
}

static void ragged_shapes(const struct cost_model *cm, const struct batch *b, struct shapes *s, double *outside)
{
    s->tokens = s->heads = b->decodes;
    s->decode_sequences = b->decodes;
    s->decode_kv = b->decode_kv + b->decodes;
    for (size_t i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        s->tokens += item->new_tokens;
        if (item->decode) {
            s->decode_sequences++;
            s->decode_kv += item->req->computed + 1;
        } else {
            add_prefill(cm, s, 1, item->new_tokens, item->req->computed, outside);
        }
        s->heads += item->new_tokens == request_uncomputed(item->req);
    }
}

static void row_shapes(const struct cost_model *cm, const struct batch *b, struct shapes *s, double *outside)
{
    double rows = b->rows;
    s->tokens = rows * b->row_tokens;
    s->heads = b->layout == BATCH_PACKED ? (double)b->count : rows;
    if (b->row_tokens == 1 && b->row_kv > 0) {
        s->decode_sequences = b->rows;
        s->decode_kv = (uint64_t)b->rows * (b->row_kv + 1);
    } else if (b->layout == BATCH_PACKED && b->packed_attention == PACKED_VARLEN) {
        for (size_t i = 0; i < b->count; i++)
            add_prefill(cm, s, 1, b->items[i].new_tokens, 0, outside);
    } else {
        add_prefill(cm, s, rows, b->row_tokens, b->row_kv, outside);
    }
}

/* Decodes alone: a point on a line, and how many steps along it stay on it. */
static struct iteration_cost decode_cost(const struct cost_model *cm, uint64_t sequences, uint64_t kv)
{
    struct decode_line line = find_line(cm, sequences, kv);
    struct iteration_cost cost = {.steady = 1};
    double total = (double)line.base + (double)line.slope * (double)kv;
    if (line.slope < 0 || total >= (double)FINE_LONGEST) {
        cost.total = total < 0 ? 0 : total >= (double)FINE_LONGEST ? FINE_LONGEST : (fine_time)total;
    } else {
        cost.total = total < 0 ? 0 : (fine_time)(line.base + line.slope * (int64_t)kv);
        cost.growth = (fine_time)line.slope * sequences;
        cost.steady = total < 0 ? 1 : (line.until - kv) / sequences + 1;
    }
    double outside = (double)line.outside + (double)line.outside_slope * (double)kv;
    cost.outside = outside > (double)cost.total ? cost.total : outside > 0 ? (fine_time)outside : 0;
    if (line.outside_slope > 0)
        cost.outside_growth = (fine_time)line.outside_slope * sequences;
    return cost;
}

/* An iteration with prompts in it, all attention in one launch. */
static struct iteration_cost mixed_cost(const struct cost_model *cm, const struct shapes *s, double outside)
{
    struct dense_cost tokens = token_cost(cm, s->tokens), heads = head_cost(cm, s->heads);
    struct iteration_cost cost = {.steady = 1};
    double ns = cm->device.host_ns + tokens.ns + heads.ns + s->prefill_ns;
    unsigned launches = s->launches;
    outside += tokens.outside + heads.outside;
    if (s->decode_sequences > 0) {
        struct decode_line line = find_line(cm, s->decode_sequences, s->decode_kv);
        double attention = line.attention_ns + line.attention_slope * (double)s->decode_kv;
        ns += attention;
        outside += line.attention_outside ? attention : 0;
        launches++;
        cost.decode_alone = decode_cost(cm, s->decode_sequences, s->decode_kv).total;
    }
    if (launches > 1)
        ns -= (launches - 1) * cm->backend.launch_ns;
    cost.total = fine_from_ns(ns);
    cost.outside = fine_from_ns(outside);
    return cost;
}

struct iteration_cost cost_model_iteration(const struct cost_model *cm, const struct batch *batch)
{
    struct shapes s = {0};
    double outside = 0;
    if (batch->layout == BATCH_RAGGED)
        ragged_shapes(cm, batch, &s, &outside);
    else
        row_shapes(cm, batch, &s, &outside);
    bool decodes_alone = s.launches == 0 && s.decode_sequences > 0;
    struct iteration_cost cost =
        decodes_alone ? decode_cost(cm, s.decode_sequences, s.decode_kv) : mixed_cost(cm, &s, outside);
    if (cost.total < 1 << FINE_BITS) { /* time moves on, so that no run can stand still */
        cost.total = 1 << FINE_BITS;
        cost.steady = 1;
    }
    if (decodes_alone || cost.decode_alone > cost.total)
        cost.decode_alone = cost.total;
    return cost;
}
