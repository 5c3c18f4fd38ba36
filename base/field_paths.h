/* SPDX-License-Identifier: MIT */
/* field_paths.h — a table of fields as rows of paths, in words: "cluster.failures.mtbf_s". */
#ifndef TANDEM_BASE_FIELD_PATHS_H
#define TANDEM_BASE_FIELD_PATHS_H

#include "base/fields.h"

/* A row lives as long as the call that it is given to. */
struct field_row {
    const char *path; /* an element of a list has "[]" after the list's name */
    const struct field *field;
    const char *when; /* with what it may be said, "with trace"; "" always */
    const char *like; /* the path that tells what stands below this one, too; NULL: rows follow, or there is nothing */
};

/* Rows for all that may stand below `root`, and before them one for itself where `path` is not empty. Parameters of
 * named policies are not among them. */
void field_paths(const struct field *root, const char *path, void (*tell)(const struct field_row *row, void *context),
                 void *context);

/* Fills *out with the field at a dotted path below `root`, which is called `name` in the complaint where there is none;
 * parameters of named policies are found, too. */
int field_at_path(const struct field *root, const char *name, const char *path, struct field *out, struct error *err);

enum { FIELD_TEXT = 600 };

/* What a row says of its field, in words: of what type it is; what is allowed, "" for anything; what holds without it.
 */
void field_type_text(const struct field *f, char out[FIELD_TEXT]);
void field_range_text(const struct field *f, char out[FIELD_TEXT]);
void field_default_text(const struct field *f, char out[FIELD_TEXT]);

/* A number in as few digits as tell it. */
const char *field_number(double value, char out[32]);

#endif
