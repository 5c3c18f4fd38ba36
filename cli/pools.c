/* SPDX-License-Identifier: MIT */
#include "cli/pools.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/beside.h"
#include "planner/parallel.h"
#include "planner/ranks.h"

/* The job that this process is one of; no command has more than one. */
static struct transport job;
static bool joined, pooled;

/* What the launchers of MPICH, Open MPI and Slurm say to the processes that they start. */
static bool is_launched(void)
{
    static const char *const names[] = {"PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", NULL};
    for (const char *const *name = names; *name; name++)
        if (getenv(*name))
            return true;
    return false;
}

int pool_join(bool *worked, struct error *err)
{
    *worked = false;
    if (!is_launched())
        return 0;
    union {
        void *object;
        transport_open open;
    } found = {.object = beside_open("tandem-mpi.so", TRANSPORT_OPEN, true, "MPI", "mpicc", err)};
    if (!found.object)
        return -1;
    if (found.open(&job))
        return error_set(err, ERROR_RUN, "MPI: cannot be started");
    signal(SIGUSR1, SIG_IGN); /* MPICH's launcher tells so of a rank that died */
    joined = true;
    if (job.rank == 0)
        return 0;
    signal(SIGINT, SIG_IGN); /* rank 0 says when to end */
    *worked = true;
    joined = false;
    return ranks_work(&job, err);
}

void pool_leave(void)
{
    if (joined && !pooled)
        ranks_dismiss(&job);
    joined = false;
}

int pool_open(const char *threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err)
{
    char *end = NULL;
    unsigned long n = threads ? strtoul(threads, &end, 10) : parallel_processors();
    if (n == 0 || n > 4096 || (threads && (*end || !*threads)))
        return error_set(err, ERROR_INPUT, "-j %s: expected a number of threads from 1 to 4096", threads);
    if (!joined || job.size == 1)
        return thread_pool_create((unsigned)n, watch, out, err);
    pooled = true;
    return ranks_pool_create(&job, watch, out, err);
}
