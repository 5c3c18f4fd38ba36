/* SPDX-License-Identifier: MIT */
/* Kernels as their equations read, one loop an index. */
#include <math.h>

#include "engine_ref/cpu.h"

static void gemm(struct cpu *c, float *y, const float *x, const float *w, size_t rows, size_t outputs, size_t inputs,
                 bool add)
{
    (void)c;
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < outputs; o++) {
            float sum = add ? y[r * outputs + o] : 0;
            for (size_t i = 0; i < inputs; i++)
                sum += x[r * inputs + i] * w[o * inputs + i];
            y[r * outputs + o] = sum;
        }
}

static void norm(struct cpu *c, float *y, const float *x, const float *weight, size_t rows, size_t width, size_t stride)
{
    (void)c;
    for (size_t r = 0; r < rows; r++) {
        float squares = 0;
        for (size_t i = 0; i < width; i++)
            squares += x[r * stride + i] * x[r * stride + i];
        float scale = 1 / sqrtf(squares / (float)width + NORM_EPSILON);
        for (size_t i = 0; i < width; i++)
            y[r * stride + i] = x[r * stride + i] * scale * weight[i];
    }
}

/* (a, b) of the two halves becomes (a cos − b sin, b cos + a sin). */
static void rotate(float *head, const float *cosines, const float *sines, uint32_t half)
{
    for (uint32_t i = 0; i < half; i++) {
        float a = head[i], b = head[i + half];
        head[i] = a * cosines[i] - b * sines[i];
        head[i + half] = b * cosines[i] + a * sines[i];
    }
}

static void rotary(struct cpu *c, uint32_t layer, const struct step *s)
{
    const struct model *m = &c->w->model;
    uint32_t half = m->head_dim / 2;
    for (size_t r = 0; r < s->row_count; r++) {
        const struct step_row *row = &s->rows[r];
        float *qkv = c->qkv + r * qkv_width(m);
        for (uint32_t h = 0; h < m->heads + m->kv_heads; h++)
            rotate(qkv + h * m->head_dim, c->cosines + (size_t)row->position * half,
                   c->sines + (size_t)row->position * half, half);
        if (row->slot == NO_SLOT)
            continue;
        for (uint32_t h = 0; h < m->kv_heads; h++)
            for (uint32_t i = 0; i < m->head_dim; i++) {
                size_t at = cache_at(c, layer, h, row->slot) + i;
                c->keys[at] = qkv[(m->heads + h) * m->head_dim + i];
                c->values[at] = qkv[(m->heads + m->kv_heads + h) * m->head_dim + i];
            }
    }
}

/* out = Σ softmax(q · k / √d) v over the keys that `key` and `value` give; NULL for a masked one. */
static void attend_one(const struct model *m, const float *query, size_t keys, const float *const *key,
                       const float *const *value, float *scores, float *out)
{
    float most = -INFINITY, sum = 0, scale = 1 / sqrtf((float)m->head_dim);
    for (size_t j = 0; j < keys; j++) {
        scores[j] = -INFINITY;
        if (!key[j])
            continue;
        scores[j] = 0;
        for (uint32_t i = 0; i < m->head_dim; i++)
            scores[j] += query[i] * key[j][i];
        scores[j] *= scale;
        most = fmaxf(most, scores[j]);
    }
    for (size_t j = 0; j < keys; j++)
        sum += scores[j] = expf(scores[j] - most);
    for (uint32_t i = 0; i < m->head_dim; i++) {
        out[i] = 0;
        for (size_t j = 0; j < keys; j++)
            if (key[j])
                out[i] += scores[j] / sum * value[j][i];
    }
}

static void paged(struct cpu *c, uint32_t layer, const struct step *s, size_t first, size_t last)
{
    const struct model *m = &c->w->model;
    const float **key = (const float **)(void *)c->scratch, **value = key + c->limits.max_tokens;
    float *scores = (float *)(value + c->limits.max_tokens);
    for (size_t p = first; p < last; p++) {
        const struct paged_span *span = &s->spans[p];
        for (uint32_t q = 0; q < span->count; q++)
            for (uint32_t h = 0; h < m->heads; h++) {
                size_t row = span->first + q, kv_head = h / (m->heads / m->kv_heads);
                for (uint32_t j = 0; j < span->kv_read; j++) {
                    size_t at = cache_at(c, layer, (uint32_t)kv_head, span_slot(c, span, j));
                    bool seen = j <= span->kv_before + q;
                    key[j] = seen ? c->keys + at : NULL;
                    value[j] = seen ? c->values + at : NULL;
                }
                attend_one(m, c->qkv + row * qkv_width(m) + h * m->head_dim, span->kv_read, key, value, scores,
                           c->attended + row * query_width(m) + h * m->head_dim);
            }
    }
}

static void squares(struct cpu *c, const struct step *s)
{
    const struct model *m = &c->w->model;
    const float **key = (const float **)(void *)c->scratch, **value = key + c->limits.max_tokens;
    float *scores = (float *)(value + c->limits.max_tokens);
    for (size_t p = 0; p < s->square_count; p++) {
        const struct square_span *square = &s->squares[p];
        const struct step_row *rows = s->rows + square->first;
        for (uint32_t q = 0; q < square->count; q++)
            for (uint32_t h = 0; h < m->heads; h++) {
                uint32_t kv_head = m->heads + h / (m->heads / m->kv_heads);
                for (uint32_t j = 0; j < square->count; j++) {
                    const float *qkv = c->qkv + (square->first + j) * (size_t)qkv_width(m);
                    bool seen = j == q || (j < q && rows[q].prompt > 0 && rows[j].prompt == rows[q].prompt);
                    key[j] = seen ? qkv + kv_head * m->head_dim : NULL;
                    value[j] = seen ? qkv + (kv_head + m->kv_heads) * m->head_dim : NULL;
                }
                size_t row = square->first + q;
                attend_one(m, c->qkv + row * qkv_width(m) + h * m->head_dim, square->count, key, value, scores,
                           c->attended + row * query_width(m) + h * m->head_dim);
            }
    }
}

/* SwiGLU: gate σ(gate) up; without a gate ReLU. */
static void activation(struct cpu *c, size_t rows)
{
    const struct model *m = &c->w->model;
    size_t width = m->intermediate;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++) {
            const float *in = c->gate_up + r * gate_up_width(m);
            c->act[r * width + i] = m->gated_mlp ? in[i] / (1 + expf(-in[i])) * in[width + i] : fmaxf(in[i], 0);
        }
}

const struct cpu_kernels cpu_reference_kernels = {
    .gemm = gemm, .norm = norm, .rotary = rotary, .paged = paged, .squares = squares, .activation = activation};
