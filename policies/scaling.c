/* SPDX-License-Identifier: MIT */
#include "policies/scaling.h"

#include <math.h>

size_t scaling_round_up(double x)
{
    return x > 1e9 ? 1000000000 : x > 0 ? (size_t)ceil(x - 1e-9) : 0;
}
