/* SPDX-License-Identifier: MIT */
/* Azure LLM inference traces 2023 and 2024 (Azure/AzurePublicDataset, CC-BY 4.0): CSV with
 * TIMESTAMP,ContextTokens,GeneratedTokens. Stamps have up to 9 fractional digits and, in 2024, a zone. */
#include <stdlib.h>
#include <string.h>

#include "workloads/trace.h"

static bool azure_detect(const char *line)
{
    return strncmp(line, "TIMESTAMP,ContextTokens,GeneratedTokens", 39) == 0;
}

/* Days since 1970-01-01 of a Gregorian date (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_date(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* `count` digits at *c as a number, and steps over them and one `end` character (0: none). -1 when they are not there.
 */
static int64_t digits(const char **c, int count, char end)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++, (*c)++) {
        if (**c < '0' || **c > '9')
            return -1;
        value = value * 10 + (**c - '0');
    }
    if (end && *(*c)++ != end)
        return -1;
    return value;
}

static int parse_stamp(const char **c, sim_time *out)
{
    int64_t year = digits(c, 4, '-'), month = year < 0 ? -1 : digits(c, 2, '-');
    int64_t day = month < 0 ? -1 : digits(c, 2, 0);
    if (day < 0 || month < 1 || month > 12 || day < 1 || day > 31 || year < 1970 || year > 2200 ||
        (**c != ' ' && **c != 'T'))
        return -1;
    (*c)++;
    int64_t hour = digits(c, 2, ':'), minute = hour < 0 ? -1 : digits(c, 2, ':');
    int64_t second = minute < 0 ? -1 : digits(c, 2, 0);
    if (second < 0 || hour > 23 || minute > 59 || second > 60)
        return -1;
    int64_t nanos = 0;
    if (**c == '.') {
        int64_t unit = 100000000;
        for ((*c)++; **c >= '0' && **c <= '9'; (*c)++, unit /= 10)
            nanos += (**c - '0') * unit;
    }
    if (strncmp(*c, "+00:00", 6) == 0)
        *c += 6;
    *out = (((days_from_date(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000000000 + nanos;
    return 0;
}

static int parse_count(const char **c, char end, uint32_t *out)
{
    char *stop = NULL;
    if (**c < '0' || **c > '9')
        return -1;
    unsigned long long value = strtoull(*c, &stop, 10);
    if (value > 100000000 || *stop != end)
        return -1;
    *out = (uint32_t)value;
    *c = stop + (end != 0);
    return 0;
}

static int azure_parse(char *line, struct arrival *out, struct hash_buffer *hashes, const char **wrong, int *column)
{
    (void)hashes;
    const char *c = line;
    *wrong = "a time stamp like 2023-11-16 18:15:46.6805900 and a comma";
    if (parse_stamp(&c, &out->at) == 0 && *c++ == ',') {
        *wrong = "ContextTokens, a whole number up to 100000000, and a comma";
        *column = (int)(c - line) + 1;
        if (parse_count(&c, ',', &out->prompt_tokens) == 0) {
            *wrong = "GeneratedTokens, a whole number up to 100000000, and the line's end";
            *column = (int)(c - line) + 1;
            if (parse_count(&c, 0, &out->output_tokens) == 0)
                return 0;
        }
    }
    return -1;
}

const struct trace_format trace_format_azure = {
    .name = "azure",
    .summary = "Azure LLM 2023/2024 CSV: TIMESTAMP,ContextTokens,GeneratedTokens",
    .has_header = true,
    .detect = azure_detect,
    .parse = azure_parse,
};
