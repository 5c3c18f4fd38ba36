/* SPDX-License-Identifier: MIT */
#include "reports/pages/html.h"

#include <math.h>

#include "base/printable.h"

/* Made from page.css, page.js and vendor/uplot. Colours are told apart by people who see red and green alike, too
 * (Okabe and Ito 2008). */
extern const char page_css[], page_js[], uplot_js[], uplot_css[], uplot_licence[];

/* A character that would change how others are read, or that is none; its length. */
static size_t hidden(const char *text)
{
    unsigned long code = 0;
    size_t length = utf8_next(text, &code);
    return length == 0 ? 1 : printable_code(code) || code == '\n' || code == '\t' ? 0 : length;
}

static void html_character(FILE *out, char c)
{
    switch (c) {
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
        fputc(c, out);
    }
}

void html_text(FILE *out, const char *text)
{
    while (*text) {
        unsigned long code = 0;
        size_t skip = hidden(text), length = utf8_next(text, &code);
        if (skip)
            fprintf(out, length ? "\\u{%lx}" : "�", code);
        for (size_t i = 0; !skip && i < length; i++)
            html_character(out, text[i]);
        text += skip ? skip : length;
    }
}

void html_begin(FILE *out, const char *title)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>",
          out);
    html_text(out, title);
    fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<h1>", page_css);
    html_text(out, title);
    fputs("</h1>\n", out);
}

void html_end(FILE *out)
{
    fprintf(out, "<script>\n%s</script>\n</body></html>\n", page_js);
}

void html_series_library(FILE *out)
{
    fprintf(out, "<style>%s</style>\n<script>/* uPlot.\n%s*/\n%s</script>\n", uplot_css, uplot_licence, uplot_js);
}

void html_heading(FILE *out, const char *id, const char *title)
{
    fprintf(out, "<h2 id=\"%s\">", id);
    html_text(out, title);
    fputs("</h2>\n", out);
}

void html_seconds(char *out, size_t size, double s)
{
    if (!isfinite(s))
        snprintf(out, size, "–");
    else if (s < 1e-3)
        snprintf(out, size, "%.3g µs", s * 1e6);
    else if (s < 1)
        snprintf(out, size, "%.3g ms", s * 1e3);
    else
        snprintf(out, size, s < 1000 ? "%.3g s" : "%.0f s", s);
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
