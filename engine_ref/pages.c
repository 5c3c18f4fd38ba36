/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "engine_ref/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, SMALL_ALIGN = 64 };

float *pages_create(size_t floats)
{
    size_t bytes = floats * sizeof(float), align = bytes >= HUGE_PAGE ? HUGE_PAGE : SMALL_ALIGN;
    bytes = (bytes + align - 1) / align * align;
    float *buffer = aligned_alloc(align, bytes > 0 ? bytes : align);
    if (!buffer)
        return NULL;
    if (align == HUGE_PAGE)
        madvise(buffer, bytes, MADV_HUGEPAGE); /* a wish: it may fail */
    memset(buffer, 0, bytes > 0 ? bytes : align);
    return buffer;
}
