/* SPDX-License-Identifier: MIT */
/* Fast kernels: large products by OpenBLAS, each thread on its own columns; small ones, which read every weight once,
 * and what is no product, by loops over vectors of eight floats. Those are compiled for AVX2 too, and picked when the
 * program starts. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "engine_ref/cpu.h"

/* OpenBLAS rearranges all weights for every product: up to so many rows reading them as they are is faster. */
enum { LANES = 8, TILE_ROWS = 6, BLOCK_OUTPUTS = 32, SMALL_ROWS = 64 };

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t int_lanes __attribute__((vector_size(4 * LANES), aligned(4)));

#define INLINE static inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2,fma")))

INLINE lanes load(const float *at)
{
    return *(const lanes *)at;
}

INLINE void store(float *at, lanes v)
{
    *(lanes *)at = v;
}

INLINE float sum_lanes(lanes v)
{
    return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

INLINE lanes all(float x)
{
    return (lanes){x, x, x, x, x, x, x, x};
}

/* a where the mask is −1, b where it is 0. */
INLINE lanes pick(int_lanes mask, lanes a, lanes b)
{
    return (lanes)(((int_lanes)a & mask) | ((int_lanes)b & ~mask));
}

/* e^x for x ≤ 88: 2^n e^r with r at most ln 2 / 2 (Cephes' expf polynomial, relative error 2e-7). */
INLINE lanes exp_lanes(lanes x)
{
    x = pick(x < all(-87), all(-87), x);
    x = pick(x > all(88), all(88), x);
    int_lanes n = __builtin_convertvector(x * 1.44269504f + pick(x < all(0), all(-0.5f), all(0.5f)), int_lanes);
    lanes whole = __builtin_convertvector(n, lanes);
    lanes r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    lanes p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1;
    return p * (lanes)((n + 127) << 23);
}

struct product {
    float *y;
    const float *x, *w;
    size_t rows, outputs, inputs, parts;
    bool add;
};

/* A few rows at once, so that each weight is loaded once for all of them. */
INLINE void rows_by_output(const struct product *p, size_t first, size_t rows, size_t o)
{
    lanes sum[TILE_ROWS] = {0};
    float rest[TILE_ROWS] = {0};
    const float *weights = p->w + o * p->inputs, *x = p->x + first * p->inputs;
    size_t i = 0;
    for (; i + LANES <= p->inputs; i += LANES) {
        lanes v = load(weights + i);
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++)
            sum[r] += load(x + r * p->inputs + i) * v;
    }
    for (; i < p->inputs; i++)
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++)
            rest[r] += x[r * p->inputs + i] * weights[i];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++) {
        float *y = p->y + (first + r) * p->outputs + o;
        *y = sum_lanes(sum[r]) + rest[r] + (p->add ? *y : 0);
    }
}

/* Blocks of outputs whose weights stay in the cache while all rows go over them. */
INLINE void small_product(const struct product *p, size_t from, size_t to)
{
    for (size_t block = from; block < to; block += BLOCK_OUTPUTS)
        for (size_t r = 0; r < p->rows;) {
            size_t left = p->rows - r, end = block + BLOCK_OUTPUTS < to ? block + BLOCK_OUTPUTS : to;
            for (size_t o = block; o < end; o++)
                if (left >= TILE_ROWS) /* counts that the compiler knows */
                    rows_by_output(p, r, TILE_ROWS, o);
                else if (left >= 4)
                    rows_by_output(p, r, 4, o);
                else if (left >= 2)
                    rows_by_output(p, r, 2, o);
                else
                    rows_by_output(p, r, 1, o);
            r += left >= TILE_ROWS ? TILE_ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        }
}

static void small_plain(const struct product *p, size_t from, size_t to)
{
    small_product(p, from, to);
}

AVX2 static void small_avx2(const struct product *p, size_t from, size_t to)
{
    small_product(p, from, to);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static void product_part(void *state, size_t part, size_t worker)
{
    const struct product *p = state;
    size_t from = p->outputs * part / p->parts / LANES * LANES, to = p->outputs * (part + 1) / p->parts / LANES * LANES;
    (void)worker;
    if (part + 1 == p->parts)
        to = p->outputs;
    if (from == to)
        return;
    if (p->rows <= SMALL_ROWS)
        (has_avx2() ? small_avx2 : small_plain)(p, from, to);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->rows, (int)(to - from), (int)p->inputs, 1, p->x,
                    (int)p->inputs, p->w + from * p->inputs, (int)p->inputs, p->add ? 1 : 0, p->y + from,
                    (int)p->outputs);
}

