/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/printable.h"

double wall_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void print_duration(char *out, size_t size, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(out, size, "%ld s", s);
}

static void print_bar(char *out, size_t size, double share)
{
    enum { WIDTH = 24 };
    size_t full = (size_t)(share * WIDTH), used = 0;
    for (size_t i = 0; i < WIDTH && used + 4 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s", i < full ? "█" : "░");
}

static void tell(void *state, const char *what, double done, double of)
{
    struct progress *p = state;
    double now = wall_clock_s();
    if (of == 0)
        snprintf(p->stage, sizeof p->stage, "%s", what);
    if (p->quiet || now - p->told_s < (p->terminal ? 0.2 : 10))
        return;
    p->told_s = now;
    p->told = true;
    char bar[128] = "", left[32] = "", line[512];
    if (of > 0)
        print_bar(bar, sizeof bar, done / of);
    double news = done - p->done_before;
    if (of > 0 && news > 0)
        print_duration(left, sizeof left, (now - p->started_s) / news * (of - done));
    if (of == 0)
        snprintf(line, sizeof line, "%s", what);
    else if (p->stage[0])
        snprintf(line, sizeof line, "%s: %s %.0f of %.0f", p->stage, what, done, of);
    else
        snprintf(line, sizeof line, "%s %.0f of %.0f %s, %s left", bar, done, of, what, left);
    fprintf(stderr, "%s%s%s", p->terminal ? "\r" : "", line, p->terminal ? "\033[K" : "\n");
}

/* A line that stays, with the time that it took. */
static void note(void *state, const char *line)
{
    struct progress *p = state;
    fprintf(stderr, "%s%.1f s: %s\n", p->told && p->terminal ? "\r\033[K" : "", wall_clock_s() - p->started_s,
            PRINTABLE(line));
}

bool progress_on_terminal(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && !(kind && strcmp(kind, "dumb") == 0);
}

void progress_start(struct progress *p, bool quiet, struct planner_watch *watch)
{
    double now = wall_clock_s();
    *p = (struct progress){.started_s = now, .told_s = now, .terminal = progress_on_terminal(), .quiet = quiet};
    *watch =
        (struct planner_watch){.stop = stop_on_signal(), .progress = tell, .note = quiet ? NULL : note, .state = p};
}

void progress_end(struct progress *p)
{
    if (p->told && p->terminal)
        fprintf(stderr, "\r\033[K");
}
