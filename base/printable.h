/* SPDX-License-Identifier: MIT */
/* printable.h — text that comes from files, made safe to print: UTF-8 that is checked, and characters that a terminal
 * would obey, or that would change the order in which a line is read, written as \u{..}. */
#ifndef TANDEM_BASE_PRINTABLE_H
#define TANDEM_BASE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { PRINTABLE_MAX = 1024 };

/* The length of the UTF-8 character at `text`, and its code point; 0 where the bytes are not UTF-8 (RFC 3629: no
 * surrogates, no overlong forms). `text` is not at its end. */
size_t utf8_next(const char *text, unsigned long *code);

/* The number of the first byte that is not UTF-8; the text's length where all is. */
size_t utf8_check(const char *text);

/* Whether a terminal prints the character and does nothing else: no control character, no override of the direction of
 * writing, no separator of lines. */
bool printable_code(unsigned long code);

/* Writes `text` to out[size]: what is not printable as \u{..}, a byte that is not UTF-8 as \x{..}. A text too long is
 * cut between characters. Returns out. */
char *printable(const char *text, char *out, size_t size);

/* The same, in a buffer that lives as long as the block around it. */
#define PRINTABLE(text) printable((text), (char[PRINTABLE_MAX]){0}, PRINTABLE_MAX)

/* Makes the text in text[size] printable where it stands; cut where it is longer than PRINTABLE_MAX. */
void printable_in_place(char *text, size_t size);

/* Writes a field of text as RFC 4180 has it: in quotes where it needs them, printable but for tabs and ends of lines. A
 * spreadsheet takes a field that begins with
 * =, +, -, @, a tab or CR for a formula: an apostrophe before it makes it text. */
void printable_csv(FILE *out, const char *text);

#endif
