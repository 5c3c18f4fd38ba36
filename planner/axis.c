/* SPDX-License-Identifier: MIT */
#include "planner/axis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_values(const struct json *at, struct error *err)
{
    size_t count = (size_t)cJSON_GetArraySize(at->node), n = 0;
    char **texts = calloc(count + 1, sizeof *texts);
    int status = 0;
    for (const cJSON *v = at->node->child; texts && v; v = v->next)
        if ((texts[n] = cJSON_PrintUnformatted(v)))
            n++;
    if (n < count)
        status = error_no_memory(err);
    if (status == 0)
        qsort(texts, n, sizeof *texts, compare_texts);
    for (size_t i = 1; status == 0 && i < n; i++)
        if (strcmp(texts[i - 1], texts[i]) == 0)
            status = error_set(err, ERROR_INPUT, "%s: %s: has %.60s twice, expected every value once", at->file,
                               at->path, texts[i]);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
    return status;
}

/* "policy.batching" overwrites "policy.batching.token_budget", and itself. */
static bool overwrites(const char *path, const char *earlier)
{
    size_t length = strlen(path);
    return strncmp(path, earlier, length) == 0 && (earlier[length] == '.' || earlier[length] == 0);
}

/* Before paths are compared in pairs. */
static int check_count(const struct json *axes, size_t most, size_t size, struct error *err)
{
    size_t count = 0;
    for (const cJSON *n = axes->node->child; n; n = n->next)
        if (++count > most || strlen(n->string) >= size) {
            struct json at = json_member(axes, n->string);
            char expected[80];
            snprintf(expected, sizeof expected, "no more than %zu paths of at most %zu bytes", most, size - 1);
            return json_complain(&at, expected, err);
        }
    return 0;
}

int axes_check(const struct json *axes, size_t most, size_t size, struct error *err)
{
    if (check_count(axes, most, size, err))
        return -1;
    for (const cJSON *n = axes->node->child; n; n = n->next) {
        struct json at = json_member(axes, n->string);
        at.node = n;
        for (const cJSON *before = axes->node->child; before != n; before = before->next)
            if (strcmp(n->string, before->string) == 0)
                return error_set(err, ERROR_INPUT, "%s: %s: is there twice, expected every path once", at.file,
                                 at.path);
            else if (overwrites(n->string, before->string))
                return error_set(err, ERROR_INPUT, "%s: %s: would overwrite %s, which is before it; put it first",
                                 at.file, at.path, before->string);
        if (cJSON_IsArray(n) && check_values(&at, err))
            return -1;
    }
    return 0;
}

int axis_set(struct json *scenario, const char *path, const char *value, const char *file, const char *list,
             struct error *err)
{
    if (json_set_path(scenario, path, value, err) == 0)
        return 0;
    return err->code != ERROR_INPUT
               ? -1
               : error_set(err, ERROR_INPUT, "%s: %s.%s: expected keys of objects joined by dots", file, list, path);
}
