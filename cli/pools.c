/* SPDX-License-Identifier: MIT */
#include "cli/pools.h"

#include <stdlib.h>

#include "planner/parallel.h"

int pool_open(const char *threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err)
{
    char *end = NULL;
    unsigned long n = threads ? strtoul(threads, &end, 10) : parallel_processors();
    if (n == 0 || n > 4096 || (threads && (*end || !*threads)))
        return error_set(err, ERROR_INPUT, "-j %s: expected a number of threads from 1 to 4096", threads);
    return thread_pool_create((unsigned)n, watch, out, err);
}
