/* SPDX-License-Identifier: MIT */
/* server_scenario.h — the scenario that stands for a server whose benchmark is read. */
#ifndef TANDEM_CLI_SERVER_SCENARIO_H
#define TANDEM_CLI_SERVER_SCENARIO_H

#include "cli/command.h"
#include "validation/levels.h"

struct server_wishes {
    const char *scenario, *profile; /* what --scenario and --profile say, or NULL */
};

/* Reads the results that the words from `first` on name. */
int server_levels(const struct arguments *args, int first, const struct server_wishes *wishes, struct levels *out,
                  struct error *err);

/* What the results say themselves, or --scenario; on the device of --profile, with --set. The caller owns *out. */
int server_scenario(const struct arguments *args, const struct server_wishes *wishes, const struct levels *levels,
                    struct json *out, struct error *err);

#endif
