/* SPDX-License-Identifier: MIT */
/* emulator.h — as much of CUDA as engine_ref/cuda/ uses, on a CPU: its kernels run as they are, one block after another,
 * every thread of a block a fiber that goes on until it waits for others.
 *
 * What it finds: wrong indices, wrong masks, reads of what was never written (device memory begins as NaN), reads and
 * writes past the end of a buffer (a page without access lies behind each), barriers that are missing (fibers take turns
 * in both directions) or that not all threads reach, graphs that are replayed with what has changed since. What it
 * cannot find: speed, and what only the hardware does differently. */
#ifndef TANDEM_TESTS_EMULATOR_H
#define TANDEM_TESTS_EMULATOR_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w)
{
    return {x, y, z, w};
}

namespace emulator {

/* Of the fiber that runs. */
extern dim3 thread, block, block_size, grid_size;

/* Runs `kernel` for every thread of every block, or keeps it for the graph that is being captured. */
void launch(dim3 grid, dim3 threads, size_t shared_bytes, const std::function<void()> &kernel);

/* The same, of a kernel with its arguments as they are now. */
template <typename... Parameters, typename... Arguments>
void launch_kernel(dim3 grid, dim3 threads, size_t shared_bytes, void (*kernel)(Parameters...), Arguments... arguments)
{
    launch(grid, threads, shared_bytes, [=] { kernel(static_cast<Parameters>(arguments)...); });
}

/* What a stream would do in its order. */
void perform(const std::function<void()> &work);

unsigned char *shared_memory();                /* of the block, as launched */
void wait_for_block();                         /* __syncthreads */
void wait_for_warp();                          /* __syncwarp */
float exchange(float value, unsigned partner); /* value of another lane of the warp */
unsigned lane();

/* Ends the program where the hardware would not do what is asked. */
void demand(bool holds, const char *what);

} // namespace emulator

#define threadIdx emulator::thread
#define blockIdx emulator::block
#define blockDim emulator::block_size
#define gridDim emulator::grid_size
#define __global__
#define __device__
#define __host__
#define __shared__ static /* only one block runs at a time */
#define __align__(n) __attribute__((aligned(n)))
#define __syncthreads() emulator::wait_for_block()
#define __syncwarp() emulator::wait_for_warp()
#define __shfl_xor_sync(mask, value, distance) emulator::exchange(value, emulator::lane() ^ (unsigned)(distance))
#define __expf expf

static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}

#endif
