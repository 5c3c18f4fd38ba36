/* SPDX-License-Identifier: MIT */
/* paper_run.h — a paper's runs, the figures that come of them, and the verdict: computed from figure and band, never
 * written by hand. */
#ifndef TANDEM_VALIDATION_PAPER_RUN_H
#define TANDEM_VALIDATION_PAPER_RUN_H

#include <signal.h>

#include "validation/paper.h"

/* From best to worst; a paper's is the worst of its claims'. */
enum paper_verdict { PAPER_REPRODUCED, PAPER_DIRECTION, PAPER_NOT_REPRODUCED, PAPER_OUT_OF_SCOPE, PAPER_VERDICTS };

extern const char *const paper_verdict_names[PAPER_VERDICTS]; /* "reproduced", "direction only", … */

struct claim_result {
    double cells[PAPER_CELLS_MAX]; /* the figure at each setting; NAN: no run can say */
    double figure;                 /* the one that stands next to the claim */
    enum paper_verdict verdict;
};

struct paper_result {
    struct claim_result claims[PAPER_CLAIMS_MAX];
    enum paper_verdict verdict;
    size_t runs; /* simulations, those of searches included */
};

struct paper_options {
    const volatile sig_atomic_t *stop; /* NULL: nothing stops it */
    unsigned threads;                  /* of searches */
    bool step;                         /* every iteration singly: the same figures; searches are not stepped */
};

/* The verdict on a figure. A figure within the claim and its band is reproduced, unless something stands in for the
 * mechanism; one on the claim's side of neutral, by a tenth of the claimed effect at least, has the direction. */
enum paper_verdict paper_judge(const struct paper_claim *claim, double figure);

int paper_run(const struct paper *p, const struct paper_options *o, struct paper_result *out, struct error *err);

#endif
