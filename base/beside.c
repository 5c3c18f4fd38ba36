/* SPDX-License-Identifier: MIT */
#include "base/beside.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/present.h"

/* The folder that the program is in, "." where that is not known. */
static void program_folder(char *out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    char *slash;
    out[length > 0 ? length : 0] = 0;
    if ((slash = strrchr(out, '/')))
        *slash = 0;
    else
        snprintf(out, size, ".");
}

void *beside_open(const char *file, const char *symbol, bool global, const char *what, const char *needs,
                  struct error *err)
{
    char folder[900], path[1000];
    program_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/%.80s", folder, file);
    int there = file_present(path, err);
    if (there == 0)
        error_set(err, ERROR_INPUT, "%s: found no %s; make builds it where it finds %s", what, path, needs);
    if (there != 1)
        return NULL;
    errno = 0;
    void *object = dlopen(path, RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
    int reason = errno;
    void *found = object ? dlsym(object, symbol) : NULL;
    if (!object && reason == ENOMEM)
        error_no_memory(err);
    else if (!found)
        error_set(err, ERROR_RUN, "%s: %s", what, dlerror());
    return found;
}
