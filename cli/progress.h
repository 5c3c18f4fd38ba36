/* SPDX-License-Identifier: MIT */
/* progress.h — how far long work is, on standard error: a line that rewrites itself on a terminal, else one every ten
 * seconds. Also what makes Ctrl-C end it cleanly. */
#ifndef TANDEM_CLI_PROGRESS_H
#define TANDEM_CLI_PROGRESS_H

#include "planner/pool.h"

struct progress {
    double started_s, told_s;
    bool terminal, told, quiet;
    char stage[160];    /* what is being done */
    double done_before; /* pieces that were there when it began: they say nothing about speed */
};

/* The watch tells `p` and stops on SIGINT and SIGTERM. */
void progress_start(struct progress *p, bool quiet, struct planner_watch *watch);
void progress_end(struct progress *p);

/* From now on Ctrl-C, or SIGTERM, does not end the program but makes this other than 0. */
const volatile sig_atomic_t *stop_on_signal(void);

double wall_clock_s(void);

/* Seconds as people say them: "1 h 05 min", "3 min 20 s", "12 s". */
void print_duration(char *out, size_t size, double seconds);

#endif
