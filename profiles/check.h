/* SPDX-License-Identifier: MIT */
/* check.h — how well a table predicts points that it was not given. Every line of the grid across an axis (in a
 * one-axis table: every point) is left out in turn and computed from the rest as the cost model would. */
#ifndef TANDEM_PROFILES_CHECK_H
#define TANDEM_PROFILES_CHECK_H

#include "profiles/device.h"

/* Relative errors |predicted − measured| / measured. Points that were filled in on import are not judged. */
struct check_errors {
    size_t points;             /* judged; with none the rest is 0 */
    double median, p90, worst; /* shares, not percent */
    double worst_at[TABLE_AXES];
};

struct axis_check {
    struct check_errors within; /* lines between two others: interpolation */
    struct check_errors beyond; /* the last line, from those before it: extrapolation by one step of the grid */
};

/* Leaves out the lines across one axis. An axis of fewer than three points judges nothing. */
int table_check_axis(const struct cost_table *t, size_t axis, struct axis_check *out, struct error *err);

#endif
