/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json_syntax.h"
#include "base/nearest.h"
#include "base/printable.h"

static int check_utf8(const char *text, const char *name, struct error *err)
{
    size_t at = utf8_check(text);
    return text[at] ? error_set(err, ERROR_INPUT, "%s: byte %zu (0x%02x) is not UTF-8 text", name, at + 1,
                                (unsigned char)text[at])
                    : 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two members with one name: which one counts would depend on who reads. Sorted, for objects with many members. */
static int check_members(const cJSON *object, const char *name, const char *path, struct error *err)
{
    size_t count = 0, i = 0;
    for (const cJSON *member = object->child; member; member = member->next)
        count++;
    const char **names = count > 1 ? malloc(count * sizeof *names) : NULL;
    if (count < 2)
        return 0;
    if (!names)
        return error_no_memory(err);
    for (const cJSON *member = object->child; member; member = member->next)
        names[i++] = member->string;
    qsort(names, count, sizeof *names, compare_names);
    int status = 0;
    for (i = 1; i < count && status == 0; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = error_set(err, ERROR_INPUT, "%s: %s%s%.60s: is there twice, expected once", name, path,
                               *path ? "." : "", names[i]);
    free(names);
    return status;
}

static int check_duplicates(const cJSON *node, const char *name, const char *path, struct error *err)
{
    int index = 0;
    if (cJSON_IsObject(node) && check_members(node, name, path, err))
        return -1;
    for (const cJSON *child = node->child; child; child = child->next, index++) {
        char below[160];
        if (!child->child)
            continue;
        if (child->string)
            snprintf(below, sizeof below, "%.100s%s%.50s", path, *path ? "." : "", child->string);
        else
            snprintf(below, sizeof below, "%.140s[%d]", path, index);
        if (check_duplicates(child, name, below, err))
            return -1;
    }
    return 0;
}

static void *allocate_noting(size_t size)
{
    void *block = malloc(size);
    if (!block)
        memory_note_failure();
    return block;
}

void json_note_failures(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate_noting, .free_fn = free});
}

int json_parse(const char *text, const char *name, struct json *root, struct error *err)
{
    const char *end = NULL;
    if (check_utf8(text, name, err))
        return -1;
    cJSON *node = cJSON_ParseWithOpts(text, &end, 1);
    if (!node && json_syntax_is_met(text))
        return error_no_memory(err);
    if (!node && text[strspn(text, " \t\r\n")] == 0)
        return error_set(err, ERROR_INPUT, "%s: is empty, expected JSON", name);
    if (!node) {
        int line = 1;
        for (const char *c = text; end && c < end && *c; c++)
            line += *c == '\n';
        return error_set(err, ERROR_INPUT, "%s:%d: not valid JSON near \"%.20s\"", name, line, end ? end : "");
    }
    if (check_duplicates(node, name, "", err)) {
        cJSON_Delete(node);
        return -1;
    }
    *root = (struct json){.node = node, .file = name, .path = ""};
    return 0;
}

static int complain_of_reading(const char *file, struct error *err)
{
    if (errno == EISDIR)
        return error_set(err, ERROR_INPUT, "%s: is a folder, expected a file", file);
    return error_set(err, ERROR_IO, "%s: cannot be read: %s", file, strerror(errno));
}

enum { JSON_FILE_MAX = 64 << 20 }; /* a document takes up to forty times its file's size in memory */

/* All of the file, followed by a NUL; the caller's to free, also after a failure. */
static int read_text(FILE *in, const char *file, char **text, struct error *err)
{
    size_t length = 0, capacity = 0, got;
    do {
        char *grown = array_grow(*text, &capacity, length + 65537, 1);
        if (!grown)
            return error_no_memory(err);
        *text = grown;
        got = fread(grown + length, 1, 65536, in);
        if (got < 65536 && !feof(in))
            return complain_of_reading(file, err);
        if (memchr(grown + length, 0, got))
            return error_set(err, ERROR_INPUT, "%s: holds a NUL byte, expected JSON text", file);
        length += got;
        if (length > JSON_FILE_MAX)
            return error_set(err, ERROR_INPUT, "%s: is longer than %d bytes, which is more than a JSON document may be",
                             file, JSON_FILE_MAX);
        grown[length] = 0;
    } while (got > 0);
    return 0;
}

