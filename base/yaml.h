/* SPDX-License-Identifier: MIT */
/* yaml.h — single values out of plain YAML: nested mappings by indentation, `key: value`, comments. Lists, anchors and
 * quoting are not read. */
#ifndef TANDEM_BASE_YAML_H
#define TANDEM_BASE_YAML_H

#include <stddef.h>

#include "base/error.h"

/* The number at a dotted path ("gpu.mem_bw"). Returns 1, or 0 when the file cannot be opened or holds no such number.
 */
int yaml_number(const char *file, const char *path, double *out);

/* The text at a path, cut to fit. Returns 1, or 0 as above. */
int yaml_text(const char *file, const char *path, char *out, size_t size);

#endif
