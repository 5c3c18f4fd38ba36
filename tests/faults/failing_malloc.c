/* SPDX-License-Identifier: MIT */
/* failing_malloc.c — a library to preload: one allocation of the program gets no memory (program.h says which).
 *
 * FAULTS_OWN=1    only allocations that the program itself asks for, or a library that it is linked to other than the C
 *                 library, are counted: on a rank of a job, what Open MPI does without memory is its own
 *
 * glibc's own names of its allocator are used: no lookup, so no allocation of our own. */
#define _GNU_SOURCE /* RTLD_NEXT, dl_iterate_phdr */
#include <errno.h>
#include <link.h>

#include "tests/faults/program.h"

enum { OBJECTS = 128 };

void *__libc_malloc(size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool own_only;
static struct span {
    uintptr_t from, to;
} own[OBJECTS]; /* the code of what is there before main() */
static size_t own_count;

static int note_object(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < object->dlpi_phnum && own_count < OBJECTS && !strstr(object->dlpi_name, "/libc.so"); i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X))
            own[own_count++] =
                (struct span){object->dlpi_addr + part->p_vaddr, object->dlpi_addr + part->p_vaddr + part->p_memsz};
    }
    return 0;
}

static void before_main(void)
{
    const char *only = getenv("FAULTS_OWN");
    own_only = only && *only == '1';
    dl_iterate_phdr(note_object, NULL);
}

static bool is_own(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    for (size_t i = 0; i < own_count; i++)
        if (at >= own[i].from && at < own[i].to)
            return true;
    return false;
}

static bool refuses(const void *caller)
{
    if (!started || (own_only && !is_own(caller)) || !call_fails('m', "failed allocation\n"))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (refuses(__builtin_return_address(0)))
        return ENOMEM;
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
