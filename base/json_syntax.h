/* SPDX-License-Identifier: MIT */
/* json_syntax.h — whether a text is JSON, found out without memory. cJSON does not say whether it has refused a text
 * for its grammar or for want of memory, and a library's host may have taken the hooks that would tell. */
#ifndef TANDEM_BASE_JSON_SYNTAX_H
#define TANDEM_BASE_JSON_SYNTAX_H

#include <stdbool.h>

/* One value and blanks, by RFC 8259; UTF-8 is not checked. False also of what goes beyond cJSON's limits: more than
 * 1000 levels, a number of more than 62 characters. So whatever this accepts, cJSON reads if it has the memory. */
bool json_syntax_is_met(const char *text);

#endif
