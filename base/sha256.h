/* SPDX-License-Identifier: MIT */
/* sha256.h — which file or text it was: its SHA-256 (FIPS 180-4), as sha256sum prints it. */
#ifndef TANDEM_BASE_SHA256_H
#define TANDEM_BASE_SHA256_H

#include "base/error.h"

/* 64 hexadecimal digits and a NUL. Fails where the file cannot be read to its end. */
int sha256_of_file(const char *path, char hex[65], struct error *err);

void sha256_of_text(const char *text, char hex[65]);

#endif