static void gemm(struct cpu *c, float *y, const float *x, const float *w, size_t rows, size_t outputs, size_t inputs,
                 bool add)
{
    struct product p = {y, x, w, rows, outputs, inputs, workers_count(c->workers), add};
    workers_run(c->workers, p.parts, product_part, &p);
}

struct rows_work {
    struct cpu *c;
    const struct step *step;
    uint32_t layer;
    size_t rows, parts;
};

static void norm(struct cpu *c, float *y, const float *x, const float *weight, size_t rows, size_t width, size_t stride)
{
    (void)c;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * stride;
        float *out = y + r * stride;
        lanes squares = all(0);
        size_t i = 0;
        for (; i + LANES <= width; i += LANES)
            squares += load(in + i) * load(in + i);
        float sum = sum_lanes(squares);
        for (; i < width; i++)
            sum += in[i] * in[i];
        float scale = 1 / sqrtf(sum / (float)width + NORM_EPSILON);
        for (i = 0; i + LANES <= width; i += LANES)
            store(out + i, load(in + i) * scale * load(weight + i));
        for (; i < width; i++)
            out[i] = in[i] * scale * weight[i];
    }
}

static void rotate_row(struct cpu *c, uint32_t layer, const struct step_row *row, float *qkv)
{
    const struct model *m = &c->w->model;
    uint32_t half = m->head_dim / 2;
    const float *cosines = c->cosines + (size_t)row->position * half, *sines = c->sines + (size_t)row->position * half;
    for (uint32_t h = 0; h < m->heads + m->kv_heads; h++) {
        float *head = qkv + h * m->head_dim;
        for (uint32_t i = 0; i < half; i++) {
            float a = head[i], b = head[i + half];
            head[i] = a * cosines[i] - b * sines[i];
            head[i + half] = b * cosines[i] + a * sines[i];
        }
    }
    for (uint32_t h = 0; row->slot != NO_SLOT && h < m->kv_heads; h++) {
        size_t at = cache_at(c, layer, h, row->slot), bytes = m->head_dim * sizeof *qkv;
        memcpy(c->keys + at, qkv + (m->heads + h) * m->head_dim, bytes);
        memcpy(c->values + at, qkv + (m->heads + m->kv_heads + h) * m->head_dim, bytes);
    }
}

static void rotary_part(void *state, size_t part, size_t worker)
{
    const struct rows_work *w = state;
    (void)worker;
    for (size_t r = w->rows * part / w->parts; r < w->rows * (part + 1) / w->parts; r++)
        rotate_row(w->c, w->layer, &w->step->rows[r], w->c->qkv + r * qkv_width(&w->c->w->model));
}

static size_t parts_for(const struct cpu *c, size_t rows)
{
    return rows < 16 ? 1 : workers_count(c->workers);
}

static void rotary(struct cpu *c, uint32_t layer, const struct step *s)
{
    struct rows_work w = {c, s, layer, s->row_count, parts_for(c, s->row_count)};
    workers_run(c->workers, w.parts, rotary_part, &w);
}

INLINE void activate_rows(struct cpu *c, size_t from, size_t to)
{
    const struct model *m = &c->w->model;
    size_t width = m->intermediate;
    for (size_t r = from; r < to; r++) {
        const float *in = c->gate_up + r * gate_up_width(m);
        float *out = c->act + r * width;
        size_t i = 0;
        for (; m->gated_mlp && i + LANES <= width; i += LANES) {
            lanes gate = load(in + i);
            store(out + i, gate / (1 + exp_lanes(-gate)) * load(in + width + i));
        }
        for (; i < width; i++)
            out[i] = m->gated_mlp ? in[i] / (1 + expf(-in[i])) * in[width + i] : fmaxf(in[i], 0);
    }
}

static void activate_plain(struct cpu *c, size_t from, size_t to)
{
    activate_rows(c, from, to);
}

AVX2 static void activate_avx2(struct cpu *c, size_t from, size_t to)
{
    activate_rows(c, from, to);
}

static void activation_part(void *state, size_t part, size_t worker)
{
    const struct rows_work *w = state;
    (void)worker;
    (has_avx2() ? activate_avx2 : activate_plain)(w->c, w->rows * part / w->parts, w->rows * (part + 1) / w->parts);
}

static void activation(struct cpu *c, size_t rows)
{
    struct rows_work w = {.c = c, .rows = rows, .parts = parts_for(c, rows)};
    workers_run(c->workers, w.parts, activation_part, &w);
}

