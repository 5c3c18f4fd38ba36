/* SPDX-License-Identifier: MIT */
/* Points that no server of their GPUs can have measured. */
#include <math.h>
#include <stdio.h>

#include "profiles/physics.h"
#include "profiles/shipped.h"
#include "validation/points.h"

/* What a point's requests ask of GPUs, whatever its engine: a model without sharding, which GPUs share evenly at best.
 */
struct demand {
    const struct device *device;
    struct work work;
    enum dtype activations;
    double prompt, output; /* the least tokens of a request */
};

static int demand_of(const struct point *p, const struct device *d, struct demand *out, struct error *err)
{
    char name[POINT_TEXT];
    struct model m;
    const struct parallel whole = {.stages = 1, .tensor = 1, .data = 1, .expert = 1, .expert_imbalance = 1};
    double least = point_draws_lengths(p) ? 0.8 : 1;
    shipped_resolve("model", p->model_path, name, sizeof name);
    if (model_load(name, &m, err))
        return -1;
    enum dtype format;
    if (point_weights(p, &format))
        model_quantise(&m, format);
    *out = (struct demand){.device = d, .activations = DTYPE_BF16, .prompt = least * p->isl, .output = least * p->osl};
    return work_of_model(&m, &whole, &out->work, err);
}

static double arithmetic_ns(const struct demand *of, struct physics p)
{
    p.memory_bytes = p.activation_bytes = p.link_bytes = 0;
    return physics_least_ns(of->device, &p, false);
}

/* One prompt's arithmetic on one GPU at its peak. */
static double prompt_ns(const struct demand *of)
{
    double ns = 0;
    for (size_t i = 0; i < of->work.count; i++) {
        const struct operation *op = &of->work.ops[i];
        double rows = op->rows == PER_TOKEN ? of->prompt * op->rows_scale : op->rows_scale;
        ns += op->times * arithmetic_ns(of, physics_of_operation(op, rows));
    }
    for (int i = 0; i < ATTENTION_KINDS; i++) {
        const struct attention_work *a = &of->work.attention[i];
        ns += a->prefill_layers * arithmetic_ns(of, physics_of_prefill(a, of->activations, of->prompt, 0));
    }
    return ns;
}

/* Weights that an iteration of so many decodes reads, and their KV in 8 bits, on one GPU at its full bandwidth. */
static double decodes_ns(const struct demand *of, double sequences)
{
    double bytes = 0, kv_tokens = sequences * (of->prompt + of->output / 2);
    for (size_t i = 0; i < of->work.count; i++) {
        const struct operation *op = &of->work.ops[i];
        bytes += op->times * physics_of_operation(op, sequences * op->rows_scale).memory_bytes;
    }
    for (int i = 0; i < ATTENTION_KINDS; i++) {
        const struct attention_work *a = &of->work.attention[i];
        struct physics p = physics_of_decode(a, of->activations, sequences, kv_tokens);
        bytes += a->decode_layers * p.memory_bytes / fmax(a->kv_value_bytes, 1);
    }
    return bytes / of->device->bandwidth_bytes_per_s * 1e9;
}

static double gpus_of(const struct point_pool *p)
{
    return fmax(p->tp, 1) * fmax(p->attention_dp, 1) * fmax(p->pp, 1);
}

/* Little's law over a closed loop: clients ÷ (TTFT + the rest of the tokens) are requests per second, and of the
 * clients that share decodes which the rest takes. An iteration yields one token a sequence. */
static int judge(const struct device *d, struct point *p, struct error *err)
{
    struct demand of;
    const struct point_pool *prompts = point_is_disaggregated(p) ? &p->prefill : &p->serve;
    const struct point_pool *decodes = point_is_disaggregated(p) ? &p->decode : &p->serve;
    if (demand_of(p, d, &of, err))
        return -1;
    double decoding_ms = p->tpot_ms * fmax(0, p->osl - 1), workers = fmax(decodes->workers, 1);
    double per_ms = p->concurrency / (p->ttft_ms + decoding_ms);
    double running = fmax(1, per_ms * decoding_ms / workers);
    bool computes = prompt_ns(&of) * 1e-6 * per_ms <= gpus_of(prompts) * fmax(prompts->workers, 1);
    bool reads = decodes_ns(&of, running) * 1e-6 <= p->tpot_ms * gpus_of(decodes);
    p->beats_gpus = !computes || !reads;
    return 0;
}

int points_bound(struct points *points, const struct device *device, struct error *err)
{
    if (device->bandwidth_bytes_per_s <= 0) /* a straight line, and no hardware */
        return 0;
    for (size_t i = 0; i < points->count; i++)
        if (!point_refused(&points->items[i], device->system) && judge(device, &points->items[i], err))
            return -1;
    return 0;
}
