/* SPDX-License-Identifier: MIT */
/* kernels.cuh — what is no product: kernels of one step. Grids are said at each; blocks are of THREADS threads. */
#ifndef TANDEM_ENGINE_REF_CUDA_KERNELS_CUH
#define TANDEM_ENGINE_REF_CUDA_KERNELS_CUH

#include <cuda_bf16.h>
#include <mma.h>

#include "engine_ref/cuda/cuda.h"

typedef __nv_bfloat16 bf16;

namespace {

enum {
    THREADS = 128,    /* of most blocks; four warps of 16 queries each in a prefill */
    QUERY_ROWS = 64,
    DIM_MOST = 128,   /* of a head; multiples of 16 */
    GROUP_MOST = 8,   /* query heads of a KV head */
    SPLITS = 16,      /* blocks that share one decode's keys */
    KEY_TILE = 32,    /* of a prefill */
    SCORE_STRIDE = KEY_TILE + 4, /* rows in shared memory are this far apart, so that they lie in different banks */
    WEIGHT_STRIDE = KEY_TILE + 8,
    SAMPLE_THREADS = 512,
    DECODE_KEYS = 64  /* of a decode, at once */
};

struct device_span {
    uint32_t first, count, kv_before, kv_read, table; /* table: place of its blocks among all spans' */
};

struct tile {
    uint32_t span, query; /* which span or square, and its first query */
};

__device__ float sum_of_warp(float v)
{
    for (int i = 16; i > 0; i /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, i);
    return v;
}

__device__ float sum_of_block(float v)
{
    __shared__ float parts[THREADS / 32];
    v = sum_of_warp(v);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = v;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < THREADS / 32; i++)
        sum += parts[i];
    return sum;
}

/* Values in [−1, 1) that look random, by any grid: zeros draw less power, and products of them run faster. */
__global__ void fill(bf16 *out, size_t count)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count; i += (size_t)gridDim.x * THREADS) {
        uint32_t v = (uint32_t)i * 2654435761u;
        v = (v ^ (v >> 15)) * 2246822519u;
        out[i] = __float2bfloat16((float)((v ^ (v >> 13)) >> 8) * 0x1p-23f - 1.0f);
    }
}

/* As bf16; any grid. */
__global__ void narrow(bf16 *to, const float *from, size_t count)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count; i += (size_t)gridDim.x * THREADS)
        to[i] = __float2bfloat16(from[i]);
}

/* x[row] = embedding[token]; rows {token, position, slot, prompt}. */
__global__ void embed(bf16 *x, const bf16 *embedding, const uint4 *rows, uint32_t hidden)
{
    size_t row = blockIdx.x, token = rows[row].x;
    for (uint32_t i = threadIdx.x; i < hidden; i += THREADS)
        x[row * hidden + i] = embedding[token * hidden + i];
}

/* Eight values of a row, loaded and stored at once; rows begin at multiples of 16 bytes. */
struct eight {
    float v[8];
};

__device__ eight load_eight(const bf16 *from)
{
    __align__(16) bf16 values[8];
    eight out;
    *(uint4 *)values = *(const uint4 *)from;
    for (int i = 0; i < 8; i++)
        out.v[i] = __bfloat162float(values[i]);
    return out;
}

__device__ void store_eight(bf16 *to, const eight &e)
{
    __align__(16) bf16 values[8];
    for (int i = 0; i < 8; i++)
        values[i] = __float2bfloat16(e.v[i]);
    *(uint4 *)to = *(const uint4 *)values;
}

__global__ void norm(bf16 *y, const bf16 *x, const bf16 *weight, uint32_t width)
{
    size_t row = blockIdx.x;
    float squares = 0;
    for (uint32_t i = 8 * threadIdx.x; i < width; i += 8 * THREADS) {
        eight a = load_eight(x + row * width + i);
        for (int k = 0; k < 8; k++)
            squares += a.v[k] * a.v[k];
    }
    float scale = rsqrtf(sum_of_block(squares) / (float)width + NORM_EPSILON);
    for (uint32_t i = 8 * threadIdx.x; i < width; i += 8 * THREADS) {
        eight a = load_eight(x + row * width + i), w = load_eight(weight + i);
        for (int k = 0; k < 8; k++)
            a.v[k] *= scale * w.v[k];
        store_eight(y + row * width + i, a);
    }
}

