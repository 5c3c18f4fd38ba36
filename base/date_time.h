/* SPDX-License-Identifier: MIT */
/* date_time.h — dates with a time of day, as ISO 8601 and RFC 3339 write them. */
#ifndef TANDEM_BASE_DATE_TIME_H
#define TANDEM_BASE_DATE_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct date_time {
    int64_t ns;     /* since 1970-01-01 00:00:00 UTC; digits of seconds beyond nine are left out */
    bool has_zone;  /* it says its zone, UTC otherwise */
    int offset_min; /* of the zone, east of UTC */
};

/* Reads a whole text: "2023-11-16 18:15:46.68" or with "T" between, of years 1970 to 2200; after it, if anything, "Z"
 * or an offset: "+02", "+0200" or "+02:00". NULL, or what was expected where it is something else. */
const char *date_time_read(const char *text, struct date_time *out);

#endif
