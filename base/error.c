/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/printable.h"

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
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
    return error_set(err, ERROR_MEMORY, "out of memory");
}
