/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* fopencookie, which tells errno of the write that failed */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_write(const struct output *o, int reason, struct error *err)
{
    return error_set(err, ERROR_IO, "%s: cannot be written: %s", o->name, strerror(reason));
}

static ssize_t put(void *state, const char *bytes, size_t size)
{
    struct output *o = state;
    size_t written = 0;
    while (written < size && !o->reason) {
        ssize_t now = write(o->fd, bytes + written, size - written);
        if (now >= 0)
            written += (size_t)now;
        else if (errno != EINTR)
            o->reason = errno;
    }
    return (ssize_t)written;
}

/* Standard output or standard error, where it goes to this very file; else -1. */
static int standard_stream_of(const struct stat *file)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat its;
        int mode = fcntl(fd, F_GETFL);
        if (mode >= 0 && (mode & O_ACCMODE) != O_RDONLY && fstat(fd, &its) == 0 && its.st_dev == file->st_dev &&
            its.st_ino == file->st_ino)
            return fd;
    }
    return -1;
}

static int open_through(struct output *o, const struct stat *file)
{
    int stream = file ? standard_stream_of(file) : -1;
    if (stream == STDOUT_FILENO)
        fflush(stdout);
    o->fd = stream >= 0 ? fcntl(stream, F_DUPFD_CLOEXEC, 3)
                        : open(o->name, O_WRONLY | (file ? 0 : O_CREAT) | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666);
    return o->fd >= 0 ? 0 : -1;
}

/* The folder of `target` with an unpredictable name in it. */
static int name_beside(struct output *o)
{
    char random[33];
    const char *slash = strrchr(o->target, '/');
    int folder = slash ? (int)(slash + 1 - o->target) : 0;
    if (temporary_random_name(random, sizeof random))
        return -1;
    int length = snprintf(o->beside, sizeof o->beside, "%.*s.tandem-%s", folder, o->target, random);
    o->place = length < (int)sizeof o->beside ? temporary_note(o->beside) : -1;
    if (o->place < 0)
        errno = ENAMETOOLONG;
    return o->place < 0 ? -1 : 0;
}

static void drop_beside(struct output *o)
{
    int reason = errno;
    unlink(o->beside);
    temporary_forget(o->place);
    errno = reason;
}

/* Root writes for the file's owner; whoever may not give a file away keeps it. */
static int be_like(int fd, const struct stat *old)
{
    if (fchown(fd, old->st_uid, old->st_gid) && errno != EPERM)
        return -1;
    return fchmod(fd, old->st_mode & 0777);
}

/* `old` is the file that is there, or NULL. */
static int open_beside(struct output *o, const struct stat *old)
{
    if ((old && access(o->target, W_OK)) || name_beside(o))
        return -1;
    o->fd = open(o->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (o->fd >= 0 && (!old || be_like(o->fd, old) == 0))
        return 0;
    if (o->fd >= 0)
        close(o->fd);
    drop_beside(o);
    return -1;
}

/* Where a link leads; a name that is not there stands for itself. */
static int find_target(struct output *o, bool is_there)
{
    char *resolved = is_there ? realpath(o->name, NULL) : NULL;
    if (is_there && !resolved)
        return -1;
    int length = snprintf(o->target, sizeof o->target, "%s", resolved ? resolved : o->name);
    free(resolved);
    if (length < (int)sizeof o->target)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int open_descriptor(struct output *o)
{
    struct stat file, link;
    bool is_there = stat(o->name, &file) == 0;
    if (!is_there && errno != ENOENT)
        return -1;
    bool is_bare_link = !is_there && lstat(o->name, &link) == 0;
    if (is_bare_link || (is_there && (!S_ISREG(file.st_mode) || standard_stream_of(&file) >= 0)))
        return open_through(o, is_there ? &file : NULL);
    return find_target(o, is_there) || open_beside(o, is_there ? &file : NULL) ? -1 : 0;
}

int output_open(struct output *o, const char *name, struct error *err)
{
    static const cookie_io_functions_t functions = {.write = put};
    *o = (struct output){.name = name, .place = -1};
    if (open_descriptor(o))
        return cannot_write(o, errno, err);
    o->out = fopencookie(o, "w", functions);
    if (o->out) {
        setvbuf(o->out, o->buffer, _IOFBF, sizeof o->buffer);
        return 0;
    }
    close(o->fd);
    if (o->place >= 0)
        drop_beside(o);
    return error_no_memory(err);
}

static void note_reason(struct output *o, bool failed)
{
    if (failed && !o->reason)
        o->reason = errno;
}

/* Some file systems know no syncing. */
static bool sync_fails(int fd)
{
    return fsync(fd) && errno != EINVAL && errno != ENOSYS;
}

int output_close(struct output *o, bool failed, struct error *err)
{
    bool replaces = o->place >= 0;
    failed = failed || memory_check(err);
    note_reason(o, fclose(o->out) != 0);
    if (replaces && !failed && !o->reason)
        note_reason(o, sync_fails(o->fd));
    note_reason(o, close(o->fd) != 0);
    if (replaces && !failed && !o->reason)
        note_reason(o, rename(o->beside, o->target) != 0);
    if (replaces && (failed || o->reason))
        drop_beside(o);
    else
        temporary_forget(o->place);
    if (failed)
        return -1;
    return o->reason ? cannot_write(o, o->reason, err) : 0;
}

int output_write(const char *name, const char *text, struct error *err)
{
    struct output o;
    if (output_open(&o, name, err))
        return -1;
    fprintf(o.out, "%s\n", text);
    return output_close(&o, false, err);
}