struct attention_work {
    struct cpu *c;
    const struct step *step;
    uint32_t layer;
    size_t first; /* span */
};

/* Scores to weights of a softmax over the first `seen`; the rest of `keys` become 0. Returns 1 / Σ. */
INLINE float soften(float *scores, size_t seen, size_t keys)
{
    float most = -INFINITY, sum = 0;
    for (size_t j = 0; j < seen; j++)
        most = scores[j] > most ? scores[j] : most;
    size_t j = 0;
    lanes sums = all(0);
    for (; j + LANES <= seen; j += LANES) {
        lanes e = exp_lanes(load(scores + j) - most);
        store(scores + j, e);
        sums += e;
    }
    for (; j < seen; j++)
        sum += scores[j] = expf(scores[j] - most);
    for (; j < keys; j++)
        scores[j] = 0;
    return 1 / (sum + sum_lanes(sums));
}

INLINE float dot(const float *a, const float *b, uint32_t width)
{
    lanes sum = all(0);
    uint32_t i = 0;
    for (; i + LANES <= width; i += LANES)
        sum += load(a + i) * load(b + i);
    float rest = 0;
    for (; i < width; i++)
        rest += a[i] * b[i];
    return sum_lanes(sum) + rest;
}

INLINE void add_scaled(float *out, const float *v, float by, uint32_t width)
{
    uint32_t i = 0;
    for (; i + LANES <= width; i += LANES)
        store(out + i, load(out + i) + load(v + i) * by);
    for (; i < width; i++)
        out[i] += v[i] * by;
}

/* One query of every head that shares a KV head: keys and values are read once. */
INLINE void decode_group(struct cpu *c, uint32_t layer, const struct paged_span *span, uint32_t kv_head, float *scratch)
{
    const struct model *m = &c->w->model;
    uint32_t group = m->heads / m->kv_heads, d = m->head_dim, seen = span->kv_before + 1;
    const float *query = c->qkv + span->first * (size_t)qkv_width(m) + (size_t)kv_head * group * d;
    float *out = c->attended + span->first * (size_t)query_width(m) + (size_t)kv_head * group * d;
    float scale = 1 / sqrtf((float)d), *scores = scratch;
    for (uint32_t j = 0; j < span->kv_read; j++) {
        const float *key = c->keys + cache_at(c, layer, kv_head, span_slot(c, span, j));
        for (uint32_t g = 0; g < group; g++)
            scores[(size_t)g * span->kv_read + j] = scale * dot(query + g * d, key, d);
    }
    for (uint32_t g = 0; g < group; g++) {
        float *own = scores + (size_t)g * span->kv_read, by = soften(own, seen, span->kv_read);
        for (uint32_t j = 0; j < span->kv_read; j++)
            own[j] *= by;
    }
    memset(out, 0, group * d * sizeof *out);
    for (uint32_t j = 0; j < span->kv_read; j++) {
        const float *value = c->values + cache_at(c, layer, kv_head, span_slot(c, span, j));
        for (uint32_t g = 0; g < group; g++)
            add_scaled(out + g * d, value, scores[(size_t)g * span->kv_read + j], d);
    }
}

static void decode_plain(struct cpu *c, uint32_t layer, const struct paged_span *span, uint32_t kv_head, float *scratch)
{
    decode_group(c, layer, span, kv_head, scratch);
}

AVX2 static void decode_avx2(struct cpu *c, uint32_t layer, const struct paged_span *span, uint32_t kv_head,
                             float *scratch)
{
    decode_group(c, layer, span, kv_head, scratch);
}

static void decode_part(void *state, size_t part, size_t worker)
{
    const struct attention_work *w = state;
    struct cpu *c = w->c;
    uint32_t kv_heads = c->w->model.kv_heads;
    (has_avx2() ? decode_avx2 : decode_plain)(c, w->layer, &w->step->spans[w->first + part / kv_heads],
                                              (uint32_t)(part % kv_heads), c->scratch + worker * c->scratch_floats);
}

/* Keys and values of one head as matrices with rows `stride` apart. */
struct head {
    const float *keys, *values;
    size_t stride;
};

static void soften_tile(float *scores, size_t queries, size_t keys, size_t first, const struct step_row *prompts)
{
    for (size_t q = 0; q < queries; q++) {
        float *own = scores + q * keys;
        size_t seen = first + q + 1;
        for (size_t j = 0; prompts && j + 1 < seen; j++)
            if (prompts[j].prompt != prompts[seen - 1].prompt || prompts[j].prompt == 0)
                own[j] = -INFINITY;
        float by = soften(own, seen, keys);
        for (size_t j = 0; j < seen; j++)
            own[j] *= by;
    }
}

