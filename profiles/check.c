/* SPDX-License-Identifier: MIT */
#include "profiles/check.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/table.h"

/* A table without one of its lines across an axis: cells lie as [outer][points of the axis][inner]. */
struct left_out {
    const struct cost_table *all;
    struct cost_table rest;
    size_t axis, points, outer, inner;
    double *rest_axis;
};

/* Puts one line of the whole table at a place of the smaller one. */
static void put_line(struct left_out *l, size_t place, size_t line)
{
    l->rest_axis[place] = l->all->axes[l->axis].at[line];
    for (size_t o = 0; o < l->outer; o++)
        memcpy(l->rest.ns + (o * (l->points - 1) + place) * l->inner, l->all->ns + (o * l->points + line) * l->inner,
               l->inner * sizeof *l->rest.ns);
}

/* Without the first line; leaving out the next one instead moves a single line. */
static int leave_first_out(const struct cost_table *t, size_t axis, struct left_out *l, struct error *err)
{
    *l = (struct left_out){.all = t, .rest = *t, .axis = axis, .outer = 1, .inner = 1};
    for (size_t a = 0; a < t->axis_count; a++)
        *(a < axis ? &l->outer : a == axis ? &l->points : &l->inner) *= a == axis ? 1 : t->axes[a].count;
    l->points = l->rest.axes[axis].count--;
    l->rest.ns = malloc(l->outer * l->points * l->inner * sizeof *l->rest.ns);
    l->rest_axis = l->rest.axes[axis].at = malloc(l->points * sizeof *l->rest_axis);
    if (!l->rest.ns || !l->rest_axis)
        return error_no_memory(err);
    for (size_t i = 1; i < l->points; i++)
        put_line(l, i - 1, i);
    return 0;
}

static void place_of(const struct cost_table *t, size_t cell, double at[TABLE_AXES])
{
    for (size_t a = t->axis_count; a-- > 0;) {
        at[a] = t->axes[a].at[cell % t->axes[a].count];
        cell /= t->axes[a].count;
    }
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool measured(const struct cost_table *t, size_t cell)
{
    double index = (double)cell;
    return t->ns[cell] > 0 &&
           !(t->filled_count && bsearch(&index, t->filled, t->filled_count, sizeof index, compare_numbers));
}

/* Appends the errors of the left-out line to errors[]; the worst of all so far is kept in *out. */
static void judge_line(const struct left_out *l, size_t line, double *errors, struct check_errors *out)
{
    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0; i < l->inner; i++) {
            size_t cell = (o * l->points + line) * l->inner + i;
            double at[TABLE_AXES] = {0};
            enum table_where ignored = TABLE_MEASURED;
            if (!measured(l->all, cell))
                continue;
            place_of(l->all, cell, at);
            double ns = l->all->ns[cell], error = fabs(table_value(&l->rest, at, &ignored) - ns) / ns;
            if (out->points == 0 || error > out->worst) {
                out->worst = error;
                memcpy(out->worst_at, at, sizeof at);
            }
            errors[out->points++] = error;
        }
}

static void sum_up(double *errors, struct check_errors *out)
{
    if (!out->points)
        return;
    gsl_sort(errors, 1, out->points);
    out->median = gsl_stats_median_from_sorted_data(errors, 1, out->points);
    out->p90 = gsl_stats_quantile_from_sorted_data(errors, 1, out->points, 0.9);
}

int table_check_axis(const struct cost_table *t, size_t axis, struct axis_check *out, struct error *err)
{
    *out = (struct axis_check){0};
    size_t points = axis < t->axis_count ? t->axes[axis].count : 0;
    if (points < 3)
        return 0;
    struct left_out l;
    double *errors = malloc(table_cells(t) * sizeof *errors);
    int status = leave_first_out(t, axis, &l, err);
    if (status == 0 && !errors)
        status = error_no_memory(err);
    for (size_t line = 1; status == 0 && line < points; line++) {
        put_line(&l, line - 1, line - 1);
        if (line + 1 < points) {
            judge_line(&l, line, errors, &out->within);
            continue;
        }
        sum_up(errors, &out->within);
        judge_line(&l, line, errors, &out->beyond);
        sum_up(errors, &out->beyond);
    }
    free(errors);
    free(l.rest.ns);
    free(l.rest_axis);
    return status;
}
