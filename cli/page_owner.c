/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* realpath */
#include "cli/page_owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sha256.h"

enum { SIGNATURE_BYTES = 128 };

static void signature_of(const char *db, char out[SIGNATURE_BYTES])
{
    char hex[65], *path = realpath(db, NULL);
    sha256_of_text(path ? path : db, hex);
    free(path);
    snprintf(out, SIGNATURE_BYTES, "<!-- tandem report: database %s -->\n", hex);
}

void page_sign(FILE *page, const char *db)
{
    char signature[SIGNATURE_BYTES];
    signature_of(db, signature);
    fputs(signature, page);
}

/* The last bytes of a file, `size` of them at most. */
static int read_end(const char *file, char *out, size_t size, size_t *got, struct error *err)
{
    FILE *in = fopen(file, "rb");
    int reason = in ? 0 : errno;
    *got = 0;
    if (in && fseek(in, -(long)size, SEEK_END))
        rewind(in); /* it is shorter */
    if (in) {
        *got = fread(out, 1, size, in);
        reason = *got < size && !feof(in) ? errno : 0;
        fclose(in);
    }
    return reason ? error_set(err, ERROR_IO, "%s: cannot be read: %s", file, strerror(reason)) : 0;
}

int page_check_owner(const char *file, const char *db, struct error *err)
{
    struct stat found;
    char ours[SIGNATURE_BYTES], its[SIGNATURE_BYTES];
    size_t got;
    if (stat(file, &found) || !S_ISREG(found.st_mode))
        return 0;
    signature_of(db, ours);
    if (read_end(file, its, strlen(ours), &got, err))
        return -1;
    if (got == strlen(ours) && memcmp(its, ours, got) == 0)
        return 0;
    return error_set(err, ERROR_INPUT,
                     "%s: is there, and is not a page of %s; name the page with --out FILE, or move it", file, db);
}
