/* SPDX-License-Identifier: MIT */
/* chart.h — charts drawn as SVG into a page (html.h), readable in light and dark. */
#ifndef TANDEM_REPORTS_PAGES_CHART_H
#define TANDEM_REPORTS_PAGES_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct chart_axis {
    const char *label;
    double low, high; /* low < high; above 0 on a logarithmic axis */
    bool logarithmic;
};

struct chart {
    const char *title;
    struct chart_axis x, y;
    FILE *out;
};

/* Opens the SVG and draws frame, ticks and labels. */
void chart_begin(const struct chart *c);
void chart_end(const struct chart *c);

/* Colour `series` (0 to 5) through points, or marks at them; what lies outside the axes is drawn at their edge. */
void chart_line(const struct chart *c, int series, const double *x, const double *y, size_t count);
void chart_points(const struct chart *c, int series, const double *x, const double *y, size_t count);

/* An interval along x at height y, with strokes at its ends. */
void chart_interval(const struct chart *c, double low, double high, double y);

/* A thin dashed line, for reference. */
void chart_reference(const struct chart *c, double x1, double y1, double x2, double y2);

#endif
