/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

static _Thread_local bool memory_failed; /* a thread's own, as errno is */

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (memory_failed && code == ERROR_INPUT)
        return error_no_memory(err);
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    printable_in_place(err->text, sizeof err->text);
    return -1;
}

int error_no_memory(struct error *err)
{
    memory_failed = true; /* so that it counts even where the caller goes on without */
    return error_set(err, ERROR_MEMORY, "out of memory");
}

int error_not_opened(struct error *err, const char *file)
{
    if (errno == ENOMEM)
        return error_no_memory(err);
    return error_set(err, ERROR_INPUT, "%s: cannot be opened: %s", file, strerror(errno));
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
