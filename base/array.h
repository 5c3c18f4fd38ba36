/* SPDX-License-Identifier: MIT */
/* array.h — the one way arrays grow. */
#ifndef TANDEM_BASE_ARRAY_H
#define TANDEM_BASE_ARRAY_H

#include <stddef.h>

/* Makes room for `needed` items of `item_size` bytes, at least doubling the capacity; new bytes are
 * zero. Returns the array, moved perhaps, or NULL when memory is short (the old one stays valid). */
void *array_grow(void *items, size_t *capacity, size_t needed, size_t item_size);

#endif