int json_load(const char *file, struct json *root, struct error *err)
{
    FILE *in = fopen(file, "rb");
    if (!in)
        return error_not_opened(err, file);
    char *text = NULL;
    int status = read_text(in, file, &text, err);
    fclose(in);
    assert(status || text); /* an empty file is an empty text */
    if (status == 0)
        status = json_parse(text, file, root, err);
    free(text);
    return status;
}

struct json json_member(const struct json *object, const char *key)
{
    struct json at = {.node = object->node ? cJSON_GetObjectItemCaseSensitive(object->node, key) : NULL,
                      .file = object->file};
    snprintf(at.path, sizeof at.path, "%.100s%s%.50s", object->path, object->path[0] ? "." : "", key);
    return at;
}

struct json json_element(const struct json *array, int index)
{
    struct json at = {.node = cJSON_GetArrayItem(array->node, index), .file = array->file};
    snprintf(at.path, sizeof at.path, "%.140s[%d]", array->path, index);
    return at;
}

struct json json_first(const struct json *array)
{
    return json_element(cJSON_IsArray(array->node) ? array : &(struct json){.file = array->file}, 0);
}

struct json json_next(const struct json *element)
{
    struct json next = {.node = element->node ? element->node->next : NULL, .file = element->file};
    const char *index = strrchr(element->path, '[');
    snprintf(next.path, sizeof next.path, "%.*s[%ld]", (int)(index - element->path), element->path,
             strtol(index + 1, NULL, 10) + 1);
    return next;
}

int(json_complain)(const struct json *at, const char *expected, struct error *err)
{
    const char *path = at->path[0] ? at->path : "(top)";
    if (!at->node)
        return error_set(err, ERROR_INPUT, "%s: %s: is missing, expected %s", at->file, path, expected);
    char *found = cJSON_PrintUnformatted(at->node);
    error_set(err, ERROR_INPUT, "%s: %s: expected %s, found %.60s", at->file, path, expected, found ? found : "?");
    free(found);
    return -1;
}

int json_complain_of_name(const struct json *at, const char *expected, const char *found,
                          const char *(*name)(const void *names, size_t index), const void *names, struct error *err)
{
    const char *meant = nearest_name(found, name, names);
    json_complain(at, expected, err);
    size_t used = strlen(err->text);
    if (meant)
        snprintf(err->text + used, sizeof err->text - used, "; did you mean \"%s\"?", meant);
    return -1;
}

int json_check_keys(const struct json *object, const char *const *allowed, struct error *err)
{
    if (!cJSON_IsObject(object->node))
        return json_complain(object, "an object", err);
    for (const cJSON *child = object->node->child; child; child = child->next) {
        bool known = false;
        for (const char *const *a = allowed; *a && !known; a++)
            known = strcmp(*a, child->string) == 0;
        if (known)
            continue;
        char list[600] = "";
        for (const char *const *a = allowed; *a; a++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *a);
        }
        const char *meant = nearest_in(child->string, allowed);
        return error_set(err, ERROR_INPUT, "%s: %s: unknown key \"%.60s\"; %s%s%sallowed: %s", object->file,
                         object->path[0] ? object->path : "(top)", child->string, meant ? "did you mean \"" : "",
                         meant ? meant : "", meant ? "\"? " : "", list);
    }
    return 0;
}

int json_read_number(const struct json *object, const char *key, bool required, double min, double max, double *out,
                     struct error *err)
{
    struct json at = json_member(object, key);
    if (!at.node && !required)
        return 0;
    if (!cJSON_IsNumber(at.node) || !(at.node->valuedouble >= min && at.node->valuedouble <= max)) {
        char expected[80];
        snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
        return json_complain(&at, expected, err);
    }
    *out = at.node->valuedouble;
    return 0;
}

