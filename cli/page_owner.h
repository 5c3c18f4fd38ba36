/* SPDX-License-Identifier: MIT */
/* page_owner.h — which database a page is of, in a comment at its end, so that a page whose name nobody asked for does
 * not take the place of another database's, or of something else. */
#ifndef TANDEM_CLI_PAGE_OWNER_H
#define TANDEM_CLI_PAGE_OWNER_H

#include <stdio.h>

#include "base/error.h"

/* The database is told by the SHA-256 of where it is, so that a page names no folder. */
void page_sign(FILE *page, const char *db);

/* 0 where `file` is not there, is no regular file, or is a page of this database; else -1 and says so. */
int page_check_owner(const char *file, const char *db, struct error *err);

#endif
