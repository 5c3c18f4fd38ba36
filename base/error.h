/* SPDX-License-Identifier: MIT */
/* error.h — what went wrong, as a code and one sentence.
 *
 * Functions that can fail return 0 or -1 and fill a struct error. The sentence names the place
 * (file, line or JSON path), what was found and what is allowed; cli/ prints it once. */
#ifndef TANDEM_BASE_ERROR_H
#define TANDEM_BASE_ERROR_H

enum error_code { ERROR_NONE, ERROR_INPUT, ERROR_IO, ERROR_MEMORY, ERROR_RUN };

struct error {
    enum error_code code;
    char text[1024];
};

/* Replaces the error's code and sentence, in which what would steer a terminal is escaped (printable.h). Always returns
 * -1, so that callers can return it. */
int error_set(struct error *err, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Sets ERROR_MEMORY with the sentence for a failed allocation. Returns -1. */
int error_no_memory(struct error *err);

#endif
