/* SPDX-License-Identifier: MIT */
#include "emulator.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "cublas_v2.h"
#include "cuda_bf16.h"
#include "engine_ref/cuda/cuda.h"

/* ---- Fibers. */

/* Keeps what a function must keep on the stack that is left, and goes on where `to` was left. (The C library's way,
 * swapcontext, asks the kernel each time.) */
#ifdef __x86_64__
extern "C" void emulator_switch(void **from, void *to);
__asm__(".text\n"
        "emulator_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n");

static void *new_stack(unsigned char *stack, size_t bytes, void (*body)())
{
    void **top = (void **)(stack + bytes) - 2; /* as after a call: 8 below a multiple of 16 */
    *top = (void *)body;
    return top - 6;
}
#else
#include <ucontext.h>

static void emulator_switch(void **from, void *to)
{
    if (!*from)
        *from = new ucontext_t;
    swapcontext((ucontext_t *)*from, (ucontext_t *)to);
}

static void *new_stack(unsigned char *stack, size_t bytes, void (*body)())
{
    ucontext_t *c = new ucontext_t;
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = bytes;
    c->uc_link = NULL;
    makecontext(c, body, 0);
    return c;
}
#endif

namespace emulator {

dim3 thread, block, block_size, grid_size;

namespace {

enum { STACK = 64 << 10, WARP = 32, WARPS_MOST = 1024 / WARP };

/* Who is not there yet when it is reached for the n-th time. Threads that have ended are not waited for. */
struct barrier {
    unsigned live, arrived;
    uint64_t passed;
};

struct fiber {
    void *context;
    dim3 place;
    unsigned number;
    bool ended;
    float offered;
    unsigned char *stack;
};

std::vector<fiber> fibers; /* of the block that runs; stacks stay for the next one */
size_t fiber_count;
fiber *current;
void *scheduler;
const std::function<void()> *running;
unsigned char *dynamic_shared;
uint64_t blocks_run;
barrier whole_block, warps[WARPS_MOST];
uint64_t steps; /* that fibers have made, to see whether any still does */

[[noreturn]] void fail(const char *what)
{
    fprintf(stderr, "CUDA emulator: %s (block %u, %u, %u; thread %u)\n", what, block.x, block.y, block.z, thread.x);
    abort();
}

void yield()
{
    fiber *mine = current;
    emulator_switch(&mine->context, scheduler);
}

void open_if_full(barrier &b)
{
    if (b.arrived == b.live && b.live > 0) {
        b.arrived = 0;
        b.passed++;
    }
}

void wait_at(barrier &b)
{
    uint64_t passed = b.passed;
    b.arrived++;
    open_if_full(b);
    steps++;
    while (b.passed == passed)
        yield();
    steps++;
}

void body()
{
    (*running)();
    current->ended = true;
    whole_block.live--;
    warps[current->number / WARP].live--;
    open_if_full(whole_block);
    open_if_full(warps[current->number / WARP]);
    steps++;
    yield();
}

void make_fiber(fiber &f, unsigned number)
{
    if (!f.stack) {
        f.stack = (unsigned char *)mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (f.stack == MAP_FAILED)
            fail("no memory for a thread");
    }
    f.place = dim3(number % block_size.x, number / block_size.x % block_size.y, number / block_size.x / block_size.y);
    f.number = number;
    f.ended = false;
    f.context = new_stack(f.stack, STACK, body);
    warps[number / WARP].live++;
}

/* Every thread of a warp in turn, until none can go on. */
void run_warp(unsigned first, unsigned end, bool downwards)
{
    for (uint64_t before = steps - 1; steps != before;) {
        before = steps;
        for (unsigned k = first; k < end; k++) {
            fiber &f = fibers[downwards ? first + end - 1 - k : k];
            if (f.ended)
                continue;
            current = &f;
            thread = f.place;
            emulator_switch(&scheduler, f.context);
        }
    }
}

/* A warp goes as far as it can before the next one has its turn, upwards in one block and downwards in the next, so that
 * a missing barrier is not hidden by an order that happens to suit. */
void run_block(unsigned threads)
{
    fiber_count = threads;
    if (fibers.size() < threads)
        fibers.resize(threads);
    whole_block = {threads, 0, 0};
    for (unsigned i = 0; i < WARPS_MOST; i++)
        warps[i] = {0, 0, 0};
    for (unsigned i = 0; i < threads; i++)
        make_fiber(fibers[i], i);
    bool downwards = blocks_run++ % 2;
    unsigned count = (threads + WARP - 1) / WARP;
    while (whole_block.live > 0) {
        uint64_t before = steps;
        for (unsigned k = 0; k < count; k++) {
            unsigned first = (downwards ? count - 1 - k : k) * WARP;
            run_warp(first, first + WARP < threads ? first + WARP : threads, downwards);
        }
        if (steps == before)
            fail("threads wait for each other");
    }
}

/* Memory whose end is at a page without access. */
std::map<void *, std::pair<void *, size_t>> guarded;

void *make_guarded(size_t bytes, int fill)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (bytes + 31) / 32 * 32, all = (rounded + page - 1) / page * page;
    unsigned char *base = (unsigned char *)mmap(NULL, all + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    mprotect(base + all, page, PROT_NONE);
    void *p = base + all - rounded;
    memset(p, fill, rounded);
    guarded[p] = {base, all + page};
    return p;
}

void free_guarded(void *p)
{
    auto found = guarded.find(p);
    if (found == guarded.end())
        return;
    munmap(found->second.first, found->second.second);
    guarded.erase(found);
}

void run_grid(dim3 grid, dim3 threads, size_t shared_bytes, const std::function<void()> &kernel)
{
    unsigned count = threads.x * threads.y * threads.z;
    if (count == 0 || count > 1024 || grid.x == 0 || grid.y == 0 || grid.y > 65535 || grid.z == 0 || grid.z > 65535)
        fail("no GPU has such a grid");
    grid_size = grid;
    block_size = threads;
    running = &kernel;
    dynamic_shared = (unsigned char *)make_guarded(shared_bytes + 1, 0xff);
    for (block.z = 0; block.z < grid.z; block.z++)
        for (block.y = 0; block.y < grid.y; block.y++)
            for (block.x = 0; block.x < grid.x; block.x++)
                run_block(count);
    free_guarded(dynamic_shared);
}

} // namespace

unsigned char *shared_memory()
{
    return dynamic_shared;
}

unsigned lane()
{
    return current->number % WARP;
}

void demand(bool holds, const char *what)
{
    if (!holds)
        fail(what);
}

void wait_for_block()
{
    wait_at(whole_block);
}

void wait_for_warp()
{
    wait_at(warps[current->number / WARP]);
}

float exchange(float value, unsigned partner)
{
    fiber *mine = current;
    size_t other = mine->number / WARP * WARP + partner;
    mine->offered = value;
    wait_for_warp();
    float taken = other < fiber_count ? fibers[other].offered : value;
    wait_for_warp();
    return taken;
}

} // namespace emulator