/* Queries and keys by head: grid [rows][heads + kv_heads]. */
__global__ void norm_heads(bf16 *qkv, const bf16 *query_norm, const bf16 *key_norm, uint32_t heads, uint32_t dim,
                           uint32_t stride)
{
    bf16 *head = qkv + (size_t)blockIdx.x * stride + blockIdx.y * dim;
    const bf16 *weight = blockIdx.y < heads ? query_norm : key_norm;
    float squares = 0;
    for (uint32_t i = threadIdx.x; i < dim; i += THREADS) {
        float v = __bfloat162float(head[i]);
        squares += v * v;
    }
    float scale = rsqrtf(sum_of_block(squares) / (float)dim + NORM_EPSILON);
    for (uint32_t i = threadIdx.x; i < dim; i += THREADS)
        head[i] = __float2bfloat16(__bfloat162float(head[i]) * scale * __bfloat162float(weight[i]));
}

/* Grid [rows][heads + 2 kv_heads]: rotates queries and keys in place, and puts keys and values into the cache. */
__global__ void rotary(bf16 *qkv, bf16 *keys, bf16 *values, const float *cosines, const float *sines, const uint4 *rows,
                       uint32_t heads, uint32_t kv_heads, uint32_t dim, size_t slots)
{
    uint32_t h = blockIdx.y, half = dim / 2;
    uint4 row = rows[blockIdx.x];
    bf16 *head = qkv + (size_t)blockIdx.x * (heads + 2 * kv_heads) * dim + h * dim;
    bool is_value = h >= heads + kv_heads, is_key = !is_value && h >= heads;
    size_t kv_head = is_value ? h - heads - kv_heads : h - heads;
    for (uint32_t i = threadIdx.x; i < half; i += blockDim.x) {
        float a = __bfloat162float(head[i]), b = __bfloat162float(head[i + half]);
        if (!is_value) {
            float c = cosines[(size_t)row.y * half + i], s = sines[(size_t)row.y * half + i], rotated = a * c - b * s;
            b = b * c + a * s;
            a = rotated;
            head[i] = __float2bfloat16(a);
            head[i + half] = __float2bfloat16(b);
        }
        if ((is_key || is_value) && row.z != NO_SLOT) {
            bf16 *to = (is_key ? keys : values) + (kv_head * slots + row.z) * dim;
            to[i] = __float2bfloat16(a);
            to[i + half] = __float2bfloat16(b);
        }
    }
}

__global__ void activation(bf16 *act, const bf16 *in, uint32_t width, bool gated)
{
    size_t row = blockIdx.x;
    for (uint32_t i = blockIdx.y * THREADS + threadIdx.x; i < width; i += THREADS * gridDim.y) {
        float gate = __bfloat162float(in[row * (gated ? 2 * width : width) + i]);
        float up = gated ? __bfloat162float(in[row * 2 * width + width + i]) : 0;
        act[row * width + i] = __float2bfloat16(gated ? gate / (1 + __expf(-gate)) * up : fmaxf(gate, 0));
    }
}

__device__ size_t key_slot(const uint32_t *tables, const device_span &s, uint32_t key, uint32_t block_tokens)
{
    uint32_t last = s.kv_before + s.count - 1, at = key < last ? key : last;
    return (size_t)tables[s.table + at / block_tokens] * block_tokens + at % block_tokens;
}

/* One decode's queries of one KV head over one of SPLITS shares of its keys: grid [spans][kv_heads][SPLITS]. Writes, for
 * each query head, the sum of weighted values, the largest score and the sum of weights (flash decoding). */
