/* SPDX-License-Identifier: MIT */
#include "base/printable.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t utf8_next(const char *text, unsigned long *code)
{
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = bytes[0] < 0x80             ? 1
                    : (bytes[0] & 0xe0) == 0xc0 ? 2
                    : (bytes[0] & 0xf0) == 0xe0 ? 3
                    : (bytes[0] & 0xf8) == 0xf0 ? 4
                                                : 0;
    if (length == 0)
        return 0;
    *code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (bytes[i] & 0x3f);
    }
    return *code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff) ? 0 : length;
}

size_t utf8_check(const char *text)
{
    static const uint64_t beyond_ascii = 0x8080808080808080;
    size_t at = 0, length, size = strlen(text);
    unsigned long code;
    uint64_t eight;
    while (at < size) {
        for (; at + sizeof eight <= size; at += sizeof eight) { /* nearly all text is ASCII */
            memcpy(&eight, text + at, sizeof eight);
            if (eight & beyond_ascii)
                break;
        }
        if (at == size || !(length = utf8_next(text + at, &code)))
            return at;
        at += length;
    }
    return at;
}

bool printable_code(unsigned long code)
{
    static const unsigned long hidden[][2] = {{0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},  {0x200e, 0x200f},
                                              {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (code >= hidden[i][0] && code <= hidden[i][1])
            return false;
    return true;
}

char *printable(const char *text, char *out, size_t size)
{
    size_t used = 0;
    while (*text) {
        char escape[16];
        unsigned long code = 0;
        size_t length = utf8_next(text, &code), written = length;
        const char *piece = text;
        if (length == 0 || !printable_code(code)) {
            snprintf(escape, sizeof escape, length ? "\\u{%lx}" : "\\x{%02lx}", length ? code : (unsigned char)*text);
            piece = escape;
            written = strlen(escape);
        }
        if (used + written >= size)
            break;
        memcpy(out + used, piece, written);
        used += written;
        text += length ? length : 1;
    }
    out[used] = 0;
    return out;
}

static bool is_printable(const char *text)
{
    unsigned long code;
    size_t length;
    for (; *text; text += length)
        if (!(length = utf8_next(text, &code)) || !printable_code(code))
            return false;
    return true;
}

void printable_in_place(char *text, size_t size)
{
    char copy[PRINTABLE_MAX];
    if (is_printable(text))
        return;
    snprintf(text, size, "%s", printable(text, copy, size < sizeof copy ? size : sizeof copy));
}

/* Lines may end inside quotes, and a tab may stand anywhere. */
static void csv_characters(FILE *out, const char *text)
{
    char piece[16];
    for (size_t length = 1; *text; text += length) {
        unsigned long code = 0;
        length = utf8_next(text, &code);
        length = length ? length : 1;
        snprintf(piece, sizeof piece, "%.*s", (int)length, text);
        if (*text != '\t' && *text != '\r' && *text != '\n')
            printable_in_place(piece, sizeof piece);
        fputs(*text == '"' ? "\"\"" : piece, out);
    }
}

void printable_csv(FILE *out, const char *text)
{
    const char *mark = *text && strchr("=+-@\t\r", *text) ? "'" : "";
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(mark, out);
        csv_characters(out, text);
        return;
    }
    fprintf(out, "\"%s", mark);
    csv_characters(out, text);
    fputc('"', out);
}
