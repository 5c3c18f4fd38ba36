/* SPDX-License-Identifier: MIT */
/* kept.h — what commands need that look at what was kept: the database, and runs by their numbers. */
#ifndef TANDEM_CLI_KEPT_H
#define TANDEM_CLI_KEPT_H

#include "reports/store/store.h"

#define KEPT_USUAL "tandem.db" /* where nothing else is said */

/* Opens the database that --db names, tandem.db where it is NULL, to read only where it cannot be written; fails where
 * there is none. */
int kept_open(const char *db, struct store **out, struct error *err);

/* A run's number in a word. */
int kept_read_id(const char *word, int64_t *out, struct error *err);

#endif