__global__ void decode_share(float *partial, const bf16 *qkv, const bf16 *keys, const bf16 *values,
                             const device_span *spans, const uint32_t *tables, uint32_t heads, uint32_t kv_heads,
                             uint32_t dim, size_t slots, uint32_t block_tokens)
{
    __shared__ float query[GROUP_MOST][DIM_MOST], scores[GROUP_MOST][DECODE_KEYS], most[GROUP_MOST], sum[GROUP_MOST],
        rescale[GROUP_MOST];
    __shared__ __align__(16) bf16 tile[DECODE_KEYS][DIM_MOST + 8];
    const device_span s = spans[blockIdx.x];
    uint32_t kv_head = blockIdx.y, group = heads / kv_heads, seen = s.kv_before + 1;
    uint32_t share = (s.kv_read + SPLITS - 1) / SPLITS, from = blockIdx.z * share;
    uint32_t to = from + share < s.kv_read ? from + share : s.kv_read;
    float out[GROUP_MOST * DIM_MOST / THREADS] = {0};
    for (uint32_t i = threadIdx.x; i < group * dim; i += THREADS)
        query[i / dim][i % dim] = __bfloat162float(
            qkv[(size_t)s.first * (heads + 2 * kv_heads) * dim + (kv_head * group + i / dim) * dim + i % dim]);
    if (threadIdx.x < group) {
        most[threadIdx.x] = -INFINITY;
        sum[threadIdx.x] = 0;
    }
    float scale = rsqrtf((float)dim);
    for (uint32_t base = from; s.kv_read > 0 && base < to; base += DECODE_KEYS) {
        uint32_t n = to - base < DECODE_KEYS ? to - base : DECODE_KEYS;
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < n * (dim / 8); i += THREADS) {
            size_t at = (kv_head * slots + key_slot(tables, s, base + i / (dim / 8), block_tokens)) * dim;
            *(uint4 *)&tile[i / (dim / 8)][i % (dim / 8) * 8] = *(const uint4 *)(keys + at + i % (dim / 8) * 8);
        }
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < n * group; i += THREADS) {
            uint32_t key = i % n, g = i / n;
            float dot = 0;
            for (uint32_t d = 0; d < dim; d++)
                dot += query[g][d] * __bfloat162float(tile[key][d]);
            scores[g][key] = base + key < seen ? dot * scale : -INFINITY;
        }
        __syncthreads();
        if (threadIdx.x < group) {
            float high = most[threadIdx.x];
            for (uint32_t i = 0; i < n; i++)
                high = fmaxf(high, scores[threadIdx.x][i]);
            float total = 0, base_high = high == -INFINITY ? 0 : high;
            for (uint32_t i = 0; i < n; i++)
                total += scores[threadIdx.x][i] = __expf(scores[threadIdx.x][i] - base_high);
            rescale[threadIdx.x] = most[threadIdx.x] == -INFINITY ? 0 : __expf(most[threadIdx.x] - base_high);
            sum[threadIdx.x] = sum[threadIdx.x] * rescale[threadIdx.x] + total;
            most[threadIdx.x] = high;
        }
        for (uint32_t i = threadIdx.x; i < n * (dim / 8); i += THREADS) {
            size_t at = (kv_head * slots + key_slot(tables, s, base + i / (dim / 8), block_tokens)) * dim;
            *(uint4 *)&tile[i / (dim / 8)][i % (dim / 8) * 8] = *(const uint4 *)(values + at + i % (dim / 8) * 8);
        }
        __syncthreads();
        for (uint32_t k = 0, i = threadIdx.x; i < group * dim; i += THREADS, k++) {
            float v = out[k] * rescale[i / dim];
            for (uint32_t j = 0; j < n; j++)
                v += scores[i / dim][j] * __bfloat162float(tile[j][i % dim]);
            out[k] = v;
        }
    }
    __syncthreads();
    for (uint32_t k = 0, i = threadIdx.x; i < group * dim; i += THREADS, k++) {
        float *to_here = partial + (((size_t)blockIdx.x * heads + kv_head * group + i / dim) * SPLITS + blockIdx.z) * (dim + 2);
        to_here[i % dim] = out[k];
        if (i % dim == 0) {
            to_here[dim] = most[i / dim];
            to_here[dim + 1] = sum[i / dim];
        }
    }
}

/* Puts the shares of a decode's query head together: grid [spans][heads]. */
__global__ void decode_join(bf16 *attended, const float *partial, const device_span *spans, uint32_t heads, uint32_t dim)
{
    const device_span s = spans[blockIdx.x];
    const float *shares = partial + ((size_t)blockIdx.x * heads + blockIdx.y) * SPLITS * (dim + 2);
    if (s.kv_read == 0)
        return;
    float most = -INFINITY, sum = 0;
    for (int i = 0; i < SPLITS; i++)
        most = fmaxf(most, shares[i * (dim + 2) + dim]);
    for (int i = 0; i < SPLITS; i++)
        sum += shares[i * (dim + 2) + dim] == -INFINITY
                   ? 0
                   : shares[i * (dim + 2) + dim + 1] * __expf(shares[i * (dim + 2) + dim] - most);
    for (uint32_t d = threadIdx.x; d < dim; d += blockDim.x) {
        float v = 0;
        for (int i = 0; i < SPLITS; i++)
            if (shares[i * (dim + 2) + dim] != -INFINITY)
                v += shares[i * (dim + 2) + d] * __expf(shares[i * (dim + 2) + dim] - most);
        attended[((size_t)s.first * heads + blockIdx.y) * dim + d] = __float2bfloat16(v / sum);
    }
}

/* Shared memory of a prefill tile, in bytes. */
__host__ __device__ size_t prefill_bytes(uint32_t dim)
{
    return (QUERY_ROWS + 2 * (size_t)KEY_TILE) * (dim + 8) * sizeof(bf16) + (size_t)QUERY_ROWS * SCORE_STRIDE * sizeof(float) +
           (size_t)QUERY_ROWS * WEIGHT_STRIDE * sizeof(bf16) + (size_t)QUERY_ROWS * (dim + 4) * sizeof(float) +
           2 * QUERY_ROWS * sizeof(float);
}

