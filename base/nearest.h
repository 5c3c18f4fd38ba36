/* SPDX-License-Identifier: MIT */
/* nearest.h — what somebody may have meant who wrote a name that there is not. */
#ifndef TANDEM_BASE_NEAREST_H
#define TANDEM_BASE_NEAREST_H

#include <stddef.h>

/* Letters to insert, leave out, replace or exchange with the next one, from one word to the other (Damerau and
 * Levenshtein, restricted); words are compared up to 63 letters. */
size_t nearest_distance(const char *a, const char *b);

/* The name that is nearest to `found`, if it is near: a third of the letters differ at most, or one is the beginning of
 * the other. Of equally near ones it is the one that begins alike for longest. `name` gives the names from 0 on, NULL
 * after the last. NULL: none is near. */
const char *nearest_name(const char *found, const char *(*name)(const void *names, size_t index), const void *names);

/* The same of a NULL-ended list. */
const char *nearest_in(const char *found, const char *const *names);

#endif
