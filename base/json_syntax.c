/* SPDX-License-Identifier: MIT */
#include "base/json_syntax.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 1000, NUMBER_LENGTH = 62 };

static const char *after_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Each of these returns what follows the piece that it is named after, or NULL where that does not stand there. */
static const char *after_digits(const char *at)
{
    size_t digits = strspn(at, "0123456789");
    return digits ? at + digits : NULL;
}

static const char *after_number(const char *at)
{
    const char *start = at;
    at += *at == '-';
    at = *at == '0' ? at + 1 : after_digits(at);
    if (at && *at == '.')
        at = after_digits(at + 1);
    if (at && (*at == 'e' || *at == 'E')) {
        at++;
        at = after_digits(at + (*at == '+' || *at == '-'));
    }
    return at && at - start <= NUMBER_LENGTH ? at : NULL;
}

/* Of \uXXXX: its code, or -1. */
static long code_at(const char *at)
{
    char digits[5] = "";
    if (at[0] != '\\' || at[1] != 'u' || strspn(at + 2, "0123456789abcdefABCDEF") < 4)
        return -1;
    memcpy(digits, at + 2, 4);
    return strtol(digits, NULL, 16);
}

/* A low surrogate stands after a high one only, and a high one before a low one. */
static const char *after_escape(const char *at)
{
    if (at[1] && strchr("\"\\/bfnrt", at[1]))
        return at + 2;
    long code = code_at(at);
    if (code <= 0 || (code >= 0xdc00 && code <= 0xdfff))
        return NULL;
    if (code < 0xd800 || code > 0xdbff)
        return at + 6;
    long low = code_at(at + 6);
    return low >= 0xdc00 && low <= 0xdfff ? at + 12 : NULL;
}

static const char *after_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    while (at && *at != '"') {
        if ((unsigned char)*at < ' ')
            return NULL;
        at = *at == '\\' ? after_escape(at) : at + 1;
    }
    return at ? at + 1 : NULL;
}

static const char *after_value(const char *at, int level);

/* What stands between the brackets of an array or an object. */
static const char *after_members(const char *at, char closing, int level)
{
    if (level > LEVELS)
        return NULL;
    at = after_blanks(at + 1);
    if (*at == closing)
        return at + 1;
    for (;;) {
        if (closing == '}' && (!(at = after_string(at)) || *(at = after_blanks(at)) != ':'))
            return NULL;
        if (!(at = after_value(closing == '}' ? after_blanks(at + 1) : at, level)))
            return NULL;
        at = after_blanks(at);
        if (*at == closing)
            return at + 1;
        if (*at != ',')
            return NULL;
        at = after_blanks(at + 1);
    }
}

static const char *after_value(const char *at, int level)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    return *at == '{'   ? after_members(at, '}', level + 1)
           : *at == '[' ? after_members(at, ']', level + 1)
           : *at == '"' ? after_string(at)
                        : after_number(at);
}

bool json_syntax_is_met(const char *text)
{
    const char *end = after_value(after_blanks(text), 0);
    return end && *after_blanks(end) == 0;
}
