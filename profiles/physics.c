/* SPDX-License-Identifier: MIT */
#include "profiles/physics.h"

#include <math.h>
#include <string.h>

/* Bytes of an activation in the narrowest format that GEMMs read. */
static const double narrowest = 0.5;

static struct physics gemm(const struct operation *op, double rows)
{
    return (struct physics){.dtype = op->dtype,
                            .flops = 2 * rows * op->n * op->k,
                            .memory_bytes = op->n * op->k * op->weight_bytes,
                            .activation_bytes = narrowest * rows * (op->n + op->k)};
}

/* The picks of one GPU, and the weights of the experts that they wake: at least one. */
static struct physics experts(const struct operation *op, double picks, double awake)
{
    const struct experts *e = &op->experts;
    double expert = (e->gated > 0 ? 3 : 2) * e->hidden * e->intermediate / e->tensor;
    return (struct physics){.dtype = op->dtype,
                            .flops = 2 * picks * expert,
                            .memory_bytes = fmax(awake, 1) * expert * op->weight_bytes,
                            .activation_bytes = narrowest * 2 * picks * e->hidden};
}

/* However it is done, a GPU gets what it has not: its share of the others' bytes. */
static struct physics collective(const struct operation *op, double rows)
{
    return (struct physics){.link_bytes = rows * op->bytes_per_row * (op->gpus - 1) / op->gpus};
}

struct physics physics_of_operation(const struct operation *op, double rows)
{
    const struct experts *e = &op->experts;
    switch (op->kind) {
    case WORK_GEMM:
        return gemm(op, rows);
    case WORK_EXPERTS:
        return experts(op, rows * e->top_k / e->expert, experts_awake(e, rows));
    case WORK_COLLECTIVE:
        return collective(op, rows);
    case WORK_STREAM:
        break;
    }
    return (struct physics){.activation_bytes = rows * op->bytes_per_row};
}

/* Keys that the queries of a chunk see, each itself and those before it within the window. */
static double scores(double new_tokens, double kv_before, double window)
{
    double all = new_tokens * kv_before + new_tokens * (new_tokens + 1) / 2;
    double unseen = kv_before + new_tokens - window; /* by the last query */
    if (window <= 0 || unseen <= 0)
        return all;
    double late = fmin(unseen, new_tokens); /* queries that do not see everything */
    return all - late * unseen + late * (late - 1) / 2;
}

struct physics physics_of_prefill(const struct attention_work *w, enum dtype dtype, double new_tokens, double kv_before)
{
    double seen = w->window > 0 ? fmin(kv_before, w->window) : kv_before;
    return (struct physics){.dtype = dtype,
                            .flops = w->prefill_flops * scores(new_tokens, kv_before, w->window),
                            .memory_bytes = w->kv_bytes * seen,
                            .activation_bytes = (w->query_bytes + w->kv_bytes) * new_tokens};
}

struct physics physics_of_decode(const struct attention_work *w, enum dtype dtype, double sequences, double kv_tokens)
{
    double seen = w->window > 0 ? fmin(kv_tokens, w->window * sequences) : kv_tokens;
    return (struct physics){.dtype = dtype,
                            .flops = w->decode_flops * fmax(w->decode_queries, 1) * seen,
                            .memory_bytes = w->kv_bytes * seen,
                            .activation_bytes = w->query_bytes * fmax(w->decode_queries, 1) * sequences};
}

static double share(double amount, double per_s)
{
    return amount > 0 && per_s > 0 ? amount / per_s * 1e9 : 0;
}

double physics_least_ns(const struct device *d, const struct physics *p, bool in_memory)
{
    double bytes = p->memory_bytes + (in_memory ? p->activation_bytes : 0);
    double arithmetic = p->flops > 0 ? share(p->flops, device_peak_flops(d, p->dtype)) : 0;
    double moved = fmax(share(bytes, d->bandwidth_bytes_per_s), share(p->link_bytes, d->link_bytes_per_s));
    return fmax(arithmetic, moved);
}

