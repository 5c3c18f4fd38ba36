/* SPDX-License-Identifier: MIT */
/* dtype.h — the number formats that models compute in and devices have peaks for. */
#ifndef TANDEM_PROFILES_DTYPE_H
#define TANDEM_PROFILES_DTYPE_H

#include "base/json.h"

/* fp4 stands for the microscaled formats (MXFP4, NVFP4): 4 bits and an 8-bit scale for every 32 values or more. */
enum dtype { DTYPE_BF16, DTYPE_FP16, DTYPE_FP8, DTYPE_INT8, DTYPE_FP32, DTYPE_FP4, DTYPE_INT4, DTYPE_COUNT };

extern const char *const dtype_names[DTYPE_COUNT + 1]; /* "bf16", …, NULL */

/* Bytes of a number, scales included: 2, 2, 1, 1, 4, 0.53125, 0.5. */
double dtype_bytes(enum dtype dtype);

/* The format of a name: one of those above, or what others call it ("bfloat16", "nvfp4", "awq", "w4a16"). */
bool dtype_named(const char *name, enum dtype *out);

/* Reads the member `key`; an absent one leaves *out as it is. */
int dtype_read(const struct json *object, const char *key, enum dtype *out, struct error *err);

#endif
