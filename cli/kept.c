/* SPDX-License-Identifier: MIT */
#include "cli/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kept_open(const char *db, struct store **out, struct error *err)
{
    const char *file = db ? db : KEPT_USUAL;
    if (access(file, R_OK) != 0 && errno != ENOENT)
        return error_set(err, ERROR_INPUT, "%s: cannot be read: %s", file, strerror(errno));
    if (access(file, R_OK) != 0)
        return error_set(err, ERROR_INPUT, "%s: there is no such database; tandem run makes one", file);
    return store_open_kept(file, out, err);
}

int kept_read_id(const char *word, int64_t *out, struct error *err)
{
    char *end = NULL;
    long long id = strtoll(word, &end, 10);
    if (!*word || *end || id < 1)
        return error_set(err, ERROR_INPUT, "%s: expected a run's number", word);
    *out = id;
    return 0;
}
