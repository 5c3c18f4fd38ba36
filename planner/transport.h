/* SPDX-License-Identifier: MIT */
/* transport.h — messages between the ranks of a job. MPI's is a shared object next to the program (planner/mpi/),
 * opened where a launcher has started it, so that the program itself needs no MPI. */
#ifndef TANDEM_PLANNER_TRANSPORT_H
#define TANDEM_PLANNER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

struct transport {
    int rank, size;
    /* Takes a copy and does not wait for the other side. Returns 0, or -1 when the rank cannot be reached. */
    int (*send)(struct transport *t, int to, const void *bytes, size_t size);
    /* The next message, which is the caller's to free, from whomever it comes; waits for up to wait_s. Returns 1; 0
     * when there was none; -1 when the job is broken. */
    int (*receive)(struct transport *t, int *from, void **bytes, size_t *size, double wait_s);
    /* Together with all others, or, when some of them are dead, without waiting for anybody. */
    void (*leave)(struct transport *t, bool together);
    void *self;
};

/* What the shared object is asked for. Returns 0, or -1. */
typedef int (*transport_open)(struct transport *out);

#define TRANSPORT_OPEN "tandem_mpi_open"

#endif
