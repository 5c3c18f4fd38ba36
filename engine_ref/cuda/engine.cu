/* SPDX-License-Identifier: MIT */
/* The engine on an NVIDIA GPU. Products are cuBLAS's; all else are kernels.cuh's. Every buffer is made when an instance
 * is; a step copies its description and launches. Steps of decodes alone are captured as CUDA graphs, one for
 * each of a few batch sizes, and padded to the next of these. */
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_ref/cuda/kernels.cuh"

namespace {

enum { GRAPHS = 9 /* sizes 1, 2, 4 … 256 */, ANY_BLOCKS = 1024 /* of kernels that take any grid */ };

/* Where the parts of a step's description are, as offsets in 32-bit words: the same on host and device. */
struct layout {
    size_t rows, spans, tables, tiles, square_tiles, squares, outputs, draws, words;
};

struct layer {
    bf16 *attention_norm, *qkv, *query_norm, *key_norm, *o, *mlp_norm, *gate_up, *down;
};

struct engine {
    struct model m;
    struct engine_limits limits;
    struct profiler *profiler;
    cudaStream_t stream;
    cublasHandle_t blas;
    void *workspace;
    bf16 *weights;
    struct layer *layers;
    bf16 *embedding, *final_norm, *head;
    bf16 *keys, *values; /* [layers][kv_heads][slots][head_dim] */
    float *cosines, *sines;
    bf16 *x, *normed, *qkv, *attended, *gate_up, *act, *gathered;
    float *logits;
    float *partial; /* [sequences][heads][SPLITS][head_dim + 2] */
    uint32_t *next, *next_host;
    uint32_t *description, *description_host;
    struct layout at;
    size_t decode_most; /* sequences that partial has room for */
    size_t output_count;
    cudaGraphExec_t graphs[GRAPHS];
    bool tracing, one_layer;
};

int check(cudaError_t status, const char *what, struct error *err)
{
    return status == cudaSuccess ? 0 : error_set(err, ERROR_RUN, "CUDA: %s: %s", what, cudaGetErrorString(status));
}

int check(cublasStatus_t status, const char *what, struct error *err)
{
    return status == CUBLAS_STATUS_SUCCESS ? 0
                                           : error_set(err, ERROR_RUN, "cuBLAS: %s: %s", what, cublasGetStatusString(status));
}

template <typename T> bool make(T **buffer, size_t count, struct error *err)
{
    return check(cudaMalloc((void **)buffer, (count > 0 ? count : 1) * sizeof(T)), "allocating", err) == 0;
}

/* ---- a step ---- */

size_t slots_of(const struct engine *e)
{
    return e->limits.blocks * e->limits.block_tokens;
}

/* Products of layers run on whole tiles of rows, so that there are few shapes of them: a library that meets one first
 * chooses its kernel then, which takes a millisecond. Rows beyond the step's hold what was there. */
size_t product_rows(size_t rows)
{
    size_t tile = rows <= 64 ? 16 : rows <= 4096 ? 64 : 256;
    return (rows + tile - 1) / tile * tile;
}

/* y[rows][outputs] = x[rows][inputs] · w[outputs][inputs]ᵀ (+ y): in cuBLAS's column-major order wᵀ comes first. */
int gemm(struct engine *e, void *y, cudaDataType type, const bf16 *x, const bf16 *w, size_t rows, size_t outputs,
         size_t inputs, bool add, struct error *err)
{
    const float one = 1, beta = add ? 1 : 0;
    return check(cublasGemmEx(e->blas, CUBLAS_OP_T, CUBLAS_OP_N, (int)outputs, (int)rows, (int)inputs, &one, w, CUDA_R_16BF,
                              (int)inputs, x, CUDA_R_16BF, (int)inputs, &beta, y, type, (int)outputs, CUBLAS_COMPUTE_32F,
                              CUBLAS_GEMM_DEFAULT),
                 "product", err);
}

struct counts {
    size_t rows, decodes, tiles, square_tiles, outputs, table_words;
};

void range(struct engine *e, enum operation_name op)
{
    if (e->tracing)
        trace_open(op);
}

void end_range(struct engine *e)
{
    if (e->tracing)
        trace_close();
}

void attend(struct engine *e, uint32_t layer, const struct counts *n)
{
    const struct model *m = &e->m;
    const uint32_t *d = e->description;
    const device_span *spans = (const device_span *)(d + e->at.spans);
    size_t cache = (size_t)(e->one_layer ? 0 : layer) * m->kv_heads * slots_of(e) * m->head_dim;
    const bf16 *keys = e->keys + cache, *values = e->values + cache;
    if (n->decodes > 0) {
        range(e, OP_DECODE_ATTENTION);
        decode_share<<<dim3((unsigned)n->decodes, m->kv_heads, SPLITS), THREADS, 0, e->stream>>>(
            e->partial, e->qkv, keys, values, spans, d + e->at.tables, m->heads, m->kv_heads, m->head_dim, slots_of(e),
            e->limits.block_tokens);
        decode_join<<<dim3((unsigned)n->decodes, m->heads), 64, 0, e->stream>>>(e->attended, e->partial, spans, m->heads,
                                                                                m->head_dim);
        end_range(e);
    }
    if (n->tiles + n->square_tiles == 0)
        return;
    range(e, OP_PREFILL_ATTENTION);
    if (n->tiles > 0)
        prefill<true><<<dim3((unsigned)n->tiles, m->heads), THREADS, prefill_bytes(m->head_dim), e->stream>>>(
            e->attended, e->qkv, keys, values, (const tile *)(d + e->at.tiles), spans, d + e->at.tables,
            (const uint4 *)(d + e->at.rows), m->heads, m->kv_heads, m->head_dim, slots_of(e), e->limits.block_tokens);
    if (n->square_tiles > 0)
        prefill<false><<<dim3((unsigned)n->square_tiles, m->heads), THREADS, prefill_bytes(m->head_dim), e->stream>>>(
            e->attended, e->qkv, keys, values, (const tile *)(d + e->at.square_tiles),
            (const device_span *)(d + e->at.squares), d + e->at.tables, (const uint4 *)(d + e->at.rows), m->heads,
            m->kv_heads, m->head_dim, slots_of(e), e->limits.block_tokens);
    end_range(e);
}

/* The four products of a layer, by themselves: with x as their input, whatever is there. */
int warm_products(struct engine *e, size_t rows, struct error *err)
{
    const struct model *m = &e->m;
    const struct layer *l = &e->layers[0];
    return gemm(e, e->qkv, CUDA_R_16BF, e->normed, l->qkv, rows, qkv_width(m), m->hidden, false, err) ||
                   gemm(e, e->x, CUDA_R_16BF, e->attended, l->o, rows, m->hidden, query_width(m), true, err) ||
                   gemm(e, e->gate_up, CUDA_R_16BF, e->normed, l->gate_up, rows, gate_up_width(m), m->hidden, false, err) ||
                   gemm(e, e->x, CUDA_R_16BF, e->act, l->down, rows, m->hidden, m->intermediate, true, err)
               ? -1
               : 0;
}

int run_layer(struct engine *e, uint32_t i, const struct counts *n, struct error *err)
{
    const struct model *m = &e->m;
    const struct layer *l = &e->layers[i];
    const uint4 *rows = (const uint4 *)(e->description + e->at.rows);
    unsigned count = (unsigned)n->rows;
    size_t whole = product_rows(n->rows);
    size_t cache = (size_t)(e->one_layer ? 0 : i) * m->kv_heads * slots_of(e) * m->head_dim;
    range(e, OP_NORM);
    norm<<<count, THREADS, 0, e->stream>>>(e->normed, e->x, l->attention_norm, m->hidden);
    end_range(e);
    range(e, OP_QKV_PROJ);
    int status = gemm(e, e->qkv, CUDA_R_16BF, e->normed, l->qkv, whole, qkv_width(m), m->hidden, false, err);
    end_range(e);
    if (m->qk_norm) {
        range(e, OP_QK_NORM);
        norm_heads<<<dim3(count, m->heads + m->kv_heads), THREADS, 0, e->stream>>>(e->qkv, l->query_norm, l->key_norm,
                                                                                   m->heads, m->head_dim, qkv_width(m));
        end_range(e);
    }
    range(e, OP_ROTARY_EMB);
    rotary<<<dim3(count, m->heads + 2 * m->kv_heads), 32, 0, e->stream>>>(e->qkv, e->keys + cache, e->values + cache,
                                                                         e->cosines, e->sines, rows, m->heads, m->kv_heads,
                                                                         m->head_dim, slots_of(e));
    end_range(e);
    attend(e, i, n);
    range(e, OP_O_PROJ);
    status = status || gemm(e, e->x, CUDA_R_16BF, e->attended, l->o, whole, m->hidden, query_width(m), true, err);
    end_range(e);
    range(e, OP_NORM);
    norm<<<count, THREADS, 0, e->stream>>>(e->normed, e->x, l->mlp_norm, m->hidden);
    end_range(e);
    range(e, OP_GATE_UP_PROJ);
    status = status || gemm(e, e->gate_up, CUDA_R_16BF, e->normed, l->gate_up, whole, gate_up_width(m), m->hidden, false, err);
    end_range(e);
    range(e, OP_ACT_FN);
    activation<<<dim3(count, (m->intermediate + 4 * THREADS - 1) / (4 * THREADS)), THREADS, 0, e->stream>>>(
        e->act, e->gate_up, m->intermediate, m->gated_mlp);
    end_range(e);
    range(e, OP_DOWN_PROJ);
    status = status || gemm(e, e->x, CUDA_R_16BF, e->act, l->down, whole, m->hidden, m->intermediate, true, err);
    end_range(e);
    return status ? -1 : 0;
}

/* Everything from the description on the device to next tokens on the device. */
int launch(struct engine *e, const struct counts *n, struct error *err)
{
    const struct model *m = &e->m;
    const uint32_t *d = e->description;
    unsigned rows = (unsigned)n->rows, outputs = (unsigned)n->outputs;
    range(e, OP_EMBEDDING);
    embed<<<rows, THREADS, 0, e->stream>>>(e->x, e->embedding, (const uint4 *)(d + e->at.rows), m->hidden);
    end_range(e);
    for (uint32_t i = 0; i < m->layers; i++)
        if (run_layer(e, i, n, err))
            return -1;
    range(e, OP_FINAL_NORM);
    norm<<<rows, THREADS, 0, e->stream>>>(e->normed, e->x, e->final_norm, m->hidden);
    end_range(e);
    if (outputs == 0)
        return check(cudaGetLastError(), "launching", err);
    range(e, OP_LM_HEAD);
    gather<<<outputs, THREADS, 0, e->stream>>>(e->gathered, e->normed, d + e->at.outputs, m->hidden);
    int status = gemm(e, e->logits, CUDA_R_32F, e->gathered, e->head, outputs, m->vocab, m->hidden, false, err);
    end_range(e);
    range(e, OP_SAMPLER);
    sample<<<outputs, SAMPLE_THREADS, 0, e->stream>>>(e->next, e->logits, (const uint64_t *)(d + e->at.draws), m->vocab,
                                               e->limits.temperature);
    end_range(e);
    return status || check(cudaGetLastError(), "launching", err) ? -1 : 0;
}

/* ---- descriptions ---- */

/* Room for the largest step. Tiles: each span and square has at most one that is not full. */
void lay_out(struct engine *e)
{
    const struct engine_limits *l = &e->limits;
    size_t tiles = 2 * (l->rows / QUERY_ROWS + l->outputs + 1), at = 0;
    struct layout *a = &e->at;
    a->rows = at;
    at += l->rows * 4;
    a->draws = at;
    at += l->outputs * 2;
    a->spans = at;
    at += (l->outputs + l->rows) * (sizeof(device_span) / 4); /* in packed blocks every prompt is a span */
    a->squares = at;
    at += l->rows * (sizeof(device_span) / 4);
    a->tiles = at;
    at += tiles * 2 + l->rows * 2;
    a->square_tiles = at;
    at += tiles * 2 + l->rows * 2;
    a->outputs = at;
    at += l->outputs;
    a->tables = at;
    at += l->blocks + (l->outputs + l->rows) + l->outputs * (l->max_tokens / l->block_tokens + 1);
    a->words = at;
}

size_t add_tiles(uint32_t *to, size_t tiles, uint32_t span, uint32_t count)
{
    for (uint32_t q = 0; q < count; q += QUERY_ROWS, tiles++) {
        to[2 * tiles] = span;
        to[2 * tiles + 1] = q;
    }
    return tiles;
}

/* Writes the step down for the device, its decodes padded to `padded` where that is more. */
struct counts describe(struct engine *e, const struct step *s, size_t padded)
{
    uint32_t *h = e->description_host;
    const struct layout *a = &e->at;
    struct counts n = {s->row_count, 0, 0, 0, s->output_count, 0};
    memcpy(h + a->rows, s->rows, s->row_count * sizeof *s->rows);
    size_t table = 0;
    for (size_t i = 0; i < s->span_count; i++) {
        const struct paged_span *p = &s->spans[i];
        device_span d = {p->first, p->count, p->kv_before, p->kv_read, (uint32_t)table};
        memcpy(h + a->spans + i * (sizeof d / 4), &d, sizeof d);
        size_t blocks = ((size_t)p->kv_before + p->count + e->limits.block_tokens - 1) / e->limits.block_tokens;
        memcpy(h + a->tables + table, p->blocks, blocks * sizeof *h);
        table += blocks;
        if (p->decode)
            n.decodes++;
        else
            n.tiles = add_tiles(h + a->tiles, n.tiles, (uint32_t)i, p->count);
    }
    n.table_words = table;
    for (size_t i = 0; i < s->square_count; i++) {
        device_span d = {s->squares[i].first, s->squares[i].count, 0, s->squares[i].count, 0};
        memcpy(h + a->squares + i * (sizeof d / 4), &d, sizeof d);
        n.square_tiles = add_tiles(h + a->square_tiles, n.square_tiles, (uint32_t)i, s->squares[i].count);
    }
    for (size_t i = 0; i < s->output_count; i++) {
        h[a->outputs + i] = s->outputs[i].row;
        memcpy(h + a->draws + 2 * i, &s->outputs[i].draw, 8);
    }
    for (; n.rows < padded; n.rows++) { /* rows without keys */
        const uint32_t row[4] = {0, 0, NO_SLOT, 0};
        device_span d = {(uint32_t)n.rows, 1, 0, 0, 0};
        memcpy(h + a->rows + 4 * n.rows, row, sizeof row);
        memcpy(h + a->spans + n.rows * (sizeof d / 4), &d, sizeof d);
        n.decodes = n.rows + 1;
    }
    for (; n.outputs < padded; n.outputs++) { /* tokens that nobody looks at */
        h[a->outputs + n.outputs] = (uint32_t)n.outputs;
        memset(h + a->draws + 2 * n.outputs, 0, 8);
    }
    return n;
}

/* The graph of the smallest size that holds so many decodes; −1: none does. */
int graph_for(const struct engine *e, const struct step *s)
{
    bool decodes = s->square_count == 0 && s->span_count == s->row_count && s->row_count > 0 && s->spans[s->span_count - 1].decode;
    for (int i = 0; decodes && i < GRAPHS; i++)
        if (s->row_count <= (size_t)1 << i && (size_t)1 << i <= e->decode_most)
            return i;
    return -1;
}

int capture(struct engine *e, int which, const struct counts *n, struct error *err)
{
    cudaGraph_t graph;
    if (check(cudaStreamBeginCapture(e->stream, cudaStreamCaptureModeThreadLocal), "capturing", err))
        return -1;
    int status = launch(e, n, err);
    if (check(cudaStreamEndCapture(e->stream, &graph), "capturing", err))
        return -1;
    status = status || check(cudaGraphInstantiate(&e->graphs[which], graph, 0), "making a graph", err);
    cudaGraphDestroy(graph);
    return status;
}

/* One part of the description, as far as the step uses it. */
int copy_part(struct engine *e, size_t from, size_t words, struct error *err)
{
    return words == 0 ? 0
                      : check(cudaMemcpyAsync(e->description + from, e->description_host + from, words * sizeof(uint32_t),
                                              cudaMemcpyHostToDevice, e->stream),
                              "copying a step", err);
}

int copy_description(struct engine *e, const struct step *s, const struct counts *n, struct error *err)
{
    const struct layout *a = &e->at;
    const size_t span = sizeof(device_span) / 4;
    size_t spans = n->decodes > s->span_count ? n->decodes : s->span_count;
    return copy_part(e, a->rows, 4 * n->rows, err) || copy_part(e, a->draws, 2 * n->outputs, err) ||
                   copy_part(e, a->spans, span * spans, err) || copy_part(e, a->squares, span * s->square_count, err) ||
                   copy_part(e, a->tiles, 2 * n->tiles, err) ||
                   copy_part(e, a->square_tiles, 2 * n->square_tiles, err) ||
                   copy_part(e, a->outputs, n->outputs, err) || copy_part(e, a->tables, n->table_words, err)
               ? -1
               : 0;
}

int copy_and_launch(struct engine *e, const struct step *s, struct error *err)
{
    int which = e->tracing ? -1 : graph_for(e, s);
    struct counts n = describe(e, s, which >= 0 ? (size_t)1 << which : 0);
    if (copy_description(e, s, &n, err))
        return -1;
    if (which >= 0 && e->graphs[which])
        return check(cudaGraphLaunch(e->graphs[which], e->stream), "launching a graph", err);
    return launch(e, &n, err);
}

/* Graphs of all sizes, a prompt, and layers' products of all shapes: libraries choose kernels and load them when they are used
 * first. Steps without keys, whose tokens nobody looks at. */
int warm_up(struct engine *e, struct error *err)
{
    const uint32_t block = 0;
    struct step_row row = {0, 0, NO_SLOT, 0};
    struct step_output output = {};
    struct paged_span span = {0, 1, 0, 0, &block, true};
    struct square_span square = {0, 1};
    struct step decode = {}, prompt = {};
    decode.rows = prompt.rows = &row;
    decode.outputs = prompt.outputs = &output;
    decode.spans = &span;
    prompt.squares = &square;
    decode.row_count = decode.span_count = decode.output_count = 1;
    prompt.row_count = prompt.square_count = prompt.output_count = 1;
    struct counts n = describe(e, &prompt, 0);
    int status = copy_description(e, &prompt, &n, err) || launch(e, &n, err) ||
                 check(cudaStreamSynchronize(e->stream), "warming up", err);
    for (int i = 0; status == 0 && i < GRAPHS && (size_t)1 << i <= e->decode_most; i++) {
        n = describe(e, &decode, (size_t)1 << i);
        status = copy_description(e, &decode, &n, err) || launch(e, &n, err) || capture(e, i, &n, err) ||
                 check(cudaStreamSynchronize(e->stream), "warming up", err);
    }
    for (size_t rows = 1; status == 0 && rows <= e->limits.rows; rows = product_rows(rows) + 1)
        status = warm_products(e, product_rows(rows), err);
    return status || check(cudaStreamSynchronize(e->stream), "warming up", err) ? -1 : 0;
}

/* ---- an instance ---- */

/* A matrix as bf16 at *at, which moves past it; `staging` is on the device and has room for it. */
bf16 *put(const struct engine *e, const float *from, size_t count, bf16 **at, float *staging)
{
    bf16 *to = *at;
    if (!from || cudaMemcpy(staging, from, count * sizeof *from, cudaMemcpyHostToDevice) != cudaSuccess)
        return NULL;
    narrow<<<ANY_BLOCKS, THREADS, 0, e->stream>>>(to, staging, count);
    *at += (count + 7) / 8 * 8; /* rows stay aligned to 16 bytes */
    return to;
}

int copy_weights(struct engine *e, const struct weights *w, struct error *err)
{
    const struct model *m = &e->m;
    size_t hidden = m->hidden, widest = m->vocab;
    const uint32_t others[] = {qkv_width(m), query_width(m), gate_up_width(m), m->intermediate, m->head_dim};
    for (uint32_t width : others)
        widest = width > widest ? width : widest;
    float *staging = NULL; /* the largest matrix */
    e->layers = (struct layer *)calloc(m->layers, sizeof *e->layers);
    if (!e->layers)
        return error_no_memory(err);
    if (!make(&e->weights, w->count + 8 * (8 * (size_t)m->layers + 3), err) || !make(&staging, hidden * widest, err))
        return -1;
    bf16 *at = e->weights;
    for (uint32_t i = 0; i < m->layers; i++) {
        const struct layer_weights *from = &w->layers[i];
        struct layer *l = &e->layers[i];
        if (w->one_layer && i > 0) {
            *l = e->layers[0];
            continue;
        }
        l->attention_norm = put(e, from->attention_norm, hidden, &at, staging);
        l->qkv = put(e, from->qkv, hidden * qkv_width(m), &at, staging);
        l->query_norm = put(e, from->query_norm, m->head_dim, &at, staging);
        l->key_norm = put(e, from->key_norm, m->head_dim, &at, staging);
        l->o = put(e, from->o, hidden * query_width(m), &at, staging);
        l->mlp_norm = put(e, from->mlp_norm, hidden, &at, staging);
        l->gate_up = put(e, from->gate_up, hidden * gate_up_width(m), &at, staging);
        l->down = put(e, from->down, hidden * m->intermediate, &at, staging);
    }
    e->embedding = put(e, w->embedding, hidden * m->vocab, &at, staging);
    e->final_norm = put(e, w->final_norm, hidden, &at, staging);
    e->head = m->tied_head ? e->embedding : put(e, w->head, hidden * m->vocab, &at, staging);
    int status = check(cudaGetLastError(), "copying weights", err) || check(cudaDeviceSynchronize(), "copying weights", err);
    cudaFree(staging);
    return status;
}

int copy_angles(struct engine *e, struct error *err)
{
    uint32_t half = e->m.head_dim / 2;
    size_t count = (size_t)e->limits.max_tokens * half;
    float *cosines = (float *)malloc(count * sizeof *cosines), *sines = (float *)malloc(count * sizeof *sines);
    int status = cosines && sines && make(&e->cosines, count, err) && make(&e->sines, count, err) ? 0 : -1;
    for (size_t i = 0; status == 0 && i < count; i++) {
        double angle = (double)(i / half) * pow((double)ROTARY_BASE, -(double)(i % half) / half);
        cosines[i] = (float)cos(angle);
        sines[i] = (float)sin(angle);
    }
    if (status == 0)
        status = check(cudaMemcpy(e->cosines, cosines, count * sizeof *cosines, cudaMemcpyHostToDevice), "copying angles", err) ||
                         check(cudaMemcpy(e->sines, sines, count * sizeof *sines, cudaMemcpyHostToDevice), "copying angles", err)
                     ? -1
                     : 0;
    free(cosines);
    free(sines);
    return status;
}

int make_buffers(struct engine *e, struct error *err)
{
    const struct model *m = &e->m;
    size_t rows = product_rows(e->limits.rows), outputs = e->limits.outputs, cache = (size_t)(e->one_layer ? 1 : m->layers) * kv_width(m) * slots_of(e);
    enum { WORKSPACE = 32 << 20 };
    e->decode_most = outputs < e->limits.rows ? outputs : e->limits.rows;
    lay_out(e);
    bool made = make(&e->keys, cache, err) && make(&e->values, cache, err) && make(&e->x, rows * m->hidden, err) &&
                make(&e->normed, rows * m->hidden, err) && make(&e->qkv, rows * qkv_width(m), err) &&
                make(&e->attended, rows * query_width(m), err) && make(&e->gate_up, rows * gate_up_width(m), err) &&
                make(&e->act, rows * m->intermediate, err) && make(&e->gathered, outputs * m->hidden, err) &&
                make(&e->logits, outputs * m->vocab, err) &&
                make(&e->partial, e->decode_most * m->heads * SPLITS * (m->head_dim + 2), err) &&
                make(&e->next, outputs, err) && make(&e->description, e->at.words, err) &&
                make((unsigned char **)&e->workspace, WORKSPACE, err);
    if (!made)
        return -1;
    return check(cudaMemset(e->keys, 0, cache * sizeof(bf16)), "clearing", err) ||
                   check(cudaMemset(e->values, 0, cache * sizeof(bf16)), "clearing", err) ||
                   check(cudaMallocHost((void **)&e->next_host, outputs * sizeof(uint32_t)), "allocating", err) ||
                   check(cudaMallocHost((void **)&e->description_host, e->at.words * sizeof(uint32_t)), "allocating", err) ||
                   check(cublasCreate(&e->blas), "starting", err) ||
                   check(cublasSetStream(e->blas, e->stream), "starting", err) ||
                   check(cublasSetWorkspace(e->blas, e->workspace, WORKSPACE), "starting", err) ||
                   check(cudaFuncSetAttribute(prefill<true>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              (int)prefill_bytes(m->head_dim)),
                         "shared memory", err) ||
                   check(cudaFuncSetAttribute(prefill<false>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              (int)prefill_bytes(m->head_dim)),
                         "shared memory", err)
               ? -1
               : 0;
}

} // namespace

