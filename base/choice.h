/* SPDX-License-Identifier: MIT */
/* choice.h — one of a few named ways, of which a table says all: it is read, checked, listed and described from that.
 */
#ifndef TANDEM_BASE_CHOICE_H
#define TANDEM_BASE_CHOICE_H

#include "base/json.h"

struct choice {
    const char *name;
    int value;
    const char *summary, *source; /* in a line; who does it so, NULL where that is nobody in particular */
};

/* Reads a string, or an object's "name", that is one of the table's, which ends with a NULL name; *out stays as it is
 * where `at` is absent. What is wrong is told with all names, and the one that may have been meant. */
int choice_read(const struct json *at, const struct choice *table, int *out, struct error *err);

#endif
