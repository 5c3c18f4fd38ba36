/* SPDX-License-Identifier: MIT */
/* failing_malloc.c — a library to preload: one allocation of the program, counted from its main(), gets no memory.
 *
 * FAULTS_AT=n     the n-th allocation (from 1) returns NULL; 0 or unset: none does
 * FAULTS_REST=1   all later ones get nothing, either
 * FAULTS_LIST=F   at the end, F holds one line an allocation: a hash of the calls that led to it
 * FAULTS_STACK=F  F gets the calls that led to the allocation that failed, and to the signal that ended the program
 *
 * glibc's own names of its allocator and of the start of a program are used: no lookup, so no allocation of our own. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 48, LISTED = 1 << 20 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool started, rest;
static long chosen;
static atomic_long allocations;
static const char *list_file, *stack_file;
static uint32_t *hashes; /* [LISTED] */
static _Thread_local bool inside;

static void write_all(int file, const void *bytes, size_t count)
{
    for (const char *at = bytes; count > 0;) {
        ssize_t written = write(file, at, count);
        if (written <= 0)
            return;
        at += written;
        count -= (size_t)written;
    }
}

static void tell_stack(const char *title)
{
    void *frames[FRAMES];
    int file = stack_file ? open(stack_file, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
    if (file < 0)
        return;
    inside = true;
    int depth = backtrace(frames, FRAMES);
    write_all(file, title, strlen(title));
    backtrace_symbols_fd(frames, depth, file);
    close(file);
    inside = false;
}

static void note_stack(long number)
{
    void *frames[FRAMES];
    uint32_t hash = 2166136261U;
    inside = true;
    int depth = backtrace(frames, FRAMES);
    for (int i = 0; i < depth; i++)
        hash = (hash ^ (uint32_t)((uintptr_t)frames[i] >> 2)) * 16777619U;
    hashes[number - 1] = hash;
    inside = false;
}

static bool refuses(void)
{
    if (!started || inside)
        return false;
    long number = atomic_fetch_add(&allocations, 1) + 1;
    if (hashes && number <= LISTED)
        note_stack(number);
    if (chosen == 0 || (number != chosen && !(rest && number > chosen)))
        return false;
    if (number == chosen)
        tell_stack("failed allocation\n");
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return refuses() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return refuses() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return refuses() ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return refuses() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (refuses())
        return ENOMEM;
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

static void die(int signal_number)
{
    tell_stack("signal\n");
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void write_list(void)
{
    inside = true;
    int file = open(list_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    long count = allocations < LISTED ? allocations : LISTED;
    for (long i = 0; file >= 0 && i < count; i++) {
        char line[9] = "00000000\n";
        for (int digit = 0; digit < 8; digit++)
            line[digit] = "0123456789abcdef"[hashes[i] >> (28 - 4 * digit) & 15];
        write_all(file, line, sizeof line);
    }
    if (file >= 0)
        close(file);
}

static int (*program_main)(int, char **, char **);

static int counted_main(int argc, char **argv, char **environment)
{
    const char *at = getenv("FAULTS_AT"), *all = getenv("FAULTS_REST");
    chosen = at ? strtol(at, NULL, 10) : 0;
    rest = all && *all == '1';
    list_file = getenv("FAULTS_LIST");
    stack_file = getenv("FAULTS_STACK");
    void *frames[2];
    backtrace(frames, 2); /* loads what it needs before anything is counted */
    if (list_file && (hashes = __libc_calloc(LISTED, sizeof *hashes)))
        atexit(write_list);
    const int signals[] = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL};
    for (size_t i = 0; stack_file && i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], die);
    unsetenv("LD_PRELOAD");
    started = true;
    return program_main(argc, argv, environment);
}

typedef int start_function(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                           void *);

int __libc_start_main(int (*main_function)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*end)(void), void *stack_end)
{
    union {
        void *object;
        start_function *start;
    } next = {.object = dlsym(RTLD_NEXT, "__libc_start_main")};
    program_main = main_function;
    return next.start(counted_main, argc, argv, init, fini, end, stack_end);
}
