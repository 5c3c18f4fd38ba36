/* SPDX-License-Identifier: MIT */
/* yaml.h — single values out of plain YAML: nested mappings by indentation, `key: value`, comments. Lists, anchors and
 * quoting are not read. */
#ifndef TANDEM_BASE_YAML_H
#define TANDEM_BASE_YAML_H

#include <stddef.h>

#include "base/error.h"

/* The number at a dotted path ("gpu.mem_bw"). Returns 1; 0 when there is no such file, or no such number in it; -1 when
 * the file cannot be read to where it stands. */
int yaml_number(const char *file, const char *path, double *out, struct error *err) __attribute__((warn_unused_result));

/* The text at a path, cut to fit. Returns 1, 0 or -1 as above; *out stays as it is unless that is 1. */
int yaml_text(const char *file, const char *path, char *out, size_t size, struct error *err)
    __attribute__((warn_unused_result));

#endif
