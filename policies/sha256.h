/* SPDX-License-Identifier: MIT */
/* sha256.h — which file it was: its SHA-256 (FIPS 180-4), as sha256sum prints it. */
#ifndef TANDEM_POLICIES_SHA256_H
#define TANDEM_POLICIES_SHA256_H

#include "base/error.h"

/* 64 hexadecimal digits and a NUL. Fails where the file cannot be read. */
int sha256_of_file(const char *path, char hex[65], struct error *err);

#endif
