/* SPDX-License-Identifier: MIT */
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "planner/transport.h"

enum { LEAVE_S = 60 };

/* Sent and not yet gone. */
struct parcel {
    MPI_Request request;
    void *bytes;
    struct parcel *next;
};

/* Being received. One whose sender dies meanwhile never arrives: whoever waited for it would wait for ever. */
struct arrival {
    MPI_Request request;
    int from;
    void *bytes;
    size_t size;
    struct arrival *next;
};

struct mpi {
    struct parcel *parcels;
    struct arrival *arrivals; /* in the order in which they were sent, by sender */
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void free_sent(struct mpi *m)
{
    for (struct parcel **at = &m->parcels; *at;) {
        struct parcel *p = *at;
        int done = 0;
        if (MPI_Test(&p->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p->bytes);
        free(p);
    }
}

static int mpi_send(struct transport *t, int to, const void *bytes, size_t size)
{
    struct mpi *m = t->self;
    struct parcel *p = calloc(1, sizeof *p);
    free_sent(m);
    if (!p || !(p->bytes = malloc(size))) {
        free(p);
        return -1;
    }
    memcpy(p->bytes, bytes, size);
    if (MPI_Isend(p->bytes, (int)size, MPI_BYTE, to, 0, MPI_COMM_WORLD, &p->request) != MPI_SUCCESS) {
        free(p->bytes);
        free(p);
        return -1;
    }
    p->next = m->parcels;
    m->parcels = p;
    return 0;
}

static void expect(struct mpi *m, MPI_Message *message, const MPI_Status *status)
{
    struct arrival *a = calloc(1, sizeof *a), **last = &m->arrivals;
    int length = 0;
    MPI_Get_count(status, MPI_BYTE, &length);
    if (!a || !(a->bytes = malloc((size_t)length + 1)) ||
        MPI_Imrecv(a->bytes, length, MPI_BYTE, message, &a->request) != MPI_SUCCESS) {
        free(a ? a->bytes : NULL); /* lost, as if its sender were dead: somebody else is asked */
        free(a);
        return;
    }
    a->from = status->MPI_SOURCE;
    a->size = (size_t)length;
    while (*last)
        last = &(*last)->next;
    *last = a;
}

static bool earlier_of_same(const struct mpi *m, const struct arrival *a)
{
    for (const struct arrival *e = m->arrivals; e != a; e = e->next)
        if (e->from == a->from)
            return true;
    return false;
}

/* Takes the first message that is here whole, from the list. */
static bool take_whole(struct mpi *m, int *from, void **bytes, size_t *size)
{
    for (struct arrival **at = &m->arrivals; *at;) {
        struct arrival *a = *at;
        int done = 0, status = earlier_of_same(m, a) ? MPI_SUCCESS : MPI_Test(&a->request, &done, MPI_STATUS_IGNORE);
        if (status == MPI_SUCCESS && !done) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        *from = a->from;
        *bytes = a->bytes;
        *size = a->size;
        free(a);
        if (status == MPI_SUCCESS)
            return true;
        free(*bytes); /* its sender died */
    }
    return false;
}

/* Asks more and more rarely, up to every millisecond, so that who waits leaves the processor to others. */
static int mpi_receive(struct transport *t, int *from, void **bytes, size_t *size, double wait_s)
{
    struct mpi *m = t->self;
    double until = now_s() + wait_s;
    for (long pause_ns = 2000;; pause_ns = pause_ns < 500000 ? 2 * pause_ns : 1000000) {
        int here = 0;
        MPI_Message message;
        MPI_Status status;
        free_sent(m);
        if (MPI_Improbe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &here, &message, &status) == MPI_SUCCESS && here)
            expect(m, &message, &status); /* where somebody died, others may still send */
        if (take_whole(m, from, bytes, size))
            return 1;
        if (now_s() >= until)
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
    }
}

/* Whether all have come to the end of the job, and have all that was sent to them: MPI_Finalize() waits for ever for
 * one that died on its way there, or stands still. */
static bool all_are_here(struct mpi *m)
{
    MPI_Request barrier;
    int here = 0;
    if (MPI_Ibarrier(MPI_COMM_WORLD, &barrier) != MPI_SUCCESS)
        return false;
    for (double until = now_s() + LEAVE_S; now_s() < until && !(here && !m->parcels);) {
        free_sent(m);
        if (!here && MPI_Test(&barrier, &here, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return here && !m->parcels;
}

static void mpi_leave(struct transport *t, bool together)
{
    if (together && all_are_here(t->self))
        MPI_Finalize();
    free(t->self);
    t->self = NULL;
}

int tandem_mpi_open(struct transport *out);

int tandem_mpi_open(struct transport *out)
{
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS)
        return -1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    *out = (struct transport){.send = mpi_send, .receive = mpi_receive, .leave = mpi_leave};
    out->self = calloc(1, sizeof(struct mpi));
    return out->self && MPI_Comm_rank(MPI_COMM_WORLD, &out->rank) == MPI_SUCCESS &&
                   MPI_Comm_size(MPI_COMM_WORLD, &out->size) == MPI_SUCCESS
               ? 0
               : -1;
}