int json_read_integer(const struct json *object, const char *key, bool required, long long min, long long max,
                      long long *out, struct error *err)
{
    struct json at = json_member(object, key);
    if (!at.node && !required)
        return 0;
    double value = cJSON_IsNumber(at.node) ? at.node->valuedouble : NAN;
    if (!(value >= (double)min && value <= (double)max) || value != floor(value)) {
        char expected[80];
        if (min < max)
            snprintf(expected, sizeof expected, "a whole number from %lld to %lld", min, max);
        else
            snprintf(expected, sizeof expected, "%lld", min);
        return json_complain(&at, expected, err);
    }
    *out = (long long)value;
    return 0;
}

int json_read_bool(const struct json *object, const char *key, bool *out, struct error *err)
{
    struct json at = json_member(object, key);
    if (!at.node)
        return 0;
    if (!cJSON_IsBool(at.node))
        return json_complain(&at, "true or false", err);
    *out = cJSON_IsTrue(at.node);
    return 0;
}

int json_read_string(const struct json *object, const char *key, bool required, const char **out, struct error *err)
{
    struct json at = json_member(object, key);
    if (!at.node && !required)
        return 0;
    if (!cJSON_IsString(at.node))
        return json_complain(&at, "a string", err);
    *out = at.node->valuestring;
    return 0;
}

enum { SET_KEY_MAX = 100 };

static bool is_key_path(const char *path)
{
    for (;; path++) {
        size_t length = strcspn(path, ".");
        if (length == 0 || length >= SET_KEY_MAX)
            return false;
        path += length;
        if (!*path)
            return true;
    }
}

/* The value that a text stands for, checked; NULL on failure. */
static cJSON *parse_setting(const char *path, const char *text, struct error *err)
{
    char option[120];
    snprintf(option, sizeof option, "--set %.100s", path);
    cJSON *value = cJSON_ParseWithOpts(text, NULL, 1);
    if (!value && !json_syntax_is_met(text))
        value = cJSON_CreateString(text);
    if (!value || memory_has_failed())
        error_no_memory(err);
    else if (check_utf8(text, option, err) == 0 && check_duplicates(value, "--set", path, err) == 0)
        return value;
    cJSON_Delete(value);
    return NULL;
}

/* Puts the value, which is the document's from then on, at the end of a path. */
static int put_setting(cJSON *at, const char *path, cJSON *value, struct error *err)
{
    for (const char *rest = path;; rest++) {
        char key[SET_KEY_MAX];
        size_t length = strcspn(rest, ".");
        if (!at && path != rest)
            return error_no_memory(err);
        if (!cJSON_IsObject(at))
            return error_set(err, ERROR_INPUT, "--set %s: not a path of object keys joined by dots", path);
        memcpy(key, rest, length);
        key[length] = 0;
        rest += length;
        if (!*rest) {
            cJSON_DeleteItemFromObjectCaseSensitive(at, key);
            return cJSON_AddItemToObject(at, key, value) ? 0 : error_no_memory(err);
        }
        cJSON *child = cJSON_GetObjectItemCaseSensitive(at, key);
        if (cJSON_IsString(child)) { /* "batching": "continuous" opens up to { "name": "continuous" } */
            cJSON *object = cJSON_CreateObject();
            if (!cJSON_AddStringToObject(object, "name", child->valuestring) ||
                !cJSON_ReplaceItemInObjectCaseSensitive(at, key, object)) {
                cJSON_Delete(object);
                return error_no_memory(err);
            }
            child = object;
        }
        at = child ? child : cJSON_AddObjectToObject(at, key);
    }
}

int json_set_path(struct json *root, const char *path, const char *text, struct error *err)
{
    if (!is_key_path(path))
        return error_set(err, ERROR_INPUT, "--set %s: not a path of object keys joined by dots", path);
    cJSON *value = parse_setting(path, text, err);
    if (!value)
        return -1;
    int status = put_setting((cJSON *)(uintptr_t)root->node, path, value, err);
    if (status)
        cJSON_Delete(value);
    return status;
}
