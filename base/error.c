/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

static _Thread_local bool memory_failed; /* a thread's own, as errno is */

int(error_set)(struct error *err, enum error_code code, const char *format, ...)
{
    if (memory_failed && code == ERROR_INPUT)
        return error_no_memory(err);
    va_list args;
    va_start(args, format);
    err->code = code;
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is two lines above */
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    printable_in_place(err->text, sizeof err->text);
    return -1;
}

int(error_no_memory)(struct error *err)
{
    memory_failed = true; /* so that it counts even where the caller goes on without */
    return error_set(err, ERROR_MEMORY, "out of memory");
}

enum error_code error_code_of_opening(int reason)
{
    static const int reasons[] = {ENOENT, ENOTDIR, EISDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, EINVAL, ENXIO, ENODEV};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reason == reasons[i])
            return ERROR_INPUT;
    return reason == ENOMEM ? ERROR_MEMORY : ERROR_IO;
}

int error_not_opened(struct error *err, const char *file)
{
    int reason = errno;
    if (reason == ENOMEM)
        return error_no_memory(err);
    return error_set(err, error_code_of_opening(reason), "%s: cannot be opened: %s", file, strerror(reason));
}

bool error_is_of_machine(const struct error *err)
{
    return err->code == ERROR_MEMORY || err->code == ERROR_IO;
}

void memory_note_failure(void)
{
    memory_failed = true;
}

bool memory_has_failed(void)
{
    return memory_failed;
}

void memory_forget_failure(void)
{
    memory_failed = false;
}

int memory_check(struct error *err)
{
    return memory_failed ? error_no_memory(err) : 0;
}
