/* SPDX-License-Identifier: MIT */
/* grid.h — measured points, as importers and profilers find them, made into a table's full grid. */
#ifndef TANDEM_PROFILES_GRID_H
#define TANDEM_PROFILES_GRID_H

#include "profiles/table.h"

struct grid_point {
    double at[TABLE_AXES]; /* places on the axes that the table has; the others 0 */
    double ns;
};

struct grid_points {
    struct grid_point *items; /* owned */
    size_t count, capacity;
};

/* Appends a point. Returns 0, or -1 when memory is short. */
int grid_add(struct grid_points *points, const double at[TABLE_AXES], double ns);
void grid_release(struct grid_points *points);

/* A table over the first `axes` axes of every value that occurs. Points measured more than once count by their median,
 * and p10, p90 and samples are kept. What was not measured lies on the straight line along the last axis: between its
 * neighbours, on the last two points' line (never falling) beyond them, level before them; such points are listed as
 * filled. Lines without a point are an input error that names `where`. The points are sorted. Release the table with
 * table_release. */
int grid_table(const char *op, size_t axes, struct grid_points *points, const char *where, struct cost_table *out,
               struct error *err);

/* As grid_table, but values whose lines have holes are dropped until the grid is full; points left over are counted as
 * unused. */
int grid_full_table(const char *op, size_t axes, struct grid_points *points, struct cost_table *out, struct error *err);

#endif
