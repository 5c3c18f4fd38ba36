/* SPDX-License-Identifier: MIT */
/* Every allocation of ours goes by here (the Makefile's NOTED, ld --wrap): one that gets no memory is noted, so that a
 * caller that goes on without cannot end well (error.h). Libraries' own allocations do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The linker's names for what is called, and for what takes the call. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

static void *noted(void *block)
{
    if (!block)
        memory_note_failure();
    return block;
}

void *__wrap_malloc(size_t size)
{
    return noted(__real_malloc(size ? size : 1));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return noted(__real_calloc(count ? count : 1, size ? size : 1));
}

void *__wrap_realloc(void *block, size_t size)
{
    return noted(__real_realloc(block, size ? size : 1));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return noted(__real_aligned_alloc(alignment, size));
}

char *__wrap_strdup(const char *text)
{
    return noted(__real_strdup(text));
}
