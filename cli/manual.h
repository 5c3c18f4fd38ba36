/* SPDX-License-Identifier: MIT */
/* manual.h — man pages and completions of shells, from the tables that parse options and print --help. */
#ifndef TANDEM_CLI_MANUAL_H
#define TANDEM_CLI_MANUAL_H

#include "cli/command.h"

struct manual {
    const struct command *const *commands; /* ends with NULL */
    const struct option_spec *shared;      /* options of every command */
};

/* `tandem help --man [COMMAND]` and `tandem help --completion bash|zsh|fish`. Returns an exit status. */
int manual_print(const struct manual *m, int count, char **words, struct error *err);

#endif
