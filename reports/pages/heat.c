/* SPDX-License-Identifier: MIT */
#include "reports/pages/heat.h"

#include <math.h>
#include <string.h>

#include "reports/pages/html.h"

enum { CELL_WIDTH = 46, CELL_HEIGHT = 24, LEFT = 96, TOP = 28, BOTTOM = 44, SHADES = 7, DARK_FROM = 4, LETTER = 7 };

static size_t bottom(const struct heat *h)
{
    return TOP + h->rows * CELL_HEIGHT;
}

void heat_begin(const struct heat *h)
{
    size_t width = LEFT + h->columns * CELL_WIDTH + 8;
    width = width < 300 ? 300 : width;
    fprintf(h->out, "<svg class=\"heat\" viewBox=\"0 0 %zu %zu\" style=\"width:%zupx\" role=\"img\" aria-label=\"",
            width, bottom(h) + BOTTOM, width);
    html_text(h->out, h->title);
    fputs("; the table below has the numbers\"><text class=\"title\" x=\"4\" y=\"16\">", h->out);
    html_text(h->out, h->title);
    fprintf(h->out, "</text><text x=\"%zu\" y=\"%zu\" text-anchor=\"middle\">", LEFT + h->columns * CELL_WIDTH / 2,
            bottom(h) + BOTTOM - 8);
    html_text(h->out, h->x_label);
    if (strlen(h->y_label) * LETTER < h->rows * CELL_HEIGHT)
        fprintf(h->out, "</text><text transform=\"translate(14,%zu) rotate(-90)\" text-anchor=\"middle\">",
                TOP + h->rows * CELL_HEIGHT / 2);
    else
        fprintf(h->out, "</text><text x=\"4\" y=\"%zu\">", bottom(h) + 16);
    html_text(h->out, h->y_label);
    fputs("</text>\n", h->out);
}

void heat_column(const struct heat *h, size_t column, const char *name)
{
    fprintf(h->out, "<text x=\"%zu\" y=\"%zu\" text-anchor=\"middle\">", LEFT + column * CELL_WIDTH + CELL_WIDTH / 2,
            bottom(h) + 16);
    html_text(h->out, name);
    fputs("</text>", h->out);
}

static size_t top_of(const struct heat *h, size_t row)
{
    return TOP + (h->rows - 1 - row) * CELL_HEIGHT;
}

void heat_row(const struct heat *h, size_t row, const char *name)
{
    fprintf(h->out, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", LEFT - 6, top_of(h, row) + 16);
    html_text(h->out, name);
    fputs("</text>", h->out);
}

void heat_cell(const struct heat *h, const struct heat_cell *cell)
{
    size_t x = LEFT + cell->column * CELL_WIDTH, y = top_of(h, cell->row);
    int shade = (int)lround(fmin(fmax(cell->share, 0), 1) * (SHADES - 1));
    if (cell->link) {
        fputs("<a href=\"", h->out);
        html_text(h->out, cell->link);
        fputs("\">", h->out);
    }
    fprintf(
        h->out,
        "<g><rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" fill=\"var(--h%d)\"/><text class=\"in%s\" x=\"%zu\" "
        "y=\"%zu\" text-anchor=\"middle\">",
        x + 1, y + 1, CELL_WIDTH - 2, CELL_HEIGHT - 2, shade, shade >= DARK_FROM ? " on-dark" : "", x + CELL_WIDTH / 2,
        y + 16);
    html_text(h->out, cell->text);
    fputs("</text><title>", h->out);
    html_text(h->out, cell->tip);
    fprintf(h->out, "</title></g>%s\n", cell->link ? "</a>" : "");
}

void heat_end(const struct heat *h)
{
    fputs("</svg>\n", h->out);
}
