/* SPDX-License-Identifier: MIT */
#include "profiles/cost.h"

#include <math.h>
#include <string.h>

/* Nothing sensible takes 30 years; sums of times stay far from overflow. */
#define LONGEST_NS 1e18

/* What kernels see of a batch. */
struct shapes {
    double tokens, heads;               /* rows of token-wise operations; rows of the output head */
    double decode_sequences, decode_kv; /* kv summed over sequences, the new token included */
    double prefill_ns;
    unsigned launches;
};

int cost_model_create(struct cost_model *out, const char *model, const char *device, uint32_t tensor_parallel,
                      struct error *err)
{
    *out = (struct cost_model){.tensor_parallel = tensor_parallel};
    if (model_load(model, &out->model, err) || device_load(device, &out->device, err))
        return -1;
    const struct device *d = &out->device;
    int status = 0;
    if (out->model.kv_heads % tensor_parallel != 0 && tensor_parallel % out->model.kv_heads != 0)
        status = error_set(err, ERROR_INPUT, "tensor_parallel %u does not divide the %u KV heads of %s",
                           tensor_parallel, out->model.kv_heads, out->model.name);
    else if (d->kind == DEVICE_TABLES)
        status = tables_create(out, &out->backend, err);
    else
        status = (d->kind == DEVICE_LINEAR ? linear_create : roofline_create)(out, &out->backend, err);
    if (status == 0 && cost_model_kv_tokens(out) == 0)
        status = error_set(err, ERROR_INPUT,
                           "%s does not fit on %u × %s: its weights take %.1f GB; raise "
                           "cluster.tensor_parallel or choose a larger device",
                           out->model.name, tensor_parallel, d->name,
                           model_parameters(&out->model) * out->model.bytes_per_weight * 1e-9);
    if (status)
        cost_model_release(out);
    out->host_ns = d->host_ns;
    out->host_ns_per_sequence = d->host_ns_per_sequence;
    return status;
}

void cost_model_release(struct cost_model *cm)
{
    if (cm->backend.destroy)
        cm->backend.destroy(cm->backend.self);
    cm->backend.destroy = NULL;
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
    for (size_t i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        s->tokens += item->new_tokens;
        if (item->decode) {
            s->decode_sequences++;
            s->decode_kv += item->req->computed + 1.0;
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
        s->decode_sequences = rows;
        s->decode_kv = rows * (b->row_kv + 1.0);
    } else if (b->layout == BATCH_PACKED && b->packed_attention == PACKED_VARLEN) {
        for (size_t i = 0; i < b->count; i++)
            add_prefill(cm, s, 1, b->items[i].new_tokens, 0, outside);
    } else {
        add_prefill(cm, s, rows, b->row_tokens, b->row_kv, outside);
    }
}

/* The iteration of `shapes`, with all attention in one launch. */
static double shapes_ns(const struct cost_model *cm, const struct shapes *s, double *outside)
{
    const struct cost_backend *k = &cm->backend;
    double ns = cm->host_ns + cm->host_ns_per_sequence * s->heads;
    ns += k->token_ns(k->self, s->tokens, outside);
    if (s->heads > 0)
        ns += k->head_ns(k->self, s->heads, outside);
    unsigned launches = s->launches;
    ns += s->prefill_ns;
    if (s->decode_sequences > 0) {
        ns += k->decode_ns(k->self, s->decode_sequences, s->decode_kv, outside);
        launches++;
    }
    return launches > 1 ? ns - (launches - 1) * k->launch_ns : ns;
}

static double model_flops(const struct model *m, const struct batch *b)
{
    double weights = model_parameters(m) - (double)m->hidden * m->vocab * (m->tied_head ? 1 : 2);
    double per_score = 4.0 * m->layers * m->heads * m->head_dim, flops = 0;
    for (size_t i = 0; i < b->count; i++) {
        double n = b->items[i].new_tokens, before = b->items[i].req->computed;
        flops += 2 * weights * n + per_score * n * (before + (n + 1) / 2);
    }
    return flops + 2.0 * m->hidden * m->vocab * (double)b->count;
}

struct iteration_cost cost_model_iteration(const struct cost_model *cm, const struct batch *batch)
{
    struct shapes s = {0};
    double outside = 0, ignored = 0;
    if (batch->layout == BATCH_RAGGED)
        ragged_shapes(cm, batch, &s, &outside);
    else
        row_shapes(cm, batch, &s, &outside);
    double total = shapes_ns(cm, &s, &outside), decode = 0;
    if (s.decode_sequences > 0 && s.launches == 0) {
        decode = total;
    } else if (s.decode_sequences > 0) {
        struct shapes alone = {.tokens = s.decode_sequences,
                               .heads = s.decode_sequences,
                               .decode_sequences = s.decode_sequences,
                               .decode_kv = s.decode_kv};
        decode = shapes_ns(cm, &alone, &ignored);
    }
    total = fmin(total, LONGEST_NS);
    decode = fmin(decode, LONGEST_NS);
    struct iteration_cost cost = {.total = (sim_time)(total + 0.5),
                                  .decode_alone = (sim_time)(decode + 0.5),
                                  .outside_ns = outside,
                                  .flops = model_flops(&cm->model, batch)};
    if (cost.total < 1)
        cost.total = 1; /* time moves on, so that no run can stand still */
    if (cost.decode_alone > cost.total)
        cost.decode_alone = cost.total;
    return cost;
}
