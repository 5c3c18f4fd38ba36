/* SPDX-License-Identifier: MIT */
#include "reports/chart.h"

#include <math.h>

enum { WIDTH = 460, HEIGHT = 300, LEFT = 62, RIGHT = 14, TOP = 30, BOTTOM = 44 };

void html_text(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
}

/* Colours are told apart by people who see red and green alike, too (Okabe and Ito 2008). */
void html_begin(FILE *out, const char *title)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>",
          out);
    html_text(out, title);
    fputs("</title>\n<style>\n"
          ":root{--ink:#1b1f24;--soft:#5b6570;--grid:#dde2e7;--page:#fff;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;"
          "--c3:#cc79a7;--c4:#e69f00;--c5:#56b4e9}\n"
          "@media (prefers-color-scheme:dark){:root{--ink:#e8ecf0;--soft:#9aa5b1;--grid:#333b44;--page:#15191e;"
          "--c0:#4aa8e8;--c1:#ff8a3d;--c2:#2fce9f;--c3:#e6a0c8;--c4:#f5bf42;--c5:#8fd0f5}}\n"
          "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:980px;margin:2rem "
          "auto;padding:0 1rem}\n"
          "h1{font-size:1.4rem;overflow-wrap:anywhere}.verdict{font-size:1.1rem}.charts{display:flex;flex-wrap:wrap;"
          "gap:1rem}"
          "svg{width:460px;max-width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}"
          "svg .title{fill:var(--ink);font-size:14px;font-weight:600}\n"
          "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}th,td{padding:.2rem .8rem;"
          "border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}th:first-child,td:first-child"
          "{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:16rem}\n"
          ".legend span{margin-right:1.2rem}.legend i{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;"
          "border-radius:2px}\n</style></head><body>\n<h1>",
          out);
    html_text(out, title);
    fputs("</h1>\n", out);
}

void html_end(FILE *out)
{
    fputs("</body></html>\n", out);
}

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

static void draw_ticks(const struct chart *c)
{
    for (double t = next_tick(&c->x, before_first(&c->x)); t <= c->x.high * (1 + 1e-9); t = next_tick(&c->x, t))
        if (t >= c->x.low * (1 - 1e-9)) {
            fprintf(c->out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"var(--grid)\"/>", at_x(c, t),
                    at_x(c, t), TOP, HEIGHT - BOTTOM);
            label(c->out, at_x(c, t), HEIGHT - BOTTOM + 16, "middle", t);
        }
    for (double t = next_tick(&c->y, before_first(&c->y)); t <= c->y.high * (1 + 1e-9); t = next_tick(&c->y, t))
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

void chart_reference(const struct chart *c, double x1, double y1, double x2, double y2)
{
    fprintf(c->out,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"var(--soft)\" stroke-dasharray=\"4 3\"/>\n",
            at_x(c, x1), at_y(c, y1), at_x(c, x2), at_y(c, y2));
}

void html_legend(FILE *out, const char *const *names, size_t count)
{
    fputs("<p class=\"legend\">", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "<span><i style=\"background:var(--c%zu)\"></i>", i % 6);
        html_text(out, names[i]);
        fputs("</span>", out);
    }
    fputs("</p>\n", out);
}
