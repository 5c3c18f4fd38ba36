/* SPDX-License-Identifier: MIT */
/* A model by its name or its file. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/printable.h"
#include "profiles/model.h"
#include "profiles/model_config.h"
#include "profiles/model_name.h"
#include "profiles/shipped.h"

enum { PATH_BYTES = 1024 };

static bool is_folder(const char *path)
{
    struct stat at;
    return stat(path, &at) == 0 && S_ISDIR(at.st_mode);
}

bool model_is_path(const char *name)
{
    struct stat at;
    return (strchr(name, '/') || strstr(name, ".json")) && (shipped_has_file(name) || stat(name, &at) == 0);
}

/* The folder that a config.json lies in is named as the model is; any other file says it itself. */
static void name_by_path(const char *path, char *out, size_t size)
{
    char whole[2 * PATH_BYTES] = "";
    if (path[0] != '/' && getcwd(whole, PATH_BYTES))
        snprintf(whole + strlen(whole), PATH_BYTES, "/");
    snprintf(whole + strlen(whole), PATH_BYTES, "%s", path);
    char *name = strrchr(whole, '/');
    while (name && (strcmp(name, "/config.json") == 0 || strcmp(name, "/.") == 0 || name[1] == 0)) {
        *name = 0;
        name = strrchr(whole, '/');
    }
    size_t length = name ? strlen(name + 1) : 0;
    if (length > 5 && strcmp(name + 1 + length - 5, ".json") == 0)
        length -= 5;
    snprintf(out, size, "%.*s", (int)(length < 60 ? length : 60), name ? name + 1 : "");
    if (!*out)
        snprintf(out, size, "model");
}

/* hf_quant_config.json next to the file, where there is one. */
static int load_quantised(const char *path, char *file, size_t size, struct json *out, struct error *err)
{
    const char *slash = strrchr(path, '/');
    struct stat at;
    *out = (struct json){0};
    snprintf(file, size, "%.*shf_quant_config.json", slash ? (int)(slash - path + 1) : 0, path);
    return stat(file, &at) == 0 ? json_load(file, out, err) : 0;
}

static void release(const struct json *root)
{
    cJSON_Delete((cJSON *)(uintptr_t)root->node);
}

static int read_config(const char *path, const struct json *root, struct model *out, struct error *err)
{
    char file[PATH_BYTES];
    struct json quantised;
    if (load_quantised(path, file, sizeof file, &quantised, err))
        return -1;
    int status = model_read_config(root, &quantised, out, err);
    name_by_path(path, out->name, sizeof out->name);
    release(&quantised);
    return status;
}

/* A path at which nothing lies, which may have been meant as a repository's name. */
static int complain_of_name(const char *name, const struct model_meant *meant, struct error *err)
{
    char shipped[300] = "";
    if (meant->name[0])
        snprintf(shipped, sizeof shipped, ": %s is, but \"%s\" may make it another model", meant->name,
                 PRINTABLE(meant->unknown));
    return error_set(err, ERROR_INPUT,
                     "model \"%s\": expected a file or folder (a config.json, say), or a name of which the model is "
                     "shipped%s; see tandem list models",
                     PRINTABLE(name), shipped);
}

int model_load(const char *name_or_path, struct model *out, struct error *err)
{
    char path[PATH_BYTES];
    struct json root;
    struct model_meant meant = {.quantised = false};
    bool folder = is_folder(name_or_path), file = model_is_path(name_or_path);
    size_t length = strlen(name_or_path);
    *out = (struct model){0};
    if (length >= sizeof path - sizeof "/config.json")
        return error_set(err, ERROR_INPUT, "model: expected a name or path of at most %zu bytes, found %zu",
                         sizeof path - sizeof "/config.json", length);
    snprintf(path, sizeof path, "%s%s", name_or_path, folder ? "/config.json" : "");
    if (!folder && !file && model_meant_by(name_or_path, &meant))
        snprintf(path, sizeof path, "%s", meant.name);
    else if (!folder && !file && strchr(name_or_path, '/'))
        return complain_of_name(name_or_path, &meant, err);
    if (shipped_load("model", path, &root, err))
        return -1;
    int status =
        (folder || file) && model_is_config(&root) ? read_config(path, &root, out, err) : model_read(&root, out, err);
    if (status == 0 && meant.quantised)
        model_quantise(out, meant.format);
    release(&root);
    return status;
}