/* Queries of one head in tiles, each against the keys up to its last query's own. */
static void attend_tiles(const struct model *m, const float *queries, size_t count, size_t kv_before, struct head kv,
                         const struct step_row *prompts, float *scores, float *out)
{
    int d = (int)m->head_dim;
    for (size_t at = 0; at < count; at += QUERY_TILE) {
        size_t tile = count - at < QUERY_TILE ? count - at : QUERY_TILE, keys = kv_before + at + tile;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)tile, (int)keys, d, 1 / sqrtf((float)d),
                    queries + at * qkv_width(m), (int)qkv_width(m), kv.keys, (int)kv.stride, 0, scores, (int)keys);
        soften_tile(scores, tile, keys, kv_before + at, prompts);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)tile, d, (int)keys, 1, scores, (int)keys, kv.values,
                    (int)kv.stride, 0, out + at * query_width(m), (int)query_width(m));
    }
}

/* Keys and values out of their blocks, one after another. */
static struct head gather(struct cpu *c, uint32_t layer, const struct paged_span *span, uint32_t kv_head, float *to)
{
    uint32_t d = c->w->model.head_dim, bt = c->limits.block_tokens, keys = span->kv_before + span->count;
    float *values = to + (size_t)keys * d;
    for (uint32_t j = 0; j < keys; j += bt) {
        size_t run = (keys - j < bt ? keys - j : bt) * (size_t)d;
        size_t at = cache_at(c, layer, kv_head, (size_t)span->blocks[j / bt] * bt);
        memcpy(to + (size_t)j * d, c->keys + at, run * sizeof *to);
        memcpy(values + (size_t)j * d, c->values + at, run * sizeof *to);
    }
    return (struct head){to, values, d};
}

static void prefill_part(void *state, size_t part, size_t worker)
{
    const struct attention_work *w = state;
    struct cpu *c = w->c;
    const struct model *m = &c->w->model;
    const struct paged_span *span = &w->step->spans[w->first + part / m->heads];
    uint32_t h = (uint32_t)(part % m->heads), kv_head = h / (m->heads / m->kv_heads), d = m->head_dim;
    float *scratch = c->scratch + worker * c->scratch_floats;
    struct head kv = gather(c, w->layer, span, kv_head, scratch);
    attend_tiles(m, c->qkv + span->first * (size_t)qkv_width(m) + h * d, span->count, span->kv_before, kv, NULL,
                 scratch + 2 * (size_t)d * c->limits.max_tokens,
                 c->attended + span->first * (size_t)query_width(m) + h * d);
}

static void paged(struct cpu *c, uint32_t layer, const struct step *s, size_t first, size_t last)
{
    struct attention_work w = {c, s, layer, first};
    bool decode = s->spans[first].decode;
    size_t heads = decode ? c->w->model.kv_heads : c->w->model.heads;
    workers_run(c->workers, (last - first) * heads, decode ? decode_part : prefill_part, &w);
}

static void square_part(void *state, size_t part, size_t worker)
{
    const struct attention_work *w = state;
    struct cpu *c = w->c;
    const struct model *m = &c->w->model;
    const struct square_span *square = &w->step->squares[part / m->heads];
    uint32_t h = (uint32_t)(part % m->heads), kv_head = m->heads + h / (m->heads / m->kv_heads), d = m->head_dim;
    const float *qkv = c->qkv + square->first * (size_t)qkv_width(m);
    struct head kv = {qkv + kv_head * d, qkv + (kv_head + m->kv_heads) * d, qkv_width(m)};
    attend_tiles(m, qkv + h * d, square->count, 0, kv, w->step->rows + square->first,
                 c->scratch + worker * c->scratch_floats, c->attended + square->first * (size_t)query_width(m) + h * d);
}

static void squares(struct cpu *c, const struct step *s)
{
    struct attention_work w = {.c = c, .step = s};
    workers_run(c->workers, s->square_count * c->w->model.heads, square_part, &w);
}

static void start(void)
{
    openblas_set_num_threads(1); /* each thread of ours calls it for itself */
}

const struct cpu_kernels cpu_fast_kernels = {.start = start,
                                             .gemm = gemm,
                                             .norm = norm,
                                             .rotary = rotary,
                                             .paged = paged,
                                             .squares = squares,
                                             .activation = activation};
