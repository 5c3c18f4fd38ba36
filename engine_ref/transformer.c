/* SPDX-License-Identifier: MIT */
#include "engine_ref/transformer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "engine_ref/pages.h"
#include "engine_ref/workers.h"

static float *take(float **at, size_t count)
{
    float *here = *at;
    *at += count;
    return here;
}

static size_t floats_of(const struct model *m, size_t layers)
{
    size_t hidden = m->hidden, layer = 2 * hidden + (m->qk_norm ? 2 * m->head_dim : 0) + hidden * qkv_width(m) +
                                       hidden * query_width(m) + hidden * gate_up_width(m) + hidden * m->intermediate;
    return layers * layer + hidden + (m->tied_head ? 1 : 2) * hidden * m->vocab;
}

int weights_create(struct weights *w, const struct model *model, bool one_layer, struct error *err)
{
    *w = (struct weights){.model = *model, .one_layer = one_layer};
    const struct model *m = &w->model;
    if (m->moe.experts || m->latent.kv_rank || m->window || m->state.layers || m->gated_attention ||
        m->attention_layers != m->mlp_layers)
        return error_set(err, ERROR_INPUT,
                         "%s: the engine runs dense models with full attention; found experts, latent attention or a "
                         "window",
                         m->name);
    if (m->heads % m->kv_heads != 0 || m->head_dim % 2 != 0)
        return error_set(err, ERROR_INPUT, "%s: expected heads a multiple of kv_heads, and an even head_dim", m->name);
    size_t hidden = m->hidden;
    w->count = floats_of(m, one_layer ? 1 : m->layers);
    w->layers = calloc(m->layers, sizeof *w->layers);
    w->memory = pages_create(w->count);
    if (!w->layers || !w->memory) {
        weights_release(w);
        return error_no_memory(err);
    }
    float *at = w->memory;
    for (uint32_t i = 0; i < m->layers; i++) {
        struct layer_weights *l = &w->layers[i];
        if (one_layer && i > 0) {
            *l = w->layers[0];
            continue;
        }
        l->attention_norm = take(&at, hidden);
        l->qkv = take(&at, hidden * qkv_width(m));
        l->query_norm = m->qk_norm ? take(&at, m->head_dim) : NULL;
        l->key_norm = m->qk_norm ? take(&at, m->head_dim) : NULL;
        l->o = take(&at, hidden * query_width(m));
        l->mlp_norm = take(&at, hidden);
        l->gate_up = take(&at, hidden * gate_up_width(m));
        l->down = take(&at, hidden * m->intermediate);
    }
    w->embedding = take(&at, hidden * m->vocab);
    w->final_norm = take(&at, hidden);
    w->head = m->tied_head ? w->embedding : take(&at, hidden * m->vocab);
    return 0;
}

void weights_release(struct weights *w)
{
    free(w->layers);
    free(w->memory);
    w->layers = NULL;
    w->memory = NULL;
}

struct fill {
    float *matrix;
    size_t count, parts;
    uint64_t first;
    float scale;
};

static void fill_part(void *state, size_t part, size_t worker)
{
    const struct fill *f = state;
    (void)worker;
    for (size_t i = f->count * part / f->parts; i < f->count * (part + 1) / f->parts; i++)
        f->matrix[i] = (float)(int32_t)(random_mix(f->first + i) >> 32) * f->scale;
}

static void fill_matrix(struct workers *w, float *matrix, size_t outputs, size_t inputs, uint64_t *state)
{
    struct fill f = {.matrix = matrix,
                     .count = outputs * inputs,
                     .parts = 4 * workers_count(w),
                     .first = *state,
                     .scale = sqrtf(3.0f / (float)inputs) * 0x1p-31f};
    workers_run(w, f.parts, fill_part, &f);
    *state += f.count;
}

static void fill_ones(float *vector, size_t count)
{
    for (size_t i = 0; vector && i < count; i++)
        vector[i] = 1;
}

void weights_round(struct weights *w)
{
    for (size_t i = 0; i < w->count; i++) {
        uint32_t bits;
        memcpy(&bits, &w->memory[i], sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u; /* to nearest, ties to even */
        memcpy(&w->memory[i], &bits, sizeof bits);
    }
}

int weights_fill(struct weights *w, uint64_t seed, struct error *err)
{
    const struct model *m = &w->model;
    uint64_t state = random_mix(seed);
    struct workers *threads;
    if (workers_create(&threads, workers_usual(), err))
        return -1;
    for (uint32_t i = 0; i < (w->one_layer ? 1 : m->layers); i++) {
        struct layer_weights *l = &w->layers[i];
        fill_ones(l->attention_norm, m->hidden);
        fill_ones(l->mlp_norm, m->hidden);
        fill_ones(l->query_norm, m->head_dim);
        fill_ones(l->key_norm, m->head_dim);
        fill_matrix(threads, l->qkv, qkv_width(m), m->hidden, &state);
        fill_matrix(threads, l->o, m->hidden, query_width(m), &state);
        fill_matrix(threads, l->gate_up, gate_up_width(m), m->hidden, &state);
        fill_matrix(threads, l->down, m->hidden, m->intermediate, &state);
    }
    fill_ones(w->final_norm, m->hidden);
    fill_matrix(threads, w->embedding, m->vocab, m->hidden, &state);
    if (!m->tied_head)
        fill_matrix(threads, w->head, m->vocab, m->hidden, &state);
    workers_destroy(threads);
    return 0;
}

void step_clear(struct step *s)
{
    s->row_count = s->span_count = s->square_count = s->output_count = 0;
}

void step_release(struct step *s)
{
    free(s->rows);
    free(s->spans);
    free(s->squares);
    free(s->outputs);
    *s = (struct step){0};
}

int step_add_row(struct step *s, struct step_row row)
{
    struct step_row *grown = array_grow(s->rows, &s->row_capacity, s->row_count + 1, sizeof *grown);
    if (!grown)
        return -1;
    s->rows = grown;
    s->rows[s->row_count++] = row;
    return 0;
}

int step_add_span(struct step *s, struct paged_span span)
{
    struct paged_span *grown = array_grow(s->spans, &s->span_capacity, s->span_count + 1, sizeof *grown);
    if (!grown)
        return -1;
    s->spans = grown;
    s->spans[s->span_count++] = span;
    return 0;
}

int step_add_square(struct step *s, struct square_span square)
{
    struct square_span *grown = array_grow(s->squares, &s->square_capacity, s->square_count + 1, sizeof *grown);
    if (!grown)
        return -1;
    s->squares = grown;
    s->squares[s->square_count++] = square;
    return 0;
}

int step_add_output(struct step *s, struct step_output output)
{
    struct step_output *grown = array_grow(s->outputs, &s->output_capacity, s->output_count + 1, sizeof *grown);
    if (!grown)
        return -1;
    s->outputs = grown;
    s->outputs[s->output_count++] = output;
    return 0;
}
