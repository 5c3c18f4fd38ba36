/* SPDX-License-Identifier: MIT */
/* output.h — the one way to write a file: it is there whole, or what was there before stays.
 *
 * A new or regular file is written next to its place under a name that nobody can predict, synced, and renamed; its
 * mode and owner stay. A symbolic link stays, and the file that it leads to is replaced. What is no regular file (a
 * FIFO, a device) and the file that standard output or standard error goes to are written through, and stay what they
 * are. */
#ifndef TANDEM_BASE_OUTPUT_H
#define TANDEM_BASE_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/temporary.h"

struct output {
    FILE *out;                   /* to write to; its errors need not be looked at */
    const char *name;            /* as it was given, for sentences */
    int fd, reason;              /* errno of what failed first, or 0 */
    char target[TEMPORARY_PATH]; /* where it goes in the end; "" when it is written through */
    char beside[TEMPORARY_PATH];
    int place;            /* of `beside` among temporaries */
    char buffer[1 << 14]; /* of `out`: a stream that finds no memory for its own may lose what is written first */
};

/* `name` must live, and the struct must not be moved, until it is closed. Returns 0, or -1 with nothing to close. */
int output_open(struct output *o, const char *name, struct error *err);

/* `failed`: what was to be written could not be made, and `err` says why. Returns 0, or -1 when it failed or could not
 * be written, or when an allocation of this thread has failed, so that something may be missing in it (error.h); the
 * old file stays then. */
int output_close(struct output *o, bool failed, struct error *err);

/* A file that holds the text, whose last line it ends. */
int output_write(const char *name, const char *text, struct error *err);

#endif
