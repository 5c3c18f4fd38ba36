/* SPDX-License-Identifier: MIT */
/* validate_points.h — `validate measured FILE.csv`: operating points simulated, and a table of errors printed. */
#ifndef TANDEM_CLI_VALIDATE_POINTS_H
#define TANDEM_CLI_VALIDATE_POINTS_H

#include "cli/command.h"
#include "reports/store/store.h"

struct point_wishes {
    const char *device;
    const char *half; /* "fit" or "judge"; NULL: both */
    const char *csv;  /* file for a line of each point; NULL: none */
    const char *plot; /* NULL: none */
};

/* The file is args->words[1]; --set applies to every point's scenario; runs are kept in `store`, unless that is NULL.
 */
int validate_points(const struct arguments *args, const struct point_wishes *wishes, struct store *store,
                    struct error *err);

#endif
