/* SPDX-License-Identifier: MIT */
/* bf16 as the hardware has it: the upper half of a float, rounded to the nearest, ties to even. */
#ifndef TANDEM_TESTS_CUDA_BF16_H
#define TANDEM_TESTS_CUDA_BF16_H

#include <cstring>

#include "emulator.h"

struct __nv_bfloat16 {
    uint16_t bits;
};

static inline float __bfloat162float(__nv_bfloat16 v)
{
    uint32_t bits = (uint32_t)v.bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline __nv_bfloat16 __float2bfloat16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (f != f)
        return {0x7fff};
    bits += 0x7fff + (bits >> 16 & 1);
    return {(uint16_t)(bits >> 16)};
}

#endif
