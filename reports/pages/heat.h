/* SPDX-License-Identifier: MIT */
/* heat.h — a table as a picture: one coloured cell for each pair of values, as SVG. */
#ifndef TANDEM_REPORTS_PAGES_HEAT_H
#define TANDEM_REPORTS_PAGES_HEAT_H

#include <stddef.h>
#include <stdio.h>

struct heat {
    const char *title, *x_label, *y_label;
    size_t columns, rows;
    FILE *out;
};

/* Opens the SVG and draws titles. Names of rows and columns are drawn one by one, row 0 at the bottom. */
void heat_begin(const struct heat *h);
void heat_column(const struct heat *h, size_t column, const char *name);
void heat_row(const struct heat *h, size_t row, const char *name);

struct heat_cell {
    size_t column, row;
    double share;     /* 0 … 1: how dark */
    const char *text; /* in the cell; few letters */
    const char *tip;  /* when pointed at */
    const char *link; /* NULL: none */
};

void heat_cell(const struct heat *h, const struct heat_cell *cell);
void heat_end(const struct heat *h);

#endif
