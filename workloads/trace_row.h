/* SPDX-License-Identifier: MIT */
/* trace_row.h — a line of a trace and what is known of the trace, as the parser of its format sees them. */
#ifndef TANDEM_WORKLOADS_TRACE_ROW_H
#define TANDEM_WORKLOADS_TRACE_ROW_H

#include "base/csv.h"
#include "base/lines.h"
#include "workloads/program_rows.h"
#include "workloads/trace.h"

enum { TRACE_COLUMNS = 3 };

/* Where a line's hashes are put; the trace's own. */
struct hash_buffer {
    uint64_t *ids;
    size_t capacity;
    uint32_t listed;      /* ids of the line that were read from its text, before it was parsed */
    char *rest;           /* the line without them */
    size_t rest_capacity; /* [rest_capacity] */
};

struct trace_row {
    const char *file;
    const struct trace_format *format;
    struct line line;
    bool is_first; /* request of the trace */
    enum time_unit unit;
    bool unit_stated;
    struct hash_buffer hashes;
    struct csv_fields fields;      /* this and the rest: of a CSV format */
    size_t places[TRACE_COLUMNS];  /* of its columns */
    size_t field_count;            /* of its header */
    bool without_zone, with_zone;  /* a line before said no zone; one other than UTC */
    struct program_rows *programs; /* where requests go that wait for others; NULL: each comes at its time */
    bool open;                     /* the same, although the trace says whom they wait for */
};

/* "FILE:LINE:COLUMN: expected EXPECTED in a trace of format FORMAT, found "FOUND"", which is cut short and printable.
 */
int trace_complain(const struct trace_row *row, size_t column, const char *expected, const char *found,
                   struct error *err);

#endif
