/* SPDX-License-Identifier: MIT */
/* error.h — what went wrong, as a code and one sentence.
 *
 * Functions that can fail return 0 or -1 and fill a struct error. The sentence names the place
 * (file, line or JSON path), what was found and what is allowed; cli/ prints it once. */
#ifndef TANDEM_BASE_ERROR_H
#define TANDEM_BASE_ERROR_H

#include <stdbool.h>

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

#ifdef __clang_analyzer__ /* which sees one file at a time */
#define error_set(...) ((void)(error_set)(__VA_ARGS__), -1)
#define error_no_memory(err) ((void)(error_no_memory)(err), -1)
#endif

/* Whom to blame for a file that cannot be opened, by errno: ERROR_INPUT where another name or other rights would mend
 * it, ERROR_MEMORY, or ERROR_IO, the machine. */
enum error_code error_code_of_opening(int reason);

/* Of a file that could not be opened, with errno's reason: blames its name, memory that is short, or the machine.
 * Returns -1. */
int error_not_opened(struct error *err, const char *file);

/* Whether it is memory that was short or a file that could not be read or written: no word about the input, so a caller
 * that could go on without an answer must not. */
bool error_is_of_machine(const struct error *err);

/* Where a failed allocation cannot be reported on the spot (cJSON's, an array's inside a policy), it is noted for the
 * calling thread. Until that is forgotten, error_set blames no input: what looks wrong there may only be missing. */
void memory_note_failure(void);
bool memory_has_failed(void);
void memory_forget_failure(void);

/* Ends a piece of work whose status is 0: with an error, if an allocation of this thread failed during it. */
int memory_check(struct error *err) __attribute__((warn_unused_result));

#endif
