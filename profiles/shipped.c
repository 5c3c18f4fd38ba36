/* SPDX-License-Identifier: MIT */
#include "profiles/shipped.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

bool shipped_resolve(const char *kind, const char *repository, char *out, size_t size)
{
    char name[128];
    const char *slash = strrchr(repository, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : repository);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    snprintf(name, sizeof name, "%s", out);
    for (;;) {
        for (const struct shipped_file *f = shipped_files; f->kind; f++)
            if (strcmp(f->kind, kind) == 0 && strcmp(f->name, name) == 0) {
                snprintf(out, size, "%s", name);
                return true;
            }
        char *dash = strrchr(name, '-'); /* without its last word */
        if (!dash || dash == name)
            return false;
        *dash = 0;
    }
}

static const char *name_of_kind(const void *kind, size_t index)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, kind) == 0 && index-- == 0)
            return f->name;
    return NULL;
}

static const struct shipped_file *file_at(const char *path)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, "file") == 0 && strcmp(f->name, path) == 0)
            return f;
    return NULL;
}

bool shipped_has_file(const char *path)
{
    return file_at(path) != NULL;
}

static int load_path(const char *path, struct json *root, struct error *err)
{
    const struct shipped_file *f = file_at(path);
    return f ? json_parse(f->text, f->name, root, err) : json_load(path, root, err);
}

int shipped_load(const char *kind, const char *name_or_path, struct json *root, struct error *err)
{
    if (strchr(name_or_path, '/') || strstr(name_or_path, ".json"))
        return load_path(name_or_path, root, err);
    char list[600] = "";
    const char *meant = nearest_name(name_or_path, name_of_kind, kind);
    for (const struct shipped_file *f = shipped_files; f->kind; f++) {
        if (strcmp(f->kind, kind) != 0)
            continue;
        if (strcmp(f->name, name_or_path) == 0)
            return json_parse(f->text, f->name, root, err);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", f->name);
    }
    return error_set(err, ERROR_INPUT, "unknown %s \"%.60s\"; %s%s%sallowed: %s, or a path to a JSON file", kind,
                     name_or_path, meant ? "did you mean \"" : "", meant ? meant : "", meant ? "\"? " : "", list);
}
