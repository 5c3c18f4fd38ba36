/* SPDX-License-Identifier: MIT */
/* csv.h — CSV files with a header line: columns found by name, lines read into an array of structs. Fields hold no
 * commas or quotes, as in tables of measurements. */
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

/* Reads a whole file; columns that are not asked for are ignored. A missing column, a wrong field (by line and column)
 * or an empty file is an input error. *out holds *count structs of row_bytes each, owned by the caller (free), and is
 * NULL on failure. */
int csv_read(const char *file, const struct csv_column *columns, size_t column_count, size_t row_bytes, void **out,
             size_t *count, struct error *err);

#endif
