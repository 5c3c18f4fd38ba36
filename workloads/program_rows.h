/* SPDX-License-Identifier: MIT */
/* program_rows.h — programs from the lines of a trace, each of which is a request that may wait for others above. */
#ifndef TANDEM_WORKLOADS_PROGRAM_ROWS_H
#define TANDEM_WORKLOADS_PROGRAM_ROWS_H

#include "base/error.h"
#include "workloads/program.h"
#include "workloads/source.h"

struct program_rows;

struct program_rows *program_rows_create(struct error *err);
void program_rows_destroy(struct program_rows *rows);

/* A row above, and how long after its answer. */
struct row_wait {
    size_t row;
    sim_time delay;
};

/* What a line says of a request but its lengths. */
struct row_said {
    const struct row_wait *waits; /* [wait_count]; of one that waits, the arrival's time does not count */
    uint32_t wait_count;
    sim_time delay, tool;
    uint32_t context_tokens; /* UINT32_MAX: all that the first one that it waits for was asked and answered */
};

/* What a trace names: requests, and sessions, whose requests belong to one program. */
enum row_name { ROW_REQUEST, ROW_SESSION };

size_t program_rows_count(const struct program_rows *rows);

/* Adds a request; its hashes are copied. Returns 0, or -1 when memory is short. */
int program_rows_add(struct program_rows *rows, const struct arrival *a, const struct row_said *said,
                     struct error *err);

/* The row of a name, the last one that it was given to; SIZE_MAX: none. */
size_t program_rows_find(const struct program_rows *rows, enum row_name kind, const char *name);
int program_rows_give_name(struct program_rows *rows, enum row_name kind, const char *name, size_t row,
                           struct error *err);

/* The arrival that a row was added with. */
const struct arrival *program_rows_arrival(const struct program_rows *rows, size_t row);

/* Two rows are of one program. */
void program_rows_join(struct program_rows *rows, size_t a, size_t b);

/* The programs of all rows; `hash_tokens` of those whose lines do not say it. Returns 0, or -1 when memory is short. */
int program_rows_build(struct program_rows *rows, uint32_t hash_tokens, struct programs *out, struct error *err);

#endif
