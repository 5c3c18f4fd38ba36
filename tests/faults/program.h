/* SPDX-License-Identifier: MIT */
/* program.h — what the libraries to preload have in common: calls of the program are counted from its main() on, and
 * one of them fails.
 *
 * FAULTS_AT=n     the n-th call (from 1) fails; 0 or unset: none does
 * FAULTS_REST=1   all later ones fail, too
 * FAULTS_LIST=F   at the end, F holds one line a call: a hash of the calls that led to it, and its kind
 * FAULTS_STACK=F  F gets the calls that led to the one that failed, and to the signal that ended the program
 *
 * An included file rather than a third library: each of the two has one copy, and all names of it are its own. */
#ifndef TANDEM_TESTS_FAULTS_PROGRAM_H
#define TANDEM_TESTS_FAULTS_PROGRAM_H

#include <dlfcn.h>
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

void *__libc_calloc(size_t count, size_t size);

static bool started, rest;
static long chosen;
static atomic_long calls;
static const char *list_file, *stack_file;
static uint32_t *hashes;     /* [LISTED] */
static unsigned char *kinds; /* [LISTED]: a letter */
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
    bool was = inside;
    inside = true;
    int file = stack_file ? open(stack_file, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
    if (file >= 0) {
        int depth = backtrace(frames, FRAMES);
        write_all(file, title, strlen(title));
        backtrace_symbols_fd(frames, depth, file);
        close(file);
    }
    inside = was;
}

static void note_stack(long number, char kind)
{
    void *frames[FRAMES];
    uint32_t hash = 2166136261U;
    inside = true;
    int depth = backtrace(frames, FRAMES);
    for (int i = 0; i < depth; i++)
        hash = (hash ^ (uint32_t)((uintptr_t)frames[i] >> 2)) * 16777619U;
    hashes[number - 1] = hash;
    kinds[number - 1] = (unsigned char)kind;
    inside = false;
}

/* Counts a call of this kind; true where it must fail. `title` heads its stack. */
static bool call_fails(char kind, const char *title)
{
    if (!started || inside)
        return false;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (hashes && number <= LISTED)
        note_stack(number, kind);
    if (chosen == 0 || (number != chosen && !(rest && number > chosen)))
        return false;
    if (number == chosen)
        tell_stack(title);
    return true;
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
    long count = calls < LISTED ? calls : LISTED;
    for (long i = 0; file >= 0 && i < count; i++) {
        char line[11] = "00000000 x\n";
        for (int digit = 0; digit < 8; digit++)
            line[digit] = "0123456789abcdef"[hashes[i] >> (28 - 4 * digit) & 15];
        line[9] = (char)kinds[i];
        write_all(file, line, sizeof line);
    }
    if (file >= 0)
        close(file);
}

/* What else a library does before main(). */
static void before_main(void);

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
    if (list_file && (hashes = __libc_calloc(LISTED, sizeof *hashes)) && (kinds = __libc_calloc(LISTED, 1)))
        atexit(write_list);
    const int signals[] = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL};
    for (size_t i = 0; stack_file && i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], die);
    unsetenv("LD_PRELOAD");
    before_main();
    started = true;
    return program_main(argc, argv, environment);
}

typedef int start_function(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                           void *);

/* glibc's own name of the start of a program. */
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

#endif
