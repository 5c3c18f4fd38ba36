/* SPDX-License-Identifier: MIT */
#include "base/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { DEPTH_MAX = 8, LINE_BYTES = 1024, KEY_BYTES = 64 };

/* The keys that enclose the current line, with their indentations. */
struct where {
    char keys[DEPTH_MAX][KEY_BYTES];
    size_t indents[DEPTH_MAX], depth;
};

/* Cuts "key: value" at the colon. The value is NULL where the line is no mapping. */
static char *cut(char *line)
{
    line[strcspn(line, "\r\n")] = 0;
    char *colon = strstr(line, ": ");
    if (!colon && *line && line[strlen(line) - 1] == ':')
        colon = line + strlen(line) - 1;
    if (!colon)
        return NULL;
    char *value = colon + (colon[1] ? 2 : 1);
    *colon = 0;
    char *comment = strstr(value, " #");
    if (comment)
        *comment = 0;
    return value + strspn(value, " ");
}

/* False for a key that lies deeper than any path. */
static bool enter(struct where *w, const char *key, size_t indent)
{
    while (w->depth > 0 && w->indents[w->depth - 1] >= indent)
        w->depth--;
    if (w->depth == DEPTH_MAX)
        return false;
    snprintf(w->keys[w->depth], KEY_BYTES, "%s", key);
    w->indents[w->depth++] = indent;
    return true;
}

static int matches(const struct where *w, const char *path)
{
    for (size_t i = 0; i < w->depth; i++) {
        size_t length = strlen(w->keys[i]);
        if (strncmp(path, w->keys[i], length) != 0)
            return 0;
        path += length;
        if (i + 1 < w->depth && *path++ != '.')
            return 0;
    }
    return *path == 0;
}

/* The next line; of a longer one its first LINE_BYTES - 1 bytes, so that what follows is not taken for a line. */
static bool read_line(FILE *in, char line[LINE_BYTES])
{
    if (!fgets(line, LINE_BYTES, in))
        return false;
    if (!line[strcspn(line, "\n")])
        for (int c = 0; c != EOF && c != '\n';)
            c = getc(in);
    return true;
}

/* The value of the next line that has one at the path; NULL at the end, or where reading fails. */
static char *find(FILE *in, const char *path, char line[LINE_BYTES])
{
    struct where where = {0};
    while (read_line(in, line)) {
        size_t indent = strspn(line, " ");
        char *value = line[indent] == '#' || line[indent] == '-' ? NULL : cut(line);
        if (!value)
            continue;
        if (enter(&where, line + indent, indent) && *value && matches(&where, path))
            return value;
    }
    return NULL;
}

int yaml_text(const char *file, const char *path, char *out, size_t size, struct error *err)
{
    char line[LINE_BYTES];
    FILE *in = fopen(file, "r");
    if (!in && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!in)
        return error_not_opened(err, file);
    const char *value = find(in, path, line);
    int reason = !value && ferror(in) ? errno : 0;
    fclose(in);
    if (reason)
        return error_set(err, error_code_of_opening(reason), "%s: cannot be read: %s", file, strerror(reason));
    if (value)
        snprintf(out, size, "%s", value);
    return value != NULL;
}

int yaml_number(const char *file, const char *path, double *out, struct error *err)
{
    char text[64], *end = NULL;
    int got = yaml_text(file, path, text, sizeof text, err);
    if (got != 1)
        return got;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number))
        return 0;
    *out = number;
    return 1;
}
