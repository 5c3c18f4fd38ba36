/* SPDX-License-Identifier: MIT */
#include "profiles/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/present.h"

static const struct import_format *const formats[] = {&import_llmservingsim, &import_aiconfigurator, &import_vidur,
                                                      &import_splitwise};

int import_has(const char *folder, const char *name, struct error *err)
{
    char file[1024];
    import_file(folder, name, file, sizeof file);
    return file_present(file, err);
}

void import_file(const char *folder, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", folder, name);
}

void import_add(cJSON *tables, struct cost_table *table)
{
    cJSON_AddItemToArray(tables, table_write(table));
    table_release(table);
}

cJSON *profile_import(const struct import_options *o, const struct import_format **format, struct error *err)
{
    int found = 0;
    *format = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats && found == 0; i++)
        if ((found = formats[i]->matches(o->path, err)) == 1)
            *format = formats[i];
    if (found < 0)
        return NULL;
    if (!*format) {
        error_set(err, ERROR_INPUT,
                  "%s: holds none of the tables that can be imported: LLMServingSim's dense.csv, "
                  "AIConfigurator's gemm_perf.csv, Vidur's mlp.csv or all_reduce.csv, or a file of Splitwise's",
                  o->path);
        return NULL;
    }
    cJSON *profile = cJSON_CreateObject();
    cJSON_AddStringToObject(profile, "name", o->name);
    cJSON_AddStringToObject(profile, "kind", "tables");
    cJSON_AddStringToObject(profile, "base", o->base_device ? o->base_device : (*format)->usual_base);
    if ((*format)->by_model) {
        cJSON_AddStringToObject(profile, "model", o->model);
        cJSON_AddNumberToObject(profile, "tensor_parallel", o->tensor_parallel);
    }
    cJSON *tables = cJSON_CreateArray();
    int status = (*format)->import(o, profile, tables, err);
    cJSON_AddItemToObject(profile, "tables", tables);
    if (status == 0 && memory_check(err) == 0)
        return profile;
    cJSON_Delete(profile);
    return NULL;
}

int profile_write(const cJSON *profile, const char *file, struct error *err)
{
    char *text = cJSON_PrintUnformatted(profile);
    int status = text ? output_write(file, text, err) : error_no_memory(err);
    cJSON_free(text);
    return status;
}