/* 64 queries of one head against all keys that they see, in tiles on tensor cores (FlashAttention, Dao et al. 2022): grid
 * [tiles][heads]. PAGED: keys come from the cache; else from the step's own rows, masked to the same prompt. */
template <bool PAGED>
__global__ void prefill(bf16 *attended, const bf16 *qkv, const bf16 *keys, const bf16 *values, const tile *tiles,
                        const device_span *spans, const uint32_t *tables, const uint4 *rows, uint32_t heads,
                        uint32_t kv_heads, uint32_t dim, size_t slots, uint32_t block_tokens)
{
    using namespace nvcuda;
    extern __shared__ __align__(32) unsigned char memory[];
    __shared__ uint32_t prompts[KEY_TILE]; /* that the tile's keys are of; 0: padding */
    const uint32_t row_stride = dim + 8, out_stride = dim + 4;
    bf16 *q = (bf16 *)memory, *k = q + QUERY_ROWS * row_stride, *v = k + KEY_TILE * row_stride, *p = v + KEY_TILE * row_stride;
    float *s = (float *)(p + QUERY_ROWS * WEIGHT_STRIDE), *o = s + QUERY_ROWS * SCORE_STRIDE,
          *sum = o + QUERY_ROWS * out_stride, *rescale = sum + QUERY_ROWS;
    const tile t = tiles[blockIdx.x];
    const device_span span = spans[t.span];
    uint32_t h = blockIdx.y, kv_head = h / (heads / kv_heads), width = (heads + 2 * kv_heads) * dim;
    uint32_t queries = span.count - t.query < QUERY_ROWS ? span.count - t.query : QUERY_ROWS;
    uint32_t key_count = span.kv_before + t.query + queries, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float scale = rsqrtf((float)dim);
    for (uint32_t i = threadIdx.x; i < QUERY_ROWS * (dim / 8); i += THREADS) {
        uint32_t row = i / (dim / 8), part = i % (dim / 8) * 8;
        *(uint4 *)(q + row * row_stride + part) =
            row < queries ? *(const uint4 *)(qkv + (size_t)(span.first + t.query + row) * width + h * dim + part)
                          : make_uint4(0, 0, 0, 0);
    }
    for (uint32_t i = threadIdx.x; i < QUERY_ROWS * out_stride; i += THREADS)
        o[i] = 0;
    /* Two lanes share a query's row of scores, and take every second key each. */
    const uint32_t own = warp * 16 + lane / 2, half = lane % 2, query = t.query + own;
    const uint32_t own_prompt = PAGED || own >= queries ? 0 : rows[span.first + query].w;
    float most = -INFINITY, total = 0;
    for (uint32_t base = 0; base < key_count; base += KEY_TILE) {
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < KEY_TILE * (dim / 8); i += THREADS) {
            uint32_t key = base + i / (dim / 8), part = i % (dim / 8) * 8;
            uint4 zero = make_uint4(0, 0, 0, 0), key_part = zero, value_part = zero;
            if (key < key_count && PAGED) {
                size_t at = (kv_head * slots + key_slot(tables, span, key, block_tokens)) * dim + part;
                key_part = *(const uint4 *)(keys + at);
                value_part = *(const uint4 *)(values + at);
            } else if (key < key_count) {
                size_t at = (size_t)(span.first + key) * width + (heads + kv_head) * dim + part;
                key_part = *(const uint4 *)(qkv + at);
                value_part = *(const uint4 *)(qkv + at + kv_heads * dim);
            }
            if (!PAGED && part == 0)
                prompts[i / (dim / 8)] = key < key_count ? rows[span.first + key].w : 0;
            *(uint4 *)(k + i / (dim / 8) * row_stride + part) = key_part;
            *(uint4 *)(v + i / (dim / 8) * row_stride + part) = value_part;
        }
        __syncthreads();
        /* Each warp: 16 queries by KEY_TILE keys. */
        for (uint32_t column = 0; column < KEY_TILE; column += 16) {
            wmma::fragment<wmma::accumulator, 16, 16, 16, float> score;
            wmma::fill_fragment(score, 0.0f);
            for (uint32_t d = 0; d < dim; d += 16) {
                wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> a;
                wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::col_major> b;
                wmma::load_matrix_sync(a, q + warp * 16 * row_stride + d, row_stride);
                wmma::load_matrix_sync(b, k + column * row_stride + d, row_stride);
                wmma::mma_sync(score, a, b, score);
            }
            wmma::store_matrix_sync(s + warp * 16 * SCORE_STRIDE + column, score, SCORE_STRIDE, wmma::mem_row_major);
        }
        __syncwarp();
        float score[KEY_TILE / 2], high = most;
        for (uint32_t i = 0; i < KEY_TILE / 2; i++) {
            uint32_t key = base + 2 * i + half;
            bool seen = own < queries && key <= span.kv_before + query;
            if (!PAGED && seen && key != query)
                seen = own_prompt > 0 && prompts[2 * i + half] == own_prompt;
            score[i] = seen ? s[own * SCORE_STRIDE + 2 * i + half] * scale : -INFINITY;
            high = fmaxf(high, score[i]);
        }
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
        float factor = most == -INFINITY ? 0 : __expf(most - high), weights = 0;
        for (uint32_t i = 0; i < KEY_TILE / 2; i++) {
            float weight = score[i] == -INFINITY ? 0 : __expf(score[i] - high);
            weights += weight;
            p[own * WEIGHT_STRIDE + 2 * i + half] = __float2bfloat16(weight);
        }
        total = total * factor + weights;
        most = high;
        if (half == 0)
            rescale[own] = factor;
        __syncwarp();
        for (uint32_t r = 0; r < 16; r++)
            if (rescale[warp * 16 + r] != 1.0f)
                for (uint32_t i = lane; i < dim; i += 32)
                    o[(warp * 16 + r) * out_stride + i] *= rescale[warp * 16 + r];
        __syncwarp();
        for (uint32_t d = 0; d < dim; d += 16) {
            wmma::fragment<wmma::accumulator, 16, 16, 16, float> out;
            wmma::load_matrix_sync(out, o + warp * 16 * out_stride + d, out_stride, wmma::mem_row_major);
            for (uint32_t key = 0; key < KEY_TILE; key += 16) {
                wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> a;
                wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::row_major> b;
                wmma::load_matrix_sync(a, p + warp * 16 * WEIGHT_STRIDE + key, WEIGHT_STRIDE);
                wmma::load_matrix_sync(b, v + key * row_stride + d, row_stride);
                wmma::mma_sync(out, a, b, out);
            }
            wmma::store_matrix_sync(o + warp * 16 * out_stride + d, out, out_stride, wmma::mem_row_major);
        }
    }
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    if (half == 0)
        sum[own] = total;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < queries * dim; i += THREADS)
        attended[(size_t)(span.first + t.query + i / dim) * heads * dim + h * dim + i % dim] =
            __float2bfloat16(o[i / dim * out_stride + i % dim] / sum[i / dim]);
}

