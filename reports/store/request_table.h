/* SPDX-License-Identifier: MIT */
/* request_table.h — the spooled rows of requests as a table that SQL can select from.
 *
 * One statement then inserts all of them, with no statement, binding or lock for each. The rows come by ID as far as
 * one sorted batch after another makes it so: what comes in the order of its key is put at the table's end. */
#ifndef TANDEM_REPORTS_STORE_REQUEST_TABLE_H
#define TANDEM_REPORTS_STORE_REQUEST_TABLE_H

#include <sqlite3.h>

#include "reports/store/row_spool.h"

/* Makes the table `spooled_request` known to a connection: the columns of `request` after its first, in their order.
 * It reads `spool`, which stays the caller's and must have been rewound, once from its start to its end. Returns what
 * SQLite says. */
int request_table_register(sqlite3 *db, struct row_spool *spool);

#endif