static struct attention_work shape_of_attention(const struct table_shape *s)
{
    return (struct attention_work){.prefill_flops = 4 * s->heads * s->head_dim,
                                   .decode_flops = 4 * s->heads * s->head_dim,
                                   .kv_bytes = 2 * s->kv_heads * s->head_dim * dtype_bytes(s->kv_dtype)};
}

static struct physics add(struct physics a, struct physics b)
{
    a.flops += b.flops;
    a.memory_bytes += b.memory_bytes;
    return a;
}

/* A point of a table of attention; nothing where it is none. */
static struct physics of_attention(const struct cost_table *t, const struct attention_work *w, enum dtype dtype,
                                   const double *at)
{
    if (strcmp(t->op, "prefill_attention") == 0)
        return physics_of_prefill(w, dtype, at[0], t->axis_count == 2 ? at[1] : 0);
    if (strcmp(t->op, "decode_attention") == 0)
        return physics_of_decode(w, dtype, at[0], at[0] * at[1]);
    if (strcmp(t->op, "mixed_attention") == 0)
        return add(physics_of_prefill(w, dtype, at[0], at[1]), physics_of_decode(w, dtype, at[2], at[2] * at[3]));
    return (struct physics){.dtype = dtype};
}

static struct physics of_shape(const struct cost_table *t, const double *at)
{
    const struct table_shape *s = &t->shape;
    struct operation op = {.dtype = s->dtype, .weight_bytes = dtype_bytes(s->dtype)};
    struct attention_work w = shape_of_attention(s);
    if (strcmp(t->op, "gemm") == 0) {
        op.n = at[1], op.k = at[2];
        return gemm(&op, at[0]);
    }
    if (strcmp(t->op, "moe") == 0) {
        op.experts =
            (struct experts){.hidden = s->hidden, .intermediate = s->intermediate, .tensor = fmax(s->tensor, 1)};
        return experts(&op, at[0] * s->top_k / fmax(s->expert, 1), 1); /* some engines' experts have no gate */
    }
    if (s->gpus > 1) {
        op.gpus = s->gpus, op.bytes_per_row = 1;
        return collective(&op, at[0]);
    }
    return s->heads > 0 ? of_attention(t, &w, s->dtype, at) : (struct physics){0};
}

static struct physics of_own(const struct cost_table *t, const struct work *own, enum dtype dtype, const double *at)
{
    for (size_t i = 0; i < own->count; i++) {
        const struct operation *op = &own->ops[i];
        if (strcmp(op->name, t->op) != 0)
            continue;
        if (op->kind == WORK_EXPERTS)
            return experts(op, at[0] * op->experts.top_k, t->axis_count == 2 ? at[1] : 1);
        if (op->kind == WORK_COLLECTIVE)
            return (struct physics){.link_bytes = at[0] * (op->gpus - 1) / op->gpus};
        return physics_of_operation(op, at[0]);
    }
    return of_attention(t, &own->attention[ATTENTION_FULL], dtype, at);
}

static void place_of(const struct cost_table *t, size_t cell, double at[TABLE_AXES])
{
    for (size_t a = t->axis_count; a-- > 0;) {
        at[a] = t->axes[a].at[cell % t->axes[a].count];
        cell /= t->axes[a].count;
    }
}

static bool filled(const struct cost_table *t, size_t cell)
{
    for (size_t i = 0; i < t->filled_count; i++)
        if ((size_t)t->filled[i] == cell)
            return true;
    return false;
}

struct physics_report physics_check_table(const struct device *d, const struct work *own, enum dtype dtype,
                                          const struct cost_table *t)
{
    struct physics_report report = {.lowest = 1};
    for (size_t cell = 0; cell < table_cells(t) && (t->shape.any || own); cell++) {
        double at[TABLE_AXES] = {0};
        place_of(t, cell, at);
        struct physics p = t->shape.any ? of_shape(t, at) : of_own(t, own, dtype, at);
        double least = physics_least_ns(d, &p, false);
        if (least <= 0 || t->ns[cell] <= 0 || filled(t, cell))
            continue;
        report.points++;
        report.below += t->ns[cell] < least;
        if (t->ns[cell] / least < report.lowest) {
            report.lowest = t->ns[cell] / least;
            memcpy(report.lowest_at, at, sizeof at);
        }
    }
    return report;
}
