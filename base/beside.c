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

/* The program's own folder, as make leaves it, or lib/tandem next to that, as it is installed. Returns 1 where the file
 * is there, else 0, or -1. */
static int find_beside(const char *file, char *out, size_t size, struct error *err)
{
    static const char *const places[] = {"", "/../lib/tandem"};
    char folder[900];
    program_folder(folder, sizeof folder);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(out, size, "%s%s/%.80s", folder, places[i], file);
        int there = file_present(out, err);
        if (there != 0)
            return there;
    }
    snprintf(out, size, "%s/%.80s", folder, file);
    return 0;
}

void *beside_open(const char *file, const char *symbol, bool global, const char *what, const char *needs,
                  struct error *err)
{
    char path[1000];
    int there = find_beside(file, path, sizeof path, err);
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