extern "C" {

void cuda_destroy(void *state)
{
    struct engine *e = (struct engine *)state;
    if (!e)
        return;
    for (int i = 0; i < GRAPHS; i++)
        if (e->graphs[i])
            cudaGraphExecDestroy(e->graphs[i]);
    if (e->blas)
        cublasDestroy(e->blas);
    void *const buffers[] = {e->weights,  e->keys,     e->values, e->cosines, e->sines,    e->x,     e->normed,  e->qkv,
                             e->attended, e->gate_up,  e->act,    e->gathered, e->logits, e->partial, e->next,
                             e->description, e->workspace};
    for (void *b : buffers)
        cudaFree(b);
    cudaFreeHost(e->next_host);
    cudaFreeHost(e->description_host);
    if (e->stream)
        cudaStreamDestroy(e->stream);
    free(e->layers);
    free(e);
}

int cuda_create(void **state, const struct weights *w, const struct engine_limits *limits, struct profiler *profiler,
                struct error *err)
{
    const struct model *m = &w->model;
    *state = NULL;
    if (m->head_dim % 16 != 0 || m->head_dim > DIM_MOST || m->heads / m->kv_heads > GROUP_MOST || m->hidden % 8 != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: the CUDA backend has head_dim up to %d by 16, up to %d query heads to a KV head, hidden by 8",
                         m->name, DIM_MOST, GROUP_MOST);
    struct engine *e = (struct engine *)calloc(1, sizeof *e);
    if (!e)
        return error_no_memory(err);
    e->m = *m;
    e->one_layer = w->one_layer;
    e->limits = *limits;
    e->profiler = profiler;
    if (check(cudaStreamCreate(&e->stream), "starting", err) || copy_weights(e, w, err) || copy_angles(e, err) ||
        make_buffers(e, err) || warm_up(e, err)) {
        cuda_destroy(e);
        return -1;
    }
    *state = e;
    return 0;
}

int cuda_run(void *state, const struct step *s, uint32_t *next_tokens, struct error *err)
{
    struct engine *e = (struct engine *)state;
    if (s->row_count > e->limits.rows || s->output_count > e->limits.outputs)
        return error_set(err, ERROR_RUN, "a step of %zu rows and %zu outputs, the engine has room for %zu and %zu; see --rows",
                         s->row_count, s->output_count, e->limits.rows, e->limits.outputs);
    e->tracing = e->profiler->on;
    if (e->tracing && trace_start(err))
        return -1;
    int status = copy_and_launch(e, s, err);
    if (status == 0 && s->output_count > 0)
        status = check(cudaMemcpyAsync(e->next_host, e->next, s->output_count * sizeof(uint32_t), cudaMemcpyDeviceToHost,
                                       e->stream),
                       "copying tokens", err);
    if (check(cudaStreamSynchronize(e->stream), "running a step", err) || status)
        return -1;
    if (e->tracing && trace_stop(e->profiler, err))
        return -1;
    memcpy(next_tokens, e->next_host, s->output_count * sizeof *next_tokens);
    e->output_count = s->output_count;
    return 0;
}

int cuda_logits(void *state, float *out, struct error *err)
{
    struct engine *e = (struct engine *)state;
    return check(cudaMemcpy(out, e->logits, e->output_count * e->m.vocab * sizeof *out, cudaMemcpyDeviceToHost),
                 "copying logits", err);
}

int cuda_measure_hardware(void *state, struct hardware *out, struct error *err)
{
    struct engine *e = (struct engine *)state;
    enum { SIDE = 8192, TRIES = 10 };
    bf16 *a = NULL, *b = NULL;
    cudaEvent_t begin, middle, end;
    cudaDeviceProp properties;
    size_t count = (size_t)SIDE * SIDE;
    *out = (struct hardware){};
    if (check(cudaGetDeviceProperties(&properties, 0), "looking at the device", err) || !make(&a, 2 * count, err) ||
        !make(&b, 2 * count, err)) {
        cudaFree(a);
        return -1;
    }
    int clock_khz = 0, runtime = 0;
    cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, 0);
    cudaRuntimeGetVersion(&runtime);
    out->memory_bytes = (double)properties.totalGlobalMem;
    snprintf(out->name, sizeof out->name, "%.100s at up to %d MHz, CUDA %d.%d", properties.name, clock_khz / 1000,
             runtime / 1000, runtime % 1000 / 10);
    fill<<<ANY_BLOCKS, THREADS, 0, e->stream>>>(a, 2 * count);
    cudaEventCreate(&begin);
    cudaEventCreate(&middle);
    cudaEventCreate(&end);
    int status = 0;
    for (int i = 0; status == 0 && i < TRIES; i++) {
        float product_ms = 0, copy_ms = 0;
        cudaEventRecord(begin, e->stream);
        status = gemm(e, b, CUDA_R_16BF, a, a + count, SIDE, SIDE, SIDE, false, err);
        cudaEventRecord(middle, e->stream);
        cudaMemcpyAsync(b, a, 2 * count * sizeof *a, cudaMemcpyDeviceToDevice, e->stream);
        cudaEventRecord(end, e->stream);
        status = status || check(cudaEventSynchronize(end), "measuring", err);
        cudaEventElapsedTime(&product_ms, begin, middle);
        cudaEventElapsedTime(&copy_ms, middle, end);
        double flops = 2.0 * SIDE * (double)count / (product_ms * 1e-3);
        double bytes = 2.0 * 2 * (double)count * sizeof *a / (copy_ms * 1e-3);
        out->flops_per_s = flops > out->flops_per_s ? flops : out->flops_per_s;
        out->bytes_per_s = bytes > out->bytes_per_s ? bytes : out->bytes_per_s;
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(middle);
    cudaEventDestroy(end);
    cudaFree(a);
    cudaFree(b);
    return status ? -1 : 0;
}

/* A block's keys, or values, of one layer and head are one run; runs are as far apart as a head's slots. */
static int copy_block(struct engine *e, uint32_t block, float *out, const float *in, struct error *err)
{
    const struct model *m = &e->m;
    size_t run = (size_t)e->limits.block_tokens * m->head_dim, heads = (size_t)(e->one_layer ? 1 : m->layers) * m->kv_heads;
    size_t bytes = run * sizeof(bf16), pitch = slots_of(e) * m->head_dim * sizeof(bf16);
    bf16 *host = (bf16 *)malloc(heads * bytes);
    int status = host ? 0 : error_no_memory(err);
    for (int values = 0; status == 0 && values < 2; values++) {
        bf16 *cache = (values ? e->values : e->keys) + (size_t)block * run;
        for (size_t i = 0; in && i < heads * run; i++)
            host[i] = __float2bfloat16(*in++);
        status = check(in ? cudaMemcpy2D(cache, pitch, host, bytes, bytes, heads, cudaMemcpyHostToDevice)
                          : cudaMemcpy2D(host, bytes, cache, pitch, bytes, heads, cudaMemcpyDeviceToHost),
                       "copying a block", err);
        for (size_t i = 0; !in && i < heads * run; i++)
            *out++ = __bfloat162float(host[i]);
    }
    free(host);
    return status;
}

int cuda_read_block(void *state, uint32_t block, float *out, struct error *err)
{
    return copy_block((struct engine *)state, block, out, NULL, err);
}

int cuda_write_block(void *state, uint32_t block, const float *in, struct error *err)
{
    return copy_block((struct engine *)state, block, NULL, in, err);
}

} // extern "C"
