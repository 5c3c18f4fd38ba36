/* SPDX-License-Identifier: MIT */
#include "cli/memory_limit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LEAST_BYTES (4 << 20) /* which the program needs to start at all */

static const char *said = "";

/* Bytes that a unit letter stands for; 0 when it is none. */
static double unit_of(const char *letter)
{
    static const char letters[] = "KMGT";
    const char *at = letter[0] ? strchr(letters, letter[0]) : NULL;
    if (!letter[0])
        return 1;
    return at && !letter[1] ? exp2(10.0 * (double)(at - letters + 1)) : 0;
}

/* OpenBLAS starts threads when it is loaded, and one that finds no memory for its buffer asks for ever. Nothing here
 * uses them, so the program begins again without. The limit holds on. */
static int begin_without_blas_threads(char **argv, struct error *err)
{
    const char *threads = getenv("OPENBLAS_NUM_THREADS");
    if (threads && strcmp(threads, "1") == 0)
        return 0;
    if (setenv("OPENBLAS_NUM_THREADS", "1", 1))
        return error_no_memory(err);
    execv("/proc/self/exe", argv);
    return error_set(err, ERROR_RUN, "--max-memory: the program cannot be started again: %s", strerror(errno));
}

int memory_limit_set(const char *size, char **argv, struct error *err)
{
    char *end;
    double value = strtod(size, &end), bytes = value * unit_of(end);
    bool starts_well = size[0] >= '0' && size[0] <= '9';
    if (!starts_well || !(bytes >= LEAST_BYTES) || !(bytes <= 0x1p60))
        return error_set(err, ERROR_INPUT, "--max-memory %s: expected at least 4M, in bytes or with K, M, G or T",
                         size);
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit))
        return error_set(err, ERROR_RUN, "--max-memory: the system keeps no such limit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max < (rlim_t)bytes ? limit.rlim_max : (rlim_t)bytes;
    if (setrlimit(RLIMIT_DATA, &limit))
        return error_set(err, ERROR_RUN, "--max-memory %s: the system refuses it: %s", size, strerror(errno));
    said = " within --max-memory";
    return begin_without_blas_threads(argv, err);
}

const char *memory_limit_said(void)
{
    return said;
}
