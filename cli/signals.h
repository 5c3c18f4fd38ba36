/* SPDX-License-Identifier: MIT */
/* signals.h — SIGINT, SIGTERM and SIGHUP end any command within a second, with a sentence and without temporary files.
 *
 * A command is ended where it is, with exit status 128 + the signal's number, until it asks to be told: then it has
 * most of a second to end by itself, and keeps what has finished. A second signal ends it where it is. */
#ifndef TANDEM_CLI_SIGNALS_H
#define TANDEM_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* `command`, or NULL, stands in the sentence. Call it once, before anything else is done. */
void signals_begin(const char *command);

/* From now on a signal makes this other than 0, and the command ends by itself. */
const volatile sig_atomic_t *stop_on_signal(void);

/* What ends a command from now on ends it where it is; for what follows the part that can stop by itself. */
void end_on_signal(void);

bool signal_came(void);

/* What an interrupted command has found is being kept, however long that takes; a second signal ends it nevertheless.
 */
void signals_wait_for_keeping(void);

/* What the sentence of a command that is ended where it is says after "interrupted"; a constant. */
void signals_say(const char *what);

/* From now on, until signals_no_limit(), the command ends after so many seconds where it is, with exit status 1 and
 * this constant sentence: what it waits for may never come, and cannot be asked to stop. */
void signals_limit(unsigned seconds, const char *sentence);
void signals_no_limit(void);

#endif
