/* SPDX-License-Identifier: MIT */
/* progress.h — how far long work is, on standard error: a line that rewrites itself on a terminal, else one every ten
 * seconds. */
#ifndef TANDEM_CLI_PROGRESS_H
#define TANDEM_CLI_PROGRESS_H

#include "cli/signals.h"
#include "planner/pool.h"

struct progress {
    double started_s, told_s;
    bool terminal, told, quiet;
    char stage[160];    /* what is being done */
    double done_before; /* pieces that were there when it began: they say nothing about speed */
};

/* The watch tells `p` and stops on a signal (signals.h). */
void progress_start(struct progress *p, bool quiet, struct planner_watch *watch);
void progress_end(struct progress *p);

/* Whether standard error is a terminal on which a line can be written anew: TERM=dumb says that it cannot. */
bool progress_on_terminal(void);

double wall_clock_s(void);

/* Seconds as people say them: "1 h 05 min", "3 min 20 s", "12 s". */
void print_duration(char *out, size_t size, double seconds);

#endif
