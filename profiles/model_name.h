/* SPDX-License-Identifier: MIT */
/* model_name.h — which shipped model a repository's name means: "meta-llama/Llama-3.1-8B-Instruct" is llama-3.1-8b, and
 * "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic" the same with weights in fp8. */
#ifndef TANDEM_PROFILES_MODEL_NAME_H
#define TANDEM_PROFILES_MODEL_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "profiles/dtype.h"

struct model_meant {
    char name[128];   /* of the shipped model; "" where none is meant */
    char unknown[64]; /* a word behind it that may make it another model, else "" */
    bool quantised;   /* the words name a format of weights */
    enum dtype format;
};

/* True when the name means a shipped model and every other word of it is known. */
bool model_meant_by(const char *repository, struct model_meant *out);

#endif
