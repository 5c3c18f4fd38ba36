/* SPDX-License-Identifier: MIT */
/* present.h — whether a file that may be left out is there. */
#ifndef TANDEM_BASE_PRESENT_H
#define TANDEM_BASE_PRESENT_H

#include "base/error.h"

/* Returns 1 where it can be read; 0 where there is none of that name; -1 where there is one that cannot be read, or
 * where that cannot be told: what it holds must not be left out without a word. */
int file_present(const char *file, struct error *err) __attribute__((warn_unused_result));

#endif
