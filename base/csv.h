/* SPDX-License-Identifier: MIT */
/* csv.h — CSV files with a header line (RFC 4180): columns found by name, records read into an array of structs.
 *
 * A field in quotes may hold commas, ends of lines and, doubled, quotes. Plain or gzip, as base/lines.h reads them. */
#ifndef TANDEM_BASE_CSV_H
#define TANDEM_BASE_CSV_H

#include <stddef.h>

#include "base/error.h"

enum csv_need {
    CSV_OPTIONAL, /* a number of at least 0, or nothing (read as 0) */
    CSV_REQUIRED, /* a number of at least 0 in every line */
    CSV_POSITIVE, /* a number above 0 in every line */
    CSV_MAY_LACK, /* as optional, and the whole column may be missing */
};

/* Where a column goes in the struct of a line: text of `size` bytes, cut to fit, or a double when size is 0. */
struct csv_column {
    const char *name;
    size_t offset, size;
    enum csv_need need;
};

/* Reads a whole file; columns that are not asked for are ignored. A column that is missing or there twice, a record
 * with more or fewer fields than the header, a wrong field (by line and column) or a file without records is an input
 * error. *out holds *count structs of row_bytes each, owned by the caller (free), and is NULL on failure. */
int csv_read(const char *file, const struct csv_column *columns, size_t column_count, size_t row_bytes, void **out,
             size_t *count, struct error *err);

/* The fields of one record, in the record's own text. Zero before the first use. */
struct csv_fields {
    char **at; /* [count] */
    size_t count, capacity;
};

/* Cuts a record at its commas, in place, and takes quotes off. `file` and `line` are for messages. */
int csv_split(char *record, const char *file, long line, struct csv_fields *out, struct error *err);

void csv_fields_release(struct csv_fields *fields);

/* Finds the column `name` of a header; *place is SIZE_MAX where it has none. Fails where it is there twice. */
int csv_find_column(const struct csv_fields *header, const char *name, const char *file, long line, size_t *place,
                    struct error *err);

#endif
