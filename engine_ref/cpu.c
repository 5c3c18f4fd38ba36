/* SPDX-License-Identifier: MIT */
#include "engine_ref/cpu.h"
#include "engine_ref/pages.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void destroy(void *state)
{
    struct cpu *c = state;
    if (!c)
        return;
    workers_destroy(c->workers);
    float *const buffers[] = {c->keys, c->values,   c->cosines, c->sines, c->x,      c->normed,
                              c->qkv,  c->attended, c->gate_up, c->act,   c->logits, c->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free(buffers[i]);
    free(c);
}

static bool make(float **buffer, size_t floats)
{
    *buffer = pages_create(floats);
    return *buffer != NULL;
}

/* Angles of rotary positions: position · base^(−2i / head_dim). */
static void fill_angles(struct cpu *c)
{
    uint32_t half = c->w->model.head_dim / 2;
    for (uint32_t p = 0; p < c->limits.max_tokens; p++)
        for (uint32_t i = 0; i < half; i++) {
            double angle = p * pow((double)ROTARY_BASE, -(double)i / half);
            c->cosines[(size_t)p * half + i] = (float)cos(angle);
            c->sines[(size_t)p * half + i] = (float)sin(angle);
        }
}

static bool make_buffers(struct cpu *c)
{
    const struct model *m = &c->w->model;
    size_t rows = c->limits.rows, slots = c->limits.blocks * c->limits.block_tokens;
    size_t cache = (size_t)(c->w->one_layer ? 1 : m->layers) * kv_width(m) * slots,
           angles = (size_t)c->limits.max_tokens * m->head_dim / 2;
    c->scratch_floats = (size_t)c->limits.max_tokens * (2 * m->head_dim + QUERY_TILE + m->heads / m->kv_heads);
    return make(&c->keys, cache) && make(&c->values, cache) && make(&c->cosines, angles) && make(&c->sines, angles) &&
           make(&c->x, rows * m->hidden) && make(&c->normed, rows * m->hidden) && make(&c->qkv, rows * qkv_width(m)) &&
           make(&c->attended, rows * query_width(m)) && make(&c->gate_up, rows * gate_up_width(m)) &&
           make(&c->act, rows * m->intermediate) && make(&c->logits, c->limits.outputs * m->vocab) &&
           make(&c->scratch, c->limits.threads * c->scratch_floats);
}

static int create(void **state, const struct weights *w, const struct engine_limits *limits, struct profiler *profiler,
                  const struct cpu_kernels *kernels, struct error *err)
{
    struct cpu *c = *state = calloc(1, sizeof *c);
    if (!c)
        return error_no_memory(err);
    *c = (struct cpu){.w = w, .limits = *limits, .kernels = kernels, .profiler = profiler};
    if (!make_buffers(c)) {
        destroy(c);
        *state = NULL;
        return error_no_memory(err);
    }
    fill_angles(c);
    if (kernels->start)
        kernels->start();
    if (workers_create(&c->workers, limits->threads, err)) {
        destroy(c);
        *state = NULL;
        return -1;
    }
    return 0;
}

static int create_reference(void **state, const struct weights *w, const struct engine_limits *limits,
                            struct profiler *profiler, struct error *err)
{
    return create(state, w, limits, profiler, &cpu_reference_kernels, err);
}

static int create_fast(void **state, const struct weights *w, const struct engine_limits *limits,
                       struct profiler *profiler, struct error *err)
{
    return create(state, w, limits, profiler, &cpu_fast_kernels, err);
}

#define MEASURED(op, ...)                                                                                              \
    do {                                                                                                               \
        profiler_open(c->profiler);                                                                                    \
        __VA_ARGS__;                                                                                                   \
        profiler_close(c->profiler, op);                                                                               \
    } while (0)

static void embed(struct cpu *c, const struct step *s)
{
    size_t hidden = c->w->model.hidden;
    for (size_t i = 0; i < s->row_count; i++)
        memcpy(c->x + i * hidden, c->w->embedding + s->rows[i].token * hidden, hidden * sizeof *c->x);
}

/* Queries and keys by head (Qwen3). */
static void norm_heads(struct cpu *c, const struct layer_weights *l, size_t rows)
{
    const struct model *m = &c->w->model;
    for (uint32_t h = 0; h < m->heads + m->kv_heads; h++) {
        float *at = c->qkv + (size_t)h * m->head_dim;
        c->kernels->norm(c, at, at, h < m->heads ? l->query_norm : l->key_norm, rows, m->head_dim, qkv_width(m));
    }
}

static void attend(struct cpu *c, uint32_t layer, const struct step *s)
{
    size_t decodes = 0;
    while (decodes < s->span_count && s->spans[decodes].decode)
        decodes++;
    if (decodes > 0)
        MEASURED(OP_DECODE_ATTENTION, c->kernels->paged(c, layer, s, 0, decodes));
    if (s->span_count > decodes)
        MEASURED(OP_PREFILL_ATTENTION, c->kernels->paged(c, layer, s, decodes, s->span_count));
    if (s->square_count > 0)
        MEASURED(OP_PREFILL_ATTENTION, c->kernels->squares(c, s));
}

static void run_layer(struct cpu *c, uint32_t layer, const struct step *s)
{
    const struct model *m = &c->w->model;
    const struct layer_weights *l = &c->w->layers[layer];
    const struct cpu_kernels *k = c->kernels;
    size_t rows = s->row_count, hidden = m->hidden;
    MEASURED(OP_NORM, k->norm(c, c->normed, c->x, l->attention_norm, rows, hidden, hidden));
    MEASURED(OP_QKV_PROJ, k->gemm(c, c->qkv, c->normed, l->qkv, rows, qkv_width(m), hidden, false));
    if (m->qk_norm)
        MEASURED(OP_QK_NORM, norm_heads(c, l, rows));
    MEASURED(OP_ROTARY_EMB, k->rotary(c, layer, s));
    attend(c, layer, s);
    MEASURED(OP_O_PROJ, k->gemm(c, c->x, c->attended, l->o, rows, hidden, query_width(m), true));
    MEASURED(OP_NORM, k->norm(c, c->normed, c->x, l->mlp_norm, rows, hidden, hidden));
    MEASURED(OP_GATE_UP_PROJ, k->gemm(c, c->gate_up, c->normed, l->gate_up, rows, gate_up_width(m), hidden, false));
    MEASURED(OP_ACT_FN, k->activation(c, rows));
    MEASURED(OP_DOWN_PROJ, k->gemm(c, c->x, c->act, l->down, rows, hidden, m->intermediate, true));
}

/* Logits of the rows whose token is wanted, which stand in ascending order: moved to the front first. */
static void compute_logits(struct cpu *c, const struct step *s)
{
    size_t hidden = c->w->model.hidden;
    for (size_t i = 0; i < s->output_count; i++)
        memmove(c->normed + i * hidden, c->normed + s->outputs[i].row * hidden, hidden * sizeof *c->normed);
    c->kernels->gemm(c, c->logits, c->normed, c->w->head, s->output_count, c->w->model.vocab, hidden, false);
}

static void sample(struct cpu *c, const struct step *s, uint32_t *next_tokens)
{
    uint32_t vocab = c->w->model.vocab;
    for (size_t i = 0; i < s->output_count; i++)
        next_tokens[i] = sample_token(c->logits + i * vocab, vocab, c->limits.temperature, s->outputs[i].draw);
}

static int run(void *state, const struct step *s, uint32_t *next_tokens, struct error *err)
{
    struct cpu *c = state;
    const struct model *m = &c->w->model;
    if (s->row_count > c->limits.rows || s->output_count > c->limits.outputs)
        return error_set(err, ERROR_RUN,
                         "a step of %zu rows and %zu outputs, the engine has room for %zu and %zu; see --rows",
                         s->row_count, s->output_count, c->limits.rows, c->limits.outputs);
    MEASURED(OP_EMBEDDING, embed(c, s));
    for (uint32_t i = 0; i < m->layers; i++)
        run_layer(c, i, s);
    MEASURED(OP_FINAL_NORM, c->kernels->norm(c, c->normed, c->x, c->w->final_norm, s->row_count, m->hidden, m->hidden));
    c->output_count = s->output_count;
    if (s->output_count == 0)
        return 0;
    MEASURED(OP_LM_HEAD, compute_logits(c, s));
    MEASURED(OP_SAMPLER, sample(c, s, next_tokens));
    return 0;
}

static int logits(void *state, float *out, struct error *err)
{
    (void)err;
    const struct cpu *c = state;
    memcpy(out, c->logits, c->output_count * c->w->model.vocab * sizeof *out);
    return 0;
}

/* Runs of a block's keys, or values, of one head: [block_tokens][head_dim] floats. */
static void copy_block(const struct cpu *c, uint32_t block, float *out, const float *in)
{
    const struct model *m = &c->w->model;
    size_t run = (size_t)c->limits.block_tokens * m->head_dim;
    for (int values = 0; values < 2; values++)
        for (uint32_t layer = 0; layer < (c->w->one_layer ? 1 : m->layers); layer++)
            for (uint32_t h = 0; h < m->kv_heads; h++) {
                float *cache =
                    (values ? c->values : c->keys) + cache_at(c, layer, h, (size_t)block * c->limits.block_tokens);
                if (out) {
                    memcpy(out, cache, run * sizeof *out);
                    out += run;
                } else {
                    memcpy(cache, in, run * sizeof *in);
                    in += run;
                }
            }
}

static int read_block(void *state, uint32_t block, float *out, struct error *err)
{
    (void)err;
    copy_block(state, block, out, NULL);
    return 0;
}

static int write_block(void *state, uint32_t block, const float *in, struct error *err)
{
    (void)err;
    copy_block(state, block, NULL, in);
    return 0;
}

struct copy {
    float *to;
    const float *from;
    size_t floats, parts;
};

static void copy_part(void *state, size_t part, size_t worker)
{
    const struct copy *k = state;
    size_t first = k->floats * part / k->parts, last = k->floats * (part + 1) / k->parts;
    (void)worker;
    memcpy(k->to + first, k->from + first, (last - first) * sizeof *k->to);
}

/* "model name" and "cpu MHz" of the first processor, and OpenBLAS's kernels. */
static void name_hardware(char *out, size_t size)
{
    char line[256], model[100] = "unknown CPU", clock[20] = "?";
    FILE *in = fopen("/proc/cpuinfo", "r");
    while (in && fgets(line, sizeof line, in) && line[0] != '\n') {
        sscanf(line, "model name : %99[^\n]", model);
        sscanf(line, "cpu MHz : %19[0-9.]", clock);
    }
    if (in)
        fclose(in);
    snprintf(out, size, "%s at %s MHz, OpenBLAS %s", model, clock, openblas_get_corename());
}

enum { PEAK_SIDE = 1536, PEAK_TRIES = 5, PEAK_FLOATS = 1 << 24 };

static int measure_hardware(void *state, struct hardware *out, struct error *err)
{
    struct cpu *c = state;
    float *a = NULL, *b = NULL;
    size_t n = PEAK_SIDE;
    *out = (struct hardware){.memory_bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE)};
    name_hardware(out->name, sizeof out->name);
    if (!make(&a, PEAK_FLOATS) || !make(&b, PEAK_FLOATS)) {
        free(a);
        free(b);
        return error_no_memory(err);
    }
    struct copy k = {b, a, PEAK_FLOATS, workers_count(c->workers)};
    for (int i = 0; i < PEAK_TRIES; i++) {
        int64_t start = clock_ns();
        c->kernels->gemm(c, b, a, a + n * n, n, n, n, false);
        int64_t multiplied = clock_ns();
        workers_run(c->workers, k.parts, copy_part, &k);
        int64_t copied = clock_ns();
        out->flops_per_s = fmax(out->flops_per_s, 2e9 * (double)(n * n * n) / (double)(multiplied - start));
        out->bytes_per_s = fmax(out->bytes_per_s, 2e9 * (double)(k.floats * sizeof *a) / (double)(copied - multiplied));
    }
    free(a);
    free(b);
    return 0;
}

const struct backend cpu_reference_backend = {.name = "cpu-reference",
                                              .summary = "plain loops in 32-bit floats, to check others against",
                                              .profiled_tokens = 1024,
                                              .on_caller = true,
                                              .create = create_reference,
                                              .destroy = destroy,
                                              .run = run,
                                              .logits = logits,
                                              .measure_hardware = measure_hardware,
                                              .read_block = read_block,
                                              .write_block = write_block};

const struct backend cpu_backend = {.name = "cpu",
                                    .summary = "OpenBLAS and own kernels on threads, in 32-bit floats",
                                    .profiled_tokens = 1024,
                                    .on_caller = true,
                                    .create = create_fast,
                                    .destroy = destroy,
                                    .run = run,
                                    .logits = logits,
                                    .measure_hardware = measure_hardware,
                                    .read_block = read_block,
                                    .write_block = write_block};
