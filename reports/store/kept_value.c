/* SPDX-License-Identifier: MIT */
#include "reports/store/kept_value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double kept_number(const char *text)
{
    char *end = NULL;
    double value = text ? strtod(text, &end) : NAN;
    return text && (end == text || *end) ? NAN : value;
}

static int64_t whole(double value)
{
    double most = (double)KEPT_INTEGER_MAX;
    return isnan(value) ? 0 : (int64_t)fmin(fmax(round(value), -most), most);
}

int64_t kept_integer(const char *text)
{
    char *end = NULL;
    long long value = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end)
        return whole(kept_number(text));
    return value > KEPT_INTEGER_MAX ? KEPT_INTEGER_MAX : value < -KEPT_INTEGER_MAX ? -KEPT_INTEGER_MAX : value;
}

int64_t kept_ns(const char *seconds)
{
    return whole(kept_number(seconds) * 1e9);
}

const char *kept_text(const char *text)
{
    return text ? text : "";
}

const char *kept_json_number(const char *text)
{
    return text && isfinite(kept_number(text)) && strspn(text, "0123456789+-.eE") == strlen(text) &&
                   (*text == '-' || (*text >= '0' && *text <= '9'))
               ? text
               : NULL;
}
