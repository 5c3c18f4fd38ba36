/* SPDX-License-Identifier: MIT */
/* papers_parts.h — pieces of text that every form of papers is made of; only papers_*.c include it. */
#ifndef TANDEM_CLI_PAPERS_PARTS_H
#define TANDEM_CLI_PAPERS_PARTS_H

#include "cli/papers_print.h"

enum { PAPERS_TEXT = 64 };

void papers_number(double value, char *out /* [PAPERS_TEXT] */);

/* "6 ± 25 %", "1.1 to 2 ± 25 %", "at least 2". */
void papers_claimed(const struct paper_claim *c, char *out /* [2 * PAPERS_TEXT] */);

/* The verdict with its cause: what stands in for the mechanism, or why the figure is another. */
void papers_verdict_text(const struct paper_claim *c, const struct claim_result *r, char *out, size_t size);

/* A setting by the last keys of its paths: "max_sequences 16". */
void papers_cell_name(const struct paper_claim *c, size_t cell, char *out, size_t size);

void papers_counts(const struct paper *papers, const struct paper_result *results, size_t count, char *out,
                   size_t size);

#endif
