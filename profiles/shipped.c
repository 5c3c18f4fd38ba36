/* SPDX-License-Identifier: MIT */
#include "profiles/shipped.h"

#include <stdio.h>
#include <string.h>

int shipped_load(const char *kind, const char *name_or_path, struct json *root, struct error *err)
{
    if (strchr(name_or_path, '/') || strstr(name_or_path, ".json"))
        return json_load(name_or_path, root, err);
    char list[600] = "";
    for (const struct shipped_file *f = shipped_files; f->kind; f++) {
        if (strcmp(f->kind, kind) != 0)
            continue;
        if (strcmp(f->name, name_or_path) == 0)
            return json_parse(f->text, f->name, root, err);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", f->name);
    }
    return error_set(err, ERROR_INPUT, "unknown %s \"%.60s\"; allowed: %s, or a path to a JSON file", kind,
                     name_or_path, list);
}
