/* SPDX-License-Identifier: MIT */
/* pages.h — large zeroed buffers on huge pages where the system gives them: whether it does by chance changes speed by
 * a fifth from one run to the next. */
#ifndef TANDEM_ENGINE_REF_PAGES_H
#define TANDEM_ENGINE_REF_PAGES_H

#include <stddef.h>

/* Floats, all 0, aligned to 64 bytes at least. Freed with free(). NULL when memory is short. */
float *pages_create(size_t floats);

#endif
