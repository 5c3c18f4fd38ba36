/* SPDX-License-Identifier: MIT */
/* engine_validation.h — the engine profiled, a workload served by it and simulated from the profile, policy by policy.
 */
#ifndef TANDEM_CLI_ENGINE_VALIDATION_H
#define TANDEM_CLI_ENGINE_VALIDATION_H

#include <signal.h>

#include "cli/command.h"

struct engine_validation {
    const char *policies; /* comma-separated; NULL: the usual ones */
    const char *backend;  /* NULL: the first */
    const char *plot;     /* NULL: none */
    const char *points;   /* the file that findings are kept in until all are there */
    unsigned long repeats;
    const volatile sig_atomic_t *stop;
};

/* The scenario is args->words[1], or engine-demo; --set applies to it. */
int engine_validate(const struct arguments *args, const struct engine_validation *v, struct error *err);

#endif
