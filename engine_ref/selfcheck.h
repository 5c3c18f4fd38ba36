/* SPDX-License-Identifier: MIT */
/* selfcheck.h — a backend against the reference: the same prompts and decodes in every layout, logits and keys and
 * values compared. What a machine with a GPU runs where there is no test library. */
#ifndef TANDEM_ENGINE_REF_SELFCHECK_H
#define TANDEM_ENGINE_REF_SELFCHECK_H

#include <stdio.h>

#include "engine_ref/instance.h"

enum selfcheck_layout {
    CHECK_RAGGED,
    CHECK_PADDED,
    CHECK_PACKED,
    CHECK_PACKED_BLOCKS,
    CHECK_CHUNKED,
    CHECK_LONG,
    CHECK_LAYOUTS
};

extern const char *const selfcheck_layouts[CHECK_LAYOUTS];

/* Prompts' lengths follow from the seed; in the last layout one has more than a thousand tokens. Tokens must be those
 * that the backend's own logits and draws say, greedy or, in chunks, sampled. Prints a row for each model and layout to
 * `out`. Returns the number of layouts with other tokens, or whose largest difference, relative to the largest value,
 * is above `tolerance`, or −1 on failure. Weights are rounded to bf16 first, so that formats of activations alone
 * differ. */
int selfcheck(const struct backend *backend, uint64_t seed, double tolerance, FILE *out, struct error *err);

#endif
