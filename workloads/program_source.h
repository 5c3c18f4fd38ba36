/* SPDX-License-Identifier: MIT */
/* program_source.h — requests of programs, each as soon as those that it waits for are answered. */
#ifndef TANDEM_WORKLOADS_PROGRAM_SOURCE_H
#define TANDEM_WORKLOADS_PROGRAM_SOURCE_H

#include "workloads/program.h"
#include "workloads/source.h"

struct program_play {
    uint64_t times;    /* that all programs are played, one mean gap apart */
    double rate_scale; /* divides the times between programs */
    uint64_t lanes;    /* programs at once, each begun as one before it has ended; 0: each at its time */
};

/* Takes the programs, also after a failure. */
int program_source_create(struct programs *programs, const struct program_play *play, struct request_source *out,
                          struct error *err);

#endif
