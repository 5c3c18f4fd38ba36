/* SPDX-License-Identifier: MIT */
/* Which preset stands for a version of an engine. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/engine.h"
#include "profiles/shipped.h"

/* 0.19 as 19, 1.2 as 1002: what is behind the second number does not count. */
static unsigned long version_number(const char *text)
{
    char *end = NULL;
    unsigned long major = strtoul(text, &end, 10), minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    return 1000 * major + minor;
}

/* The part of a shipped name after "ENGINE-", or NULL where it is another engine's. */
static const char *version_of(const struct shipped_file *f, const char *engine)
{
    size_t length = strlen(engine);
    bool is = strcmp(f->kind, "engine") == 0 && strncmp(f->name, engine, length) == 0 && f->name[length] == '-';
    return is && isdigit((unsigned char)f->name[length + 1]) ? f->name + length + 1 : NULL;
}

bool engine_preset(const char *engine, const char *version, char *out, size_t size)
{
    bool named = *version && !isdigit((unsigned char)*version);
    unsigned long asked = named ? (unsigned long)-1 : version_number(version), best = 0;
    bool found = false, best_fits = false;
    for (const struct shipped_file *f = shipped_files; f->kind; f++) {
        const char *its = version_of(f, engine);
        unsigned long number = its ? version_number(its) : 0;
        bool fits = number <= asked;
        if (!its || (found && !(fits > best_fits || (fits == best_fits && (fits ? number > best : number < best)))))
            continue;
        best = number;
        best_fits = fits;
        found = true;
        snprintf(out, size, "%s", f->name);
    }
    return found;
}
