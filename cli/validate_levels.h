/* SPDX-License-Identifier: MIT */
/* validate_levels.h — `validate measured RESULT…`: what a benchmark measured next to simulations of the same loads. */
#ifndef TANDEM_CLI_VALIDATE_LEVELS_H
#define TANDEM_CLI_VALIDATE_LEVELS_H

#include "cli/server_scenario.h"

/* Whether a result is one of levels.h that `validate measured` has no older form for: 1, 0, or -1 where that cannot be
 * told. */
int result_has_levels(const char *path, struct error *err) __attribute__((warn_unused_result));

/* Prints every statistic that was measured, and the means of their errors. */
int validate_levels(const struct arguments *args, const struct server_wishes *wishes, struct error *err);

#endif