/* ---- Streams and graphs. */

struct emulated_graph {
    std::vector<std::function<void()>> work;
};

static emulated_graph *captured; /* NULL: work is done at once */

void emulator::perform(const std::function<void()> &work)
{
    if (captured)
        captured->work.push_back(work);
    else
        work();
}

void emulator::launch(dim3 grid, dim3 threads, size_t shared_bytes, const std::function<void()> &kernel)
{
    perform([=] { run_grid(grid, threads, shared_bytes, kernel); });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode)
{
    captured = new emulated_graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *g)
{
    *g = captured;
    captured = NULL;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    *e = new emulated_graph(*g);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t)
{
    for (const auto &work : e->work)
        work();
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete g;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e)
{
    delete e;
    return cudaSuccess;
}

/* ---- Memory. */

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    *p = emulator::make_guarded(bytes, 0xff); /* NaN, in floats and in bf16 */
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    return cudaMalloc(p, bytes);
}

cudaError_t cudaFree(void *p)
{
    emulator::free_guarded(p);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    return cudaFree(p);
}

cudaError_t cudaMemset(void *p, int v, size_t bytes)
{
    memset(p, v, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t)
{
    emulator::perform([=] { memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind)
{
    if (width > to_pitch || width > from_pitch)
        return cudaErrorInvalidValue;
    for (size_t i = 0; i < height; i++)
        memcpy((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width);
    return cudaSuccess;
}

/* ---- What is left of the runtime. */

const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaSuccess ? "no error" : "an emulated error";
}

cudaError_t cudaGetLastError()
{
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    *s = (cudaStream_t)(uintptr_t)1;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize()
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    snprintf(p->name, sizeof p->name, "a CPU in the place of a GPU");
    p->totalGlobalMem = (size_t)1 << 30;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr, int)
{
    *v = 1000000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *v)
{
    *v = 0;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    *e = new double(0);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    *e = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b)
{
    *ms = (float)(*b - *a);
    return cudaSuccess;
}

/* ---- cuBLAS. */

const char *cublasGetStatusString(cublasStatus_t s)
{
    return s == CUBLAS_STATUS_SUCCESS ? "no error" : "an emulated error";
}

cublasStatus_t cublasCreate(cublasHandle_t *h)
{
    *h = (cublasHandle_t)(uintptr_t)1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *, size_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType a_type, int lda, const void *b,
                            cudaDataType b_type, int ldb, const void *beta, void *c, cudaDataType c_type, int ldc,
                            cublasComputeType_t, cublasGemmAlgo_t)
{
    if (a_type != CUDA_R_16BF || b_type != CUDA_R_16BF || m < 1 || n < 1 || k < 1 || lda < (ta == CUBLAS_OP_T ? k : m) ||
        ldb < (tb == CUBLAS_OP_T ? n : k) || ldc < m)
        return CUBLAS_STATUS_INVALID_VALUE;
    float one = *(const float *)alpha, other = *(const float *)beta;
    emulator::perform([=] {
        const __nv_bfloat16 *x = (const __nv_bfloat16 *)a, *y = (const __nv_bfloat16 *)b;
        for (int j = 0; j < n; j++)
            for (int i = 0; i < m; i++) {
                float sum = 0;
                for (int l = 0; l < k; l++) {
                    size_t at_x = ta == CUBLAS_OP_T ? (size_t)i * lda + l : (size_t)l * lda + i;
                    size_t at_y = tb == CUBLAS_OP_T ? (size_t)l * ldb + j : (size_t)j * ldb + l;
                    sum += __bfloat162float(x[at_x]) * __bfloat162float(y[at_y]);
                }
                size_t at = (size_t)j * ldc + i;
                if (c_type == CUDA_R_32F) {
                    float *z = (float *)c + at;
                    *z = one * sum + (other != 0 ? other * *z : 0);
                } else {
                    __nv_bfloat16 *z = (__nv_bfloat16 *)c + at;
                    *z = __float2bfloat16(one * sum + (other != 0 ? other * __bfloat162float(*z) : 0));
                }
            }
    });
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- There is nothing to trace. */

extern "C" {

int trace_start(struct error *)
{
    return 0;
}

void trace_open(enum operation_name)
{
}

void trace_close(void)
{
}

int trace_stop(struct profiler *, struct error *)
{
    return 0;
}

} // extern "C"
