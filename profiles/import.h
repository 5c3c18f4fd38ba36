/* SPDX-License-Identifier: MIT */
/* import.h — other tools' measured tables, turned into our profile JSON. */
#ifndef TANDEM_PROFILES_IMPORT_H
#define TANDEM_PROFILES_IMPORT_H

#include <stdint.h>

#include "base/json.h"

struct import_options {
    const char *folder; /* of the bundle: attention.csv, dense.csv, per_sequence.csv */
    const char *name, *model, *base_device;
    uint32_t tensor_parallel;
};

/* Reads an LLMServingSim profiler bundle (one model, one TP degree; times in µs per layer). The new
 * profile is owned by the caller (cJSON_Delete). NULL on failure. */
cJSON *import_llmservingsim(const struct import_options *options, struct error *err);

/* Writes JSON to a file atomically: to FILE.new first, then renamed. */
int profile_write(const cJSON *profile, const char *file, struct error *err);

#endif
