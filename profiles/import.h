/* SPDX-License-Identifier: MIT */
/* import.h — other tools' measured tables, turned into our profile JSON. */
#ifndef TANDEM_PROFILES_IMPORT_H
#define TANDEM_PROFILES_IMPORT_H

#include <stdint.h>

#include "profiles/table.h"

struct import_options {
    const char *path; /* a folder with the tool's files, or a file */
    const char *name;
    const char *base_device; /* costs what the tables do not hold; NULL: the format's usual one */
    const char *model;       /* that was measured, where the files do not hold for every model */
    const char *hardware;    /* Splitwise: which of the file's machines; NULL: the only one */
    uint32_t tensor_parallel;
};

/* A format: whether a path looks like it, and its importer, which adds tables to a profile's list and says where they
 * come from. */
struct import_format {
    const char *name;
    const char *usual_base;
    bool by_model;                                       /* tables are of one model */
    int (*matches)(const char *path, struct error *err); /* 1 or 0; -1 where that cannot be told */
    int (*import)(const struct import_options *options, cJSON *profile, cJSON *tables, struct error *err);
};

extern const struct import_format import_llmservingsim, import_aiconfigurator, import_vidur, import_splitwise;

/* Imports what the path looks like. The new profile is owned by the caller (cJSON_Delete); NULL on failure. *format is
 * set on success. */
cJSON *profile_import(const struct import_options *options, const struct import_format **format, struct error *err);

/* Writes JSON to a file, whole or not at all (base/output.h). */
int profile_write(const cJSON *profile, const char *file, struct error *err);

/* For importers: whether there is FOLDER/NAME, as file_present says; FOLDER/NAME as text; appends a table to the list
 * and releases it. */
int import_has(const char *folder, const char *name, struct error *err) __attribute__((warn_unused_result));
void import_file(const char *folder, const char *name, char *out, size_t size);
void import_add(cJSON *tables, struct cost_table *table);

#endif
