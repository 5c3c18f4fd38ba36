/* SPDX-License-Identifier: MIT */
/* temporary.h — files and folders that must not outlive the process, so that a signal's handler can remove them. */
#ifndef TANDEM_BASE_TEMPORARY_H
#define TANDEM_BASE_TEMPORARY_H

#include <stddef.h>

enum { TEMPORARY_PATH = 4096 };

/* Remembers the path, which need not be there yet, and returns its place; -1 when there are too many or it is longer
 * than TEMPORARY_PATH - 1 bytes. Name a folder before what is in it. */
int temporary_note(const char *path);

/* Forgets the path; nothing is removed. A place of -1 is passed over. */
void temporary_forget(int place);

/* Removes all that is remembered, the latest first. A signal's handler may call it. */
void temporaries_remove(void);

/* `size` bytes of lower-case hexadecimal digits and a NUL that nobody can predict. Returns 0, or -1 and errno. */
int temporary_random_name(char *out, size_t size);

#endif
