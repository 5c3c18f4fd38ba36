/* SPDX-License-Identifier: MIT */
/* paper.h — a published system as a row of data: what its paper claims, in which setting, and how the same figure is
 * computed from runs here. One folder each, papers/ID, with paper.json (docs/papers.md says what it holds). */
#ifndef TANDEM_VALIDATION_PAPER_H
#define TANDEM_VALIDATION_PAPER_H

#include <stddef.h>

#include "base/json.h"

enum { PAPER_ID = 64, PAPER_CLAIMS_MAX = 8, PAPER_CELLS_MAX = 32 };

/* Of the figures at several settings, which one stands next to the claim. */
enum paper_take { TAKE_MOST, TAKE_LEAST, TAKE_MEAN };

struct paper_claim {
    const char *says;     /* in words */
    double low, high;     /* what is claimed: a number (both), a range, at least (high INFINITY), at most (low −) */
    double band;          /* reproduced: within the claim, less and plus this share of its effect */
    double neutral;       /* the figure of a system that changes nothing: the direction is away from it; NAN: none */
    struct json figure;   /* node NULL: no run can say */
    struct json vary;     /* settings that it is computed at, several values each; node NULL: the scenario's alone */
    size_t cells;         /* how many settings; 1 without */
    enum paper_take take; /* of them */
    const char *stand_in; /* what stands for a mechanism that is missing, so that no figure counts; NULL: nothing */
    const char *out_of_scope; /* why no simulator can say; NULL: one can */
    const char *why;          /* cause where it is not reproduced; NULL: not named */
};

struct paper {
    struct json root; /* owned; texts below live in it */
    char id[PAPER_ID];
    char folder[256];                          /* "papers/ID", or where it was read from */
    char file[272];                            /* in it */
    const char *title, *source, *out_of_scope; /* the last one NULL: it is in scope */
    long long year;
    struct json stated, assumed; /* lists of sentences */
    struct json scenario, runs;  /* what all runs have in common; by name, what each one sets */
    struct paper_claim claims[PAPER_CLAIMS_MAX];
    size_t claim_count;
};

/* Ids of the papers that are part of the program, in order; NULL after the last. */
const char *paper_at(size_t index);

/* Reads and checks a shipped paper by its id, or a folder whose path has a '/' in it. Release with
 * paper_release; it must not be moved before. */
int paper_load(const char *id_or_folder, struct paper *out, struct error *err);
void paper_release(struct paper *p);

/* The scenario of a run, at a setting of `claim` (NULL: the run's alone); its names of files are such that it can be
 * compiled. The caller's to free; NULL with an error. */
char *paper_scenario(const struct paper *p, const char *run, const struct paper_claim *claim, size_t cell,
                     struct error *err);

#endif
