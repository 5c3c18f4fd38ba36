/* SPDX-License-Identifier: MIT */
#include "base/choice.h"

#include <stdio.h>
#include <string.h>

/* "a", "b" or "c" */
static void list_names(const struct choice *table, char *out, size_t size)
{
    size_t used = 0;
    for (const struct choice *c = table; c->name && used < size; c++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"",
                                 c == table          ? ""
                                 : c[1].name == NULL ? " or "
                                                     : ", ",
                                 c->name);
}

static const char *name_at(const void *table, size_t index)
{
    return ((const struct choice *)table)[index].name;
}

int choice_read(const struct json *at, const struct choice *table, int *out, struct error *err)
{
    char expected[300];
    const char *name = cJSON_IsString(at->node) ? at->node->valuestring : NULL;
    if (!at->node)
        return 0;
    if (!name && cJSON_IsObject(at->node) && json_read_string(at, "name", true, &name, err))
        return -1;
    for (const struct choice *c = table; name && c->name; c++)
        if (strcmp(c->name, name) == 0) {
            *out = c->value;
            return 0;
        }
    list_names(table, expected, sizeof expected);
    return name ? json_complain_of_name(at, expected, name, name_at, table, err) : json_complain(at, expected, err);
}
