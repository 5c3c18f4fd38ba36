/* SPDX-License-Identifier: MIT */
/* A library to preload: the FAULT_AT-th call of FAULT (fread, write, fsync, rename or close) fails with FAULT_ERRNO,
 * once, counting what concerns files whose path has FAULT_PATH in it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fails(const char *call, const char *path)
{
    static long count;
    const char *wanted = getenv("FAULT"), *within = getenv("FAULT_PATH");
    if (!wanted || !within || strcmp(call, wanted) != 0 || !strstr(path, within))
        return false;
    if (++count != atol(getenv("FAULT_AT")))
        return false;
    errno = atoi(getenv("FAULT_ERRNO"));
    return true;
}

static bool fails_on(const char *call, int fd)
{
    char link[64], path[4096];
    int reason = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = reason;
    path[length > 0 ? length : 0] = 0;
    return fails(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

size_t fread(void *bytes, size_t size, size_t count, FILE *in)
{
    return fails_on("fread", fileno(in)) ? 0 : NEXT(fread)(bytes, size, count, in);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return fails_on("write", fd) ? -1 : NEXT(write)(fd, bytes, size);
}

int fsync(int fd)
{
    return fails_on("fsync", fd) ? -1 : NEXT(fsync)(fd);
}

int close(int fd)
{
    bool failed = fails_on("close", fd);
    int reason = errno, status = NEXT(close)(fd);
    if (failed)
        errno = reason;
    return failed ? -1 : status;
}

int rename(const char *from, const char *to)
{
    return fails("rename", from) ? -1 : NEXT(rename)(from, to);
}
