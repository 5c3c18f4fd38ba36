/* SPDX-License-Identifier: MIT */
#include "profiles/grid.h"

#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

int grid_add(struct grid_points *points, const double at[TABLE_AXES], double ns)
{
    struct grid_point *grown = array_grow(points->items, &points->capacity, points->count + 1, sizeof *grown);
    if (!grown)
        return -1;
    points->items = grown;
    struct grid_point *p = &points->items[points->count++];
    memcpy(p->at, at, sizeof p->at);
    p->ns = ns;
    return 0;
}

void grid_release(struct grid_points *points)
{
    free(points->items);
    *points = (struct grid_points){0};
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_points(const void *a, const void *b)
{
    const struct grid_point *p = a, *q = b;
    for (size_t i = 0; i < TABLE_AXES; i++)
        if (p->at[i] != q->at[i])
            return p->at[i] > q->at[i] ? 1 : -1;
    return (p->ns > q->ns) - (p->ns < q->ns);
}

static int find_axes(const struct grid_points *points, struct cost_table *t, struct error *err)
{
    for (size_t a = 0; a < t->axis_count; a++) {
        double *at = calloc(points->count + 1, sizeof *at);
        size_t kept = 0;
        if (!at)
            return error_no_memory(err);
        for (size_t i = 0; i < points->count; i++)
            at[i] = points->items[i].at[a];
        qsort(at, points->count, sizeof *at, compare_numbers);
        for (size_t i = 0; i < points->count; i++)
            if (kept == 0 || at[i] != at[kept - 1])
                at[kept++] = at[i];
        t->axes[a] = (struct table_axis){.at = at, .count = kept};
    }
    return 0;
}

/* The cell of a point, or SIZE_MAX when one of its places is not on its axis. */
static size_t cell_of(const struct cost_table *t, const struct grid_point *p)
{
    size_t cell = 0;
    for (size_t a = 0; a < t->axis_count; a++) {
        const double *at = bsearch(&p->at[a], t->axes[a].at, t->axes[a].count, sizeof *at, compare_numbers);
        if (!at)
            return SIZE_MAX;
        cell = cell * t->axes[a].count + (size_t)(at - t->axes[a].at);
    }
    return cell;
}

static int make_cells(struct cost_table *t, bool repeated, struct error *err)
{
    size_t cells = table_cells(t);
    double **const lists[] = {&t->ns, &t->p10, &t->p90, &t->samples};
    for (size_t i = 0; i < (repeated ? 4 : 1); i++) {
        double *grown = realloc(*lists[i], (cells + 1) * sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        *lists[i] = grown;
        for (size_t c = 0; c < cells; c++)
            grown[c] = i == 0 ? NAN : 0;
    }
    return 0;
}

static bool same_place(const struct grid_point *p, const struct grid_point *q)
{
    return memcmp(p->at, q->at, sizeof p->at) ==
           0; /* NOLINT(bugprone-suspicious-memory-comparison): bits of one file */
}

static bool has_repeats(const struct grid_points *points)
{
    for (size_t i = 1; i < points->count; i++)
        if (same_place(&points->items[i - 1], &points->items[i]))
            return true;
    return false;
}

/* Puts sorted points into their cells, runs of one place by their quantiles. Returns how many points found a cell. */
static size_t put_points(const struct grid_points *points, struct cost_table *t)
{
    size_t placed = 0;
    for (size_t i = 0, next; i < points->count; i = next) {
        const struct grid_point *p = &points->items[i];
        for (next = i + 1; next < points->count && same_place(p, &points->items[next]);)
            next++;
        size_t cell = cell_of(t, p), stride = sizeof *p / sizeof(double);
        if (cell == SIZE_MAX)
            continue;
        placed += next - i;
        t->ns[cell] = gsl_stats_quantile_from_sorted_data(&p->ns, stride, next - i, 0.5);
        if (!t->samples)
            continue;
        t->p10[cell] = gsl_stats_quantile_from_sorted_data(&p->ns, stride, next - i, 0.1);
        t->p90[cell] = gsl_stats_quantile_from_sorted_data(&p->ns, stride, next - i, 0.9);
        t->samples[cell] = (double)(next - i);
    }
    return placed;
}

/* Beyond the last measured point i of a line: on the line through it and the one before it. */
static double beyond(const double *at, const double *ns, size_t i, double x)
{
    size_t before = i;
    while (before > 0 && isnan(ns[--before]))
        ;
    double slope = before < i && !isnan(ns[before]) ? (ns[i] - ns[before]) / (at[i] - at[before]) : 0;
    return ns[i] + fmax(slope, 0) * (x - at[i]);
}

/* Fills the holes (NAN) of one line. False when it holds no point at all. */
static bool fill_line(const double *at, double *ns, size_t count)
{
    size_t first = 0, last = count;
    while (first < count && isnan(ns[first]))
        first++;
    if (first == count)
        return false;
    while (isnan(ns[last - 1]))
        last--;
    for (size_t i = last; i < count; i++)
        ns[i] = beyond(at, ns, last - 1, at[i]);
    for (size_t i = 0; i < first; i++)
        ns[i] = ns[first];
    for (size_t i = first + 1; i < last; i++) {
        size_t next = i;
        while (isnan(ns[next]))
            next++;
        for (; i < next; i++)
            ns[i] = ns[i - 1] + (ns[next] - ns[i - 1]) * (at[i] - at[i - 1]) / (at[next] - at[i - 1]);
    }
    return true;
}

static int list_holes(struct cost_table *t, struct error *err)
{
    size_t cells = table_cells(t);
    for (size_t i = 0; i < cells; i++)
        t->filled_count += isnan(t->ns[i]) ? 1 : 0;
    if (t->filled_count == 0)
        return 0;
    t->filled = calloc(t->filled_count, sizeof *t->filled);
    if (!t->filled)
        return error_no_memory(err);
    for (size_t i = 0, k = 0; i < cells; i++)
        if (isnan(t->ns[i]))
            t->filled[k++] = (double)i;
    return 0;
}

static int fill_lines(struct cost_table *t, const char *where, struct error *err)
{
    const struct table_axis *last = &t->axes[t->axis_count - 1];
    for (size_t line = 0; line < table_cells(t) / last->count; line++)
        if (!fill_line(last->at, t->ns + line * last->count, last->count))
            return error_set(err, ERROR_INPUT, "%s: %s: line %zu of the grid holds no point", where, t->op, line + 1);
    return 0;
}

static int start(const char *op, size_t axes, struct grid_points *points, struct cost_table *out, struct error *err)
{
    *out = (struct cost_table){.axis_count = axes};
    snprintf(out->op, sizeof out->op, "%s", op);
    qsort(points->items, points->count, sizeof *points->items, compare_points);
    return find_axes(points, out, err);
}

int grid_table(const char *op, size_t axes, struct grid_points *points, const char *where, struct cost_table *out,
               struct error *err)
{
    if (points->count == 0)
        return error_set(err, ERROR_INPUT, "%s: holds no %s points", where, op);
    int status = start(op, axes, points, out, err) || make_cells(out, has_repeats(points), err) ? -1 : 0;
    if (status == 0) {
        put_points(points, out);
        status = list_holes(out, err) || fill_lines(out, where, err) ? -1 : 0;
    }
    if (status)
        table_release(out);
    return status;
}

static void drop_value(struct table_axis *axis, size_t at)
{
    for (axis->count--; at < axis->count; at++)
        axis->at[at] = axis->at[at + 1];
}

/* Drops the value that has the smallest share of its points. */
static void drop_worst(struct cost_table *t)
{
    size_t cells = table_cells(t), worst_axis = 0, worst = 0, stride = cells;
    double worst_share = 2;
    for (size_t a = 0; a < t->axis_count; a++) {
        size_t count = t->axes[a].count;
        stride /= count;
        for (size_t at = 0; at < count; at++) {
            size_t here = 0, all = cells / count;
            for (size_t i = 0; i < cells; i++)
                here += i / stride % count == at && !isnan(t->ns[i]) ? 1 : 0;
            if ((double)here < worst_share * (double)all) {
                worst_share = (double)here / (double)all;
                worst_axis = a;
                worst = at;
            }
        }
    }
    drop_value(&t->axes[worst_axis], worst);
}

int grid_full_table(const char *op, size_t axes, struct grid_points *points, struct cost_table *out, struct error *err)
{
    int status = start(op, axes, points, out, err);
    bool repeated = has_repeats(points);
    size_t placed = 0;
    while (status == 0) {
        status = make_cells(out, repeated, err);
        placed = status == 0 ? put_points(points, out) : 0;
        size_t holes = 0;
        for (size_t i = 0; status == 0 && i < table_cells(out); i++)
            holes += isnan(out->ns[i]) ? 1 : 0;
        if (holes == 0)
            break;
        drop_worst(out);
    }
    out->unused = points->count - placed;
    if (status)
        table_release(out);
    return status;
}
