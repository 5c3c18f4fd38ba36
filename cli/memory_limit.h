/* SPDX-License-Identifier: MIT */
/* memory_limit.h — the option --max-memory, which every command has. */
#ifndef TANDEM_CLI_MEMORY_LIMIT_H
#define TANDEM_CLI_MEMORY_LIMIT_H

#include "base/error.h"

#define MEMORY_LIMIT_OPTION                                                                                            \
    {                                                                                                                  \
        "--max-memory", "SIZE",                                                                                        \
            "end with \"out of memory\" rather than hold more: bytes, or with K, M, G or T that many KiB, MiB, GiB "   \
            "or TiB, at least 4M"                                                                                      \
    }

/* From here on this process holds at most SIZE bytes of heap, stacks and other private memory that can be written.
 * Files that are mapped and the program's code do not count. The program may start again with the
 * same argv, so this comes before all that must not be done twice. Returns 0, or -1 with the error set. */
int memory_limit_set(const char *size, char **argv, struct error *err);

/* What an "out of memory" ends with: the limit that was set, or "". */
const char *memory_limit_said(void);

#endif
