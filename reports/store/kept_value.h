/* SPDX-License-Identifier: MIT */
/* kept_value.h — what a database's cell says, read so that a damaged or hand-made file cannot harm: a cell may be NULL,
 * of another type than its column's, or far out of range. */
#ifndef TANDEM_REPORTS_STORE_KEPT_VALUE_H
#define TANDEM_REPORTS_STORE_KEPT_VALUE_H

#include <stdint.h>

/* A number as the database gives it; NAN for NULL and for what is no number. */
double kept_number(const char *text);

/* A whole number, cut to KEPT_INTEGER_MAX on either side, so that four of them can be added; 0 for what is none. */
#define KEPT_INTEGER_MAX ((int64_t)1 << 60)
int64_t kept_integer(const char *text);

/* The same of a number of seconds, in nanoseconds. */
int64_t kept_ns(const char *seconds);

/* The text, or "" for NULL. */
const char *kept_text(const char *text);

/* The text where JSON reads it as a number, else NULL. */
const char *kept_json_number(const char *text);

#endif
