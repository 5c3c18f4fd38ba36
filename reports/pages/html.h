/* SPDX-License-Identifier: MIT */
/* html.h — the frame of every page that we write: one file with its style and script inside, no network, light and
 * dark, readable without the script. */
#ifndef TANDEM_REPORTS_PAGES_HTML_H
#define TANDEM_REPORTS_PAGES_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

/* Everything before a page's content, and after it. html_series_library goes before the end of pages that have a
 * <script class="series" type="application/json">. */
void html_begin(FILE *out, const char *title);
void html_end(FILE *out);
void html_series_library(FILE *out);

void html_heading(FILE *out, const char *id, const char *title);

/* Text with &, <, > and quotes escaped, and characters that hide or turn others round written as \u{..}. What is
 * not UTF-8, as where a text was cut, is the replacement character. */
void html_text(FILE *out, const char *text);

/* Seconds as people read them: "1.23 ms"; "–" where there is none. */
void html_seconds(char *out, size_t size, double seconds);

/* Names next to their colours, under the charts. */
void html_legend(FILE *out, const char *const *names, size_t count);

#endif
