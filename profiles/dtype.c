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

/* What engines and repositories call formats of weights. */
static const struct {
    const char *name;
    enum dtype dtype;
} others[] = {{"bfloat16", DTYPE_BF16}, {"float16", DTYPE_FP16}, {"half", DTYPE_FP16},    {"float32", DTYPE_FP32},
              {"float", DTYPE_FP32},    {"float8", DTYPE_FP8},   {"fp8_e4m3", DTYPE_FP8}, {"fp8_e5m2", DTYPE_FP8},
              {"mxfp8", DTYPE_FP8},     {"w8a8", DTYPE_INT8},    {"w8a16", DTYPE_INT8},   {"nvfp4", DTYPE_FP4},
              {"mxfp4", DTYPE_FP4},     {"float4", DTYPE_FP4},   {"awq", DTYPE_INT4},     {"gptq", DTYPE_INT4},
              {"w4a16", DTYPE_INT4},    {"nf4", DTYPE_INT4},     {NULL, DTYPE_BF16}};

bool dtype_named(const char *name, enum dtype *out)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(name, dtype_names[i]) == 0) {
            *out = (enum dtype)i;
            return true;
        }
    for (int i = 0; others[i].name; i++)
        if (strcmp(name, others[i].name) == 0) {
            *out = others[i].dtype;
            return true;
        }
    return false;
}

int dtype_read(const struct json *object, const char *key, enum dtype *out, struct error *err)
{
    struct json at = json_member(object, key);
    if (!at.node)
        return 0;
    if (cJSON_IsString(at.node) && dtype_named(at.node->valuestring, out))
        return 0;
    return json_complain(&at, "one of bf16, fp16, fp8, int8, fp32, fp4, int4 (or nvfp4, mxfp4, awq, gptq, w4a16, w8a8)",
                         err);
}
