/* SPDX-License-Identifier: MIT */
#include "base/present.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int file_present(const char *file, struct error *err)
{
    if (access(file, R_OK) == 0)
        return 1;
    int reason = errno;
    if (reason == ENOENT || reason == ENOTDIR)
        return 0;
    if (reason == ENOMEM)
        return error_no_memory(err);
    return error_set(err, error_code_of_opening(reason), "%s: cannot be read: %s", file, strerror(reason));
}
