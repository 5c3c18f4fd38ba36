/* SPDX-License-Identifier: MIT */
/* beside.h — optional parts of the program, which are shared objects in its own folder, or in ../lib/tandem from
 * there, where make install puts them. */
#ifndef TANDEM_BASE_BESIDE_H
#define TANDEM_BASE_BESIDE_H

#include <stdbool.h>

#include "base/error.h"

/* Opens `file` ("tandem-cuda.so") and finds a symbol in it; it stays open, since it may have threads. `what` is the
 * part, and `needs` what make has to find to build it, for the messages. With `global`, what it brings along can be
 * found by what it opens itself. NULL on failure. */
void *beside_open(const char *file, const char *symbol, bool global, const char *what, const char *needs,
                  struct error *err);

#endif
