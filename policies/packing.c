/* SPDX-License-Identifier: MIT */
#include "policies/packing.h"

uint32_t pack_first_fit_decreasing(const uint32_t *lengths, size_t count, uint32_t capacity, uint32_t *bins,
                                   uint32_t *room, uint32_t *order)
{
    for (size_t i = 0; i < count; i++) { /* stable insertion sort; batches are small */
        size_t j = i;
        for (; j > 0 && lengths[order[j - 1]] < lengths[i]; j--)
            order[j] = order[j - 1];
        order[j] = (uint32_t)i;
    }
    uint32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t length = lengths[order[i]], bin = 0;
        while (bin < used && room[bin] < length)
            bin++;
        if (bin == used)
            room[used++] = capacity;
        room[bin] -= length;
        bins[order[i]] = bin;
    }
    return used;
}
