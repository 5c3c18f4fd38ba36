/* SPDX-License-Identifier: MIT */
/* validate_distserve.h — `validate distserve FOLDER`. */
#ifndef TANDEM_CLI_VALIDATE_DISTSERVE_H
#define TANDEM_CLI_VALIDATE_DISTSERVE_H

#include "cli/command.h"

/* A line for each run, measured and simulated, then the largest difference of either system, then what was left out. */
int validate_distserve(const struct arguments *args, const char *folder, struct error *err);

#endif
