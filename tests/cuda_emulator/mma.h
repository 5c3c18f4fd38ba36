/* SPDX-License-Identifier: MIT */
/* Matrix fragments of a warp. Its first lane has all of it and computes, at once: it sees what other lanes have written
 * to memory only if the kernel has made them meet, and they what it stores. */
#ifndef TANDEM_TESTS_MMA_H
#define TANDEM_TESTS_MMA_H

#include "cuda_bf16.h"

namespace nvcuda {
namespace wmma {

struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
enum layout_t { mem_row_major, mem_col_major };

template <typename Use, int M, int N, int K, typename T, typename Order = void> struct fragment {
    float at[16][16]; /* row, column */
};

inline float as_float(float v)
{
    return v;
}

inline float as_float(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}

/* What the programming guide asks of a matrix in memory. */
template <typename T> void demand_layout(const T *at, unsigned stride)
{
    emulator::demand((uintptr_t)at % 32 == 0, "a matrix that is not aligned to 32 bytes");
    emulator::demand(stride % (16 / sizeof(T)) == 0, "a matrix whose rows are not a multiple of 16 bytes");
}

template <typename Work> void by_first_lane(const Work &work)
{
    if (emulator::lane() == 0)
        work();
}

template <typename Use, typename T>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, row_major> &f, const T *from, unsigned stride)
{
    demand_layout(from, stride);
    by_first_lane([&] {
        for (int r = 0; r < 16; r++)
            for (int c = 0; c < 16; c++)
                f.at[r][c] = as_float(from[(size_t)r * stride + c]);
    });
}

template <typename Use, typename T>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, col_major> &f, const T *from, unsigned stride)
{
    demand_layout(from, stride);
    by_first_lane([&] {
        for (int r = 0; r < 16; r++)
            for (int c = 0; c < 16; c++)
                f.at[r][c] = as_float(from[(size_t)c * stride + r]);
    });
}

inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float> &f, const float *from, unsigned stride, layout_t order)
{
    demand_layout(from, stride);
    by_first_lane([&] {
        for (int r = 0; r < 16; r++)
            for (int c = 0; c < 16; c++)
                f.at[r][c] = order == mem_row_major ? from[(size_t)r * stride + c] : from[(size_t)c * stride + r];
    });
}

inline void store_matrix_sync(float *to, const fragment<accumulator, 16, 16, 16, float> &f, unsigned stride, layout_t order)
{
    demand_layout(to, stride);
    by_first_lane([&] {
        for (int r = 0; r < 16; r++)
            for (int c = 0; c < 16; c++)
                (order == mem_row_major ? to[(size_t)r * stride + c] : to[(size_t)c * stride + r]) = f.at[r][c];
    });
}

inline void fill_fragment(fragment<accumulator, 16, 16, 16, float> &f, float v)
{
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 16; c++)
            f.at[r][c] = v;
}

template <typename A, typename B>
void mma_sync(fragment<accumulator, 16, 16, 16, float> &d, const A &a, const B &b,
              const fragment<accumulator, 16, 16, 16, float> &c)
{
    by_first_lane([&] {
        float sum[16][16];
        memcpy(sum, c.at, sizeof sum);
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < 16; k++) {
                const float x = a.at[i][k], *y = b.at[k];
                float *z = sum[i];
                for (int j = 0; j < 16; j++)
                    z[j] += x * y[j];
            }
        memcpy(d.at, sum, sizeof sum);
    });
}

} // namespace wmma
} // namespace nvcuda

#endif
