/* SPDX-License-Identifier: MIT */
#include "base/date_time.h"

#include <string.h>

#define NS_PER_S 1000000000

enum { MINUTES_OF_DAY = 24 * 60 };

/* Days since 1970-01-01 of a Gregorian date (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_date(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* `count` digits at *c as a number, and steps over them. -1 where they are not there. */
static int digits(const char **c, int count)
{
    int value = 0;
    for (; count > 0; count--, (*c)++) {
        if (**c < '0' || **c > '9')
            return -1;
        value = value * 10 + (**c - '0');
    }
    return value;
}

/* Of a second, after the point. -1 without a digit. */
static int64_t fraction_ns(const char **c)
{
    int64_t ns = 0, unit = NS_PER_S / 10;
    if (**c < '0' || **c > '9')
        return -1;
    for (; **c >= '0' && **c <= '9'; (*c)++, unit /= 10)
        ns += (**c - '0') * unit;
    return ns;
}

static const char *read_zone(const char *c, struct date_time *out)
{
    static const char *const expected = "the time's end, Z, or an offset from UTC up to 23:59 like +02:00";
    bool west = *c == '-';
    out->has_zone = *c != 0;
    out->offset_min = 0;
    if (!*c || ((*c == 'Z' || *c == 'z') && !c[1]))
        return NULL;
    if (!west && *c != '+')
        return expected;
    c++;
    int hours = digits(&c, 2), minutes = 0;
    if (hours >= 0 && *c) {
        c += *c == ':';
        minutes = digits(&c, 2);
    }
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || *c)
        return expected;
    out->offset_min = (west ? -1 : 1) * (hours * 60 + minutes);
    return NULL;
}

enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };

/* The numbers of a date and a time of day, and steps over them. */
static bool read_parts(const char **c, int *part)
{
    static const struct {
        int digits;
        const char *after; /* one of these follows */
    } shape[PARTS] = {{4, "-"}, {2, "-"}, {2, " Tt"}, {2, ":"}, {2, ":"}, {2, NULL}};
    for (int i = 0; i < PARTS; i++) {
        part[i] = digits(c, shape[i].digits);
        if (part[i] < 0 || (shape[i].after && (!**c || !strchr(shape[i].after, *(*c)++))))
            return false;
    }
    return true;
}

static bool is_date(const int *part)
{
    return part[YEAR] >= 1970 && part[YEAR] <= 2200 && part[MONTH] >= 1 && part[MONTH] <= 12 && part[DAY] >= 1 &&
           part[DAY] <= days_of_month(part[YEAR], part[MONTH]);
}

const char *date_time_read(const char *c, struct date_time *out)
{
    static const char *const shape = "a time stamp like 2023-11-16 18:15:46.6805900";
    int part[PARTS];
    int64_t fraction = 0;
    if (!read_parts(&c, part))
        return shape;
    if (*c == '.') {
        c++;
        fraction = fraction_ns(&c);
    }
    if (fraction < 0)
        return shape;
    if (!is_date(part))
        return "a date that there is, of the years 1970 to 2200";
    if (part[HOUR] > 23 || part[MINUTE] > 59 || part[SECOND] > 60)
        return "a time of day from 00:00:00 to 23:59:59";
    const char *wrong = read_zone(c, out);
    if (wrong)
        return wrong;
    int64_t days = days_from_date(part[YEAR], part[MONTH], part[DAY]);
    int64_t minutes = (days * 24 + part[HOUR]) * 60 + part[MINUTE] - out->offset_min;
    if (part[SECOND] == 60 && minutes % MINUTES_OF_DAY != MINUTES_OF_DAY - 1)
        return "a second up to 59, or 60 where a day ends in UTC";
    out->ns = (minutes * 60 + part[SECOND]) * NS_PER_S + fraction;
    return NULL;
}
