/* SPDX-License-Identifier: MIT */
/* papers_print.h — papers and what came of them: as text, as JSON, as the tables of docs/papers.md, and as a page. */
#ifndef TANDEM_CLI_PAPERS_PRINT_H
#define TANDEM_CLI_PAPERS_PRINT_H

#include <stdio.h>

#include "validation/paper_run.h"

/* A paper and its result; of a paper that is shown but has not been run, NULL. */
void papers_print_text(FILE *out, const struct paper *p, const struct paper_result *r);
int papers_print_json(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count,
                      struct error *err);
void papers_print_markdown(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count);

void papers_print_html(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count);

/* How many papers and claims came to each verdict. */
void papers_print_counts(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count);

#endif
