/* SPDX-License-Identifier: MIT */
#include "reports/pages/chart.h"

#include <math.h>

#include "reports/pages/html.h"

enum { WIDTH = 460, HEIGHT = 300, LEFT = 62, RIGHT = 14, TOP = 30, BOTTOM = 44, TICKS_MAX = 100 };

/* Where a value lies on an axis: 0 at its low end, 1 at its high end. */
static double share(const struct chart_axis *a, double value)
{
    double low = a->low, high = a->high;
    if (a->logarithmic) {
        low = log(low), high = log(high);
        value = value > 0 ? log(value) : low;
    }
    return fmin(fmax((value - low) / (high - low), 0), 1);
}

static double at_x(const struct chart *c, double x)
{
    return LEFT + share(&c->x, x) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct chart *c, double y)
{
    return HEIGHT - BOTTOM - share(&c->y, y) * (HEIGHT - TOP - BOTTOM);
}

/* The next tick after `from`: 1, 2 and 5 times powers of ten, or steps of such a size. */
static double next_tick(const struct chart_axis *a, double from)
{
    if (!a->logarithmic) {
        double rough = (a->high - a->low) / 5, ten = pow(10, floor(log10(rough)));
        double step = rough / ten < 1.5 ? ten : rough / ten < 3.5 ? 2 * ten : rough / ten < 7.5 ? 5 * ten : 10 * ten;
        return (floor(from / step + 1e-9) + 1) * step;
    }
    bool sparse = a->high / a->low > 1e3;
    double ten = pow(10, floor(log10(from) + 1e-9)), digit = from / ten;
    return digit < 1.99 && !sparse ? 2 * ten : digit < 4.99 && !sparse ? 5 * ten : 10 * ten;
}

static void label(FILE *out, double x, double y, const char *anchor, double value)
{
    bool thousands = fabs(value) >= 1e4;
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.4g%s</text>", x, y, anchor,
            thousands ? value / 1000 : value, thousands ? "k" : "");
}

static double before_first(const struct chart_axis *a)
{
    return a->logarithmic ? pow(10, floor(log10(a->low)) - 1) : a->low - (a->high - a->low) / 1e6;
}

/* Whether there is a tick after `from`, and where: none on an axis whose ends are too far apart, or too large, to tell.
 */
static bool step_tick(const struct chart_axis *a, double from, double *next)
{
    *next = next_tick(a, from);
    return isfinite(*next) && *next > from && *next <= a->high * (1 + 1e-9);
}

static void draw_ticks(const struct chart *c)
{
    double t = before_first(&c->x);
    for (int i = 0; i < TICKS_MAX && step_tick(&c->x, t, &t); i++)
        if (t >= c->x.low * (1 - 1e-9)) {
            fprintf(c->out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"var(--grid)\"/>", at_x(c, t),
                    at_x(c, t), TOP, HEIGHT - BOTTOM);
            label(c->out, at_x(c, t), HEIGHT - BOTTOM + 16, "middle", t);
        }
    t = before_first(&c->y);
    for (int i = 0; i < TICKS_MAX && step_tick(&c->y, t, &t); i++)
        if (t >= c->y.low * (1 - 1e-9)) {
            fprintf(c->out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--grid)\"/>", LEFT,
                    WIDTH - RIGHT, at_y(c, t), at_y(c, t));
            label(c->out, LEFT - 6, at_y(c, t) + 4, "end", t);
        }
}

void chart_begin(const struct chart *c)
{
    fprintf(c->out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    html_text(c->out, c->title);
    fprintf(c->out, "\"><text class=\"title\" x=\"%d\" y=\"18\">", LEFT);
    html_text(c->out, c->title);
    fputs("</text>", c->out);
    draw_ticks(c);
    fprintf(c->out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
    html_text(c->out, c->x.label);
    fprintf(c->out, "</text><text transform=\"translate(14,%d) rotate(-90)\" text-anchor=\"middle\">",
            (TOP + HEIGHT - BOTTOM) / 2);
    html_text(c->out, c->y.label);
    fputs("</text>\n", c->out);
}

void chart_end(const struct chart *c)
{
    fputs("</svg>\n", c->out);
}

void chart_line(const struct chart *c, int series, const double *x, const double *y, size_t count)
{
    fprintf(c->out, "<polyline fill=\"none\" stroke=\"var(--c%d)\" stroke-width=\"1.8\" points=\"", series);
    for (size_t i = 0; i < count; i++)
        fprintf(c->out, "%.1f,%.1f ", at_x(c, x[i]), at_y(c, y[i]));
    fputs("\"/>\n", c->out);
}

void chart_points(const struct chart *c, int series, const double *x, const double *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(c->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"var(--c%d)\" fill-opacity=\"0.7\"/>",
                at_x(c, x[i]), at_y(c, y[i]), series);
    fputc('\n', c->out);
}

void chart_interval(const struct chart *c, double low, double high, double y)
{
    double a = at_x(c, low), b = at_x(c, high), h = at_y(c, y);
    fprintf(c->out, "<path d=\"M%.1f,%.1fv8M%.1f,%.1fv8M%.1f,%.1fH%.1f\" fill=\"none\" stroke=\"var(--ink)\"/>\n", a,
            h - 4, b, h - 4, a, h, b);
}

void chart_reference(const struct chart *c, double x1, double y1, double x2, double y2)
{
    fprintf(c->out,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"var(--soft)\" stroke-dasharray=\"4 3\"/>\n",
            at_x(c, x1), at_y(c, y1), at_x(c, x2), at_y(c, y2));
}
