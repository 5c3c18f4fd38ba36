/* SPDX-License-Identifier: MIT */
/* technique.h — published techniques as declared changes of an iteration's work, made before it is priced.
 *
 * A technique is a JSON file that cites its paper and lists changes; each is one of the kinds below with parameters of
 * its own. A scenario lists techniques, and their changes are made in that order. */
#ifndef TANDEM_PROFILES_TECHNIQUE_H
#define TANDEM_PROFILES_TECHNIQUE_H

#include "base/param.h"
#include "profiles/work.h"

struct change_kind {
    const char *name;
    const char *summary;
    const struct param_spec *params;
    /* Changes the work; fails when that makes no sense on it. */
    int (*apply)(struct work *w, const struct param_set *params, struct error *err);
};

extern const struct change_kind *const change_kinds[]; /* NULL-ended */

enum { CHANGES_MAX = 16 };

struct techniques {
    struct {
        const struct change_kind *kind;
        struct param_set params;
    } changes[CHANGES_MAX];
    size_t count;
    cJSON *files[CHANGES_MAX]; /* that parameters' texts live in, owned */
    size_t file_count;
};

/* Reads a scenario's "techniques": absent, or a list of shipped names, paths, or techniques written out. Release with
 * techniques_release, also on failure. */
int techniques_read(const struct json *at, struct techniques *out, struct error *err);
void techniques_release(struct techniques *t);

int techniques_apply(const struct techniques *t, struct work *w, struct error *err);

#endif
