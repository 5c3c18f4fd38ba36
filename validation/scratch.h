/* SPDX-License-Identifier: MIT */
/* scratch.h — two profiles that are only needed while something is validated, in a folder that nobody else can write
 * in. A signal removes them, too. */
#ifndef TANDEM_VALIDATION_SCRATCH_H
#define TANDEM_VALIDATION_SCRATCH_H

#include "base/error.h"

enum { SCRATCH_FOLDER = 400 };

struct scratch {
    char folder[SCRATCH_FOLDER];          /* "" when there is none */
    char profiles[2][SCRATCH_FOLDER + 8]; /* paths in it; nothing is there yet */
    int places[3];                        /* of them among temporaries */
};

/* Makes the folder, in $TMPDIR or /tmp. Returns 0, or -1 with the error set and nothing to remove. */
int scratch_make(struct scratch *s, struct error *err);

/* Removes it with what is in it; nothing where there is none. */
void scratch_remove(struct scratch *s);

#endif