__global__ void gather(bf16 *gathered, const bf16 *normed, const uint32_t *outputs, uint32_t hidden)
{
    size_t row = outputs[blockIdx.x];
    for (uint32_t i = threadIdx.x; i < hidden; i += THREADS)
        gathered[(size_t)blockIdx.x * hidden + i] = normed[row * hidden + i];
}

/* base/random.c's random_mix. */
__device__ uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

__device__ float gumbel(uint64_t draw, uint32_t token)
{
    double u = ((double)(mix(draw ^ mix(token)) >> 11) + 0.5) * 0x1p-53;
    return (float)-log(-log(u));
}

/* One block an output: as sample_token (backend.h). */
__global__ void sample(uint32_t *next, const float *logits, const uint64_t *draws, uint32_t vocab, float temperature)
{
    __shared__ float best[SAMPLE_THREADS];
    __shared__ uint32_t at[SAMPLE_THREADS];
    const float *own = logits + (size_t)blockIdx.x * vocab;
    float most = -INFINITY;
    uint32_t which = 0;
    for (uint32_t i = threadIdx.x; i < vocab; i += SAMPLE_THREADS) {
        float value = temperature > 0 ? own[i] / temperature + gumbel(draws[blockIdx.x], i) : own[i];
        if (value > most) {
            most = value;
            which = i;
        }
    }
    best[threadIdx.x] = most;
    at[threadIdx.x] = which;
    for (uint32_t others = SAMPLE_THREADS / 2; others > 0; others /= 2) {
        __syncthreads();
        uint32_t i = threadIdx.x, other = i + others;
        if (i < others && (best[other] > best[i] || (best[other] == best[i] && at[other] < at[i]))) {
            best[i] = best[other];
            at[i] = at[other];
        }
    }
    if (threadIdx.x == 0)
        next[blockIdx.x] = at[0];
}

} // namespace

#endif
