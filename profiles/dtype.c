/* SPDX-License-Identifier: MIT */
#include "profiles/dtype.h"

#include <string.h>

const char *const dtype_names[DTYPE_COUNT + 1] = {"bf16", "fp16", "fp8", "int8", "fp32", "fp4", "int4", NULL};

double dtype_bytes(enum dtype dtype)
{
    static const double bytes[DTYPE_COUNT] = {
        [DTYPE_BF16] = 2, [DTYPE_FP16] = 2,      [DTYPE_FP8] = 1,   [DTYPE_INT8] = 1,
        [DTYPE_FP32] = 4, [DTYPE_FP4] = 0.53125, [DTYPE_INT4] = 0.5};
    return bytes[dtype];
}

int dtype_read(const struct json *object, const char *key, enum dtype *out, struct error *err)
{
    struct json at = json_member(object, key);
    if (!at.node)
        return 0;
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (cJSON_IsString(at.node) && strcmp(at.node->valuestring, dtype_names[i]) == 0) {
            *out = (enum dtype)i;
            return 0;
        }
    return json_complain(&at, "one of bf16, fp16, fp8, int8, fp32, fp4, int4", err);
}
