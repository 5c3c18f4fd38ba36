/* SPDX-License-Identifier: MIT */
/* validate_engine.h — `validate engine`: its options read, its progress and its tables printed. */
#ifndef TANDEM_CLI_VALIDATE_ENGINE_H
#define TANDEM_CLI_VALIDATE_ENGINE_H

#include "cli/command.h"

struct engine_wishes {
    const char *policies; /* comma-separated; NULL: the usual ones */
    const char *backend;  /* NULL: the first */
    const char *plot;     /* NULL: none */
    bool uncorrected;     /* by no reference */
    unsigned long repeats, threads;
    double repeat_s; /* that one may take */
    double loads[8]; /* [load_count] shares of capacity */
    size_t load_count;
};

/* The scenario is args->words[1], or engine-demo; --set applies to it. */
int validate_engine(const struct arguments *args, const struct engine_wishes *wishes, struct error *err);

#endif
