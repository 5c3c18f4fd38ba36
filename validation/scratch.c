/* SPDX-License-Identifier: MIT */
#include "validation/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/temporary.h"

int scratch_make(struct scratch *s, struct error *err)
{
    const char *within = getenv("TMPDIR");
    char random[33] = "", folder[SCRATCH_FOLDER] = "";
    int length = -1;
    if (temporary_random_name(random, sizeof random) == 0)
        length = snprintf(folder, sizeof folder, "%s/tandem-%s", within && *within ? within : "/tmp", random);
    bool fits = length >= 0 && (size_t)length < sizeof folder;
    s->folder[0] = 0;
    s->places[0] = fits ? temporary_note(folder) : -1;
    if (!fits || mkdir(folder, 0700)) {
        temporary_forget(s->places[0]);
        return error_set(err, ERROR_IO, "%.200s: no folder can be made there: %s", folder, strerror(errno));
    }
    memcpy(s->folder, folder, sizeof folder);
    for (int i = 0; i < 2; i++) {
        snprintf(s->profiles[i], sizeof s->profiles[i], "%s/%c.json", folder, "01"[i]);
        s->places[i + 1] = temporary_note(s->profiles[i]);
    }
    return 0;
}

void scratch_remove(struct scratch *s)
{
    if (!s->folder[0])
        return;
    for (int i = 0; i < 2; i++)
        remove(s->profiles[i]);
    remove(s->folder);
    for (int i = 0; i < 3; i++)
        temporary_forget(s->places[i]);
    s->folder[0] = 0;
}
