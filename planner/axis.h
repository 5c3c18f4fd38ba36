/* SPDX-License-Identifier: MIT */
/* axis.h — what the axes of a plan's "search" and a sweep's "vary" have in common: every path and every value on it is
 * there once, so that no two points are the same, and no path overwrites what one before it has set. */
#ifndef TANDEM_PLANNER_AXIS_H
#define TANDEM_PLANNER_AXIS_H

#include "base/json.h"

/* `axes` is an object of at most `most` paths, each shorter than `size` bytes, each with an array of values, or with
 * something else that is not looked at. */
int axes_check(const struct json *axes, size_t most, size_t size, struct error *err);

/* Sets the scenario's member at an axis's path to a value, JSON as text. `file` and `list` ("vary", "search") are where
 * the path stands. */
int axis_set(struct json *scenario, const char *path, const char *value, const char *file, const char *list,
             struct error *err);

#endif
