/* SPDX-License-Identifier: MIT */
#include "profiles/model_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "profiles/shipped.h"

/* Other names of the same layers. */
static const struct {
    const char *name, *shipped;
} same_layers[] = {{"llama-3.3-70b", "llama-3.1-70b"}, {"meta-llama", "llama"}, {NULL, NULL}};

static bool is_of_same_model(const char *word)
{
    static const char *const words[] = {"instruct", "chat",    "base",      "it",        "hf",   "thinking",
                                        "preview",  "dynamic", "quantized", "quantised", "128g", NULL};
    bool known = word[strspn(word, "0123456789.v")] == 0; /* a date, or a version */
    for (size_t i = 0; words[i]; i++)
        known |= strcmp(word, words[i]) == 0;
    return known;
}

static void to_lower_name(const char *repository, char *out, size_t size)
{
    const char *slash = strrchr(repository, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : repository);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

static void replace_beginning(char *name, size_t size)
{
    for (size_t i = 0; same_layers[i].name; i++) {
        size_t length = strlen(same_layers[i].name);
        char rest[128];
        if (strncmp(name, same_layers[i].name, length) != 0 || (name[length] && name[length] != '-'))
            continue;
        snprintf(rest, sizeof rest, "%s", name + length);
        snprintf(name, size, "%s%s", same_layers[i].shipped, rest);
    }
}

static bool read_words(char *words, struct model_meant *out)
{
    for (char *rest = words, *word; (word = strtok_r(rest, "-_.", &rest));) {
        if (is_of_same_model(word))
            continue;
        if (!dtype_named(word, &out->format)) {
            snprintf(out->unknown, sizeof out->unknown, "%.60s", word);
            return false;
        }
        out->quantised = true;
    }
    return true;
}

bool model_meant_by(const char *repository, struct model_meant *out)
{
    char name[128];
    *out = (struct model_meant){0};
    to_lower_name(repository, name, sizeof name);
    replace_beginning(name, sizeof name);
    replace_beginning(name, sizeof name); /* "meta-llama-3.3-70b" */
    if (!shipped_resolve("model", name, out->name, sizeof out->name)) {
        out->name[0] = 0;
        return false;
    }
    return read_words(name + strlen(out->name), out);
}
