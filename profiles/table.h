/* SPDX-License-Identifier: MIT */
/* table.h — measured times of one operation over one to four axes, and how they are read between and beyond their
 * points. Inside the range linear between neighbours, so that measured steps are kept; outside by the operation's own
 * scaling, anchored at the edge, never decreasing. */
#ifndef TANDEM_PROFILES_TABLE_H
#define TANDEM_PROFILES_TABLE_H

#include <stdint.h>

#include "profiles/dtype.h"

enum { TABLE_NAME_BYTES = 24, TABLE_AXES = 4 };

/* What the kernels of a table were measured on; 0 where it does not say. A table that says nothing holds for its
 * profile's model and tensor-parallel degree; one that does holds for every model with that shape. */
struct table_shape {
    bool any;                                                    /* says something */
    enum dtype dtype, kv_dtype;                                  /* arithmetic and weights; KV cache */
    double heads, kv_heads, head_dim;                            /* attention, of one GPU */
    double hidden, intermediate, experts, top_k, tensor, expert; /* experts: whole widths, and ways they are sharded */
    double gpus;                                                 /* collectives */
};

struct table_axis {
    double *at; /* [count], ascending, owned */
    size_t count;
};

struct cost_table {
    char op[TABLE_NAME_BYTES];
    struct table_shape shape;
    struct table_axis axes[TABLE_AXES]; /* row-major, the last one fastest */
    size_t axis_count;
    double *ns;                           /* [table_cells], medians or, where the next are kept, means; owned */
    double *median, *p10, *p90, *samples; /* [table_cells], or NULL where they were not kept */
    double *filled; /* indices into ns, ascending, of points that were not measured but lie on a line between others */
    size_t filled_count;
    size_t unused; /* measured points that did not fit the grid */
};

/* The axes of an operation's table: what they count, in the order of the table. Two-axis operations may come with the
 * first axis alone where `least` is 1. */
struct table_kind {
    const char *op;
    const char *axes[TABLE_AXES];
    size_t axis_count, least;
};

/* The kind of an operation, or NULL when there is none of that name. */
const struct table_kind *table_kind_find(const char *op);

size_t table_cells(const struct cost_table *t);
void table_release(struct cost_table *t);

/* Reads a table from a profile, or writes one. */
int table_read(const struct json *at, struct cost_table *out, struct error *err);
cJSON *table_write(const struct cost_table *t);

/* How far what was read lies from what was measured. */
enum table_where { TABLE_MEASURED, TABLE_BETWEEN, TABLE_BEYOND };

/* All of the following raise *where to what they read; start from TABLE_MEASURED. */

/* One axis: linear in x beyond the last point with the slope of the last octave. */
double table_at(const struct cost_table *t, double x, enum table_where *where);

/* Two axes, straight in both; beyond the range by the last octave (columns) and the last segment (rows). */
double table_grid_at(const struct cost_table *t, double row, double column, enum table_where *where);

/* Prefill attention [new tokens][KV before]: linear in KV on each row, between rows linear in the work c·(k + c/2);
 * beyond the last row on the line of the last octave. With prompts of no KV before alone, a chunk is what its prompt
 * takes up to its end less what it takes up to its start, and never less than its share by length. */
double table_prefill_at(const struct cost_table *t, double new_tokens, double kv_before, enum table_where *where);

/* Mixed launches [new tokens][KV before][sequences][mean KV]: linear in every axis between neighbours, by the last
 * segment's slope beyond an axis, flat before it. */
double table_mixed_at(const struct cost_table *t, double new_tokens, double kv_before, double sequences, double kv,
                      enum table_where *where);

/* GEMMs [m][n][k]: linear in m, beyond the range by the last segment; between sizes the time of a weight, ns / (n·k),
 * is interpolated over log n and log k, and beyond them kept. */
double table_gemm_at(const struct cost_table *t, double m, double n, double k, enum table_where *where);

/* An operation's table read as the cost model reads it, at a place on each of its axes. */
double table_value(const struct cost_table *t, const double at[TABLE_AXES], enum table_where *where);

/* The index i with axis[i] <= x < axis[i + 1], from 0 to count - 2 (0 when count is 1). */
size_t table_segment(const struct table_axis *axis, double x);

#endif
