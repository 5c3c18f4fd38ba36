/* SPDX-License-Identifier: MIT */
/* lines.h — a text file's lines from first to last, plain or gzip, in memory of its longest line.
 *
 * The file is read once forward. A byte-order mark before the first line and the ends of lines (LF or CR LF) are left
 * out; a last line without an end is one. What is not text is an input error that names file and line: a NUL byte, a
 * line of more than LINES_LONGEST bytes, gzip that ends early, is damaged, or has something else after it. */
#ifndef TANDEM_BASE_LINES_H
#define TANDEM_BASE_LINES_H

#include <stddef.h>

#include "base/error.h"

enum { LINES_LONGEST = 1 << 20 };

struct lines;

/* A line, or a record of several; the text is the reader's own until the next is read, and may be written over. */
struct line {
    char *text;
    size_t length;
    long number; /* of its first line, from 1 */
};

/* Opens `file`; its name is copied. Returns NULL on failure. */
struct lines *lines_open(const char *file, struct error *err);
void lines_close(struct lines *lines);

/* Reads the next line that holds more than blanks. 1, 0 at the end, -1 on error. */
int lines_next(struct lines *lines, struct line *out, struct error *err);

/* The same for a record of a CSV file, which goes on over the ends of lines within quotes (RFC 4180). */
int lines_next_record(struct lines *lines, struct line *out, struct error *err);

#endif
