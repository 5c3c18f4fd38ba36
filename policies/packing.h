/* SPDX-License-Identifier: MIT */
/* packing.h — how many rows of a given capacity a set of prompts needs, and who shares one (bin packing, prompts by
 * falling length). */
#ifndef TANDEM_POLICIES_PACKING_H
#define TANDEM_POLICIES_PACKING_H

#include <stddef.h>
#include <stdint.h>

enum packing {
    PACK_FIRST_FIT,       /* the first bin with room */
    PACK_BEST_FIT,        /* the one with least room left that it fits in */
    PACK_CONSTANT_VOLUME, /* the one with most room */
    PACK_OPTIMAL, /* as few bins as there can be, by branch and bound; best fit for more than PACK_OPTIMAL_MOST */
};

enum { PACK_OPTIMAL_MOST = 20 };

extern const char *const packing_names[]; /* as scenarios write them */

/* `lengths` [count], none above `capacity`, all above 0; `bins` [count] receives each one's bin; `room` and `order`
 * [count] are scratch. Ties keep their order. Returns the number of bins. */
uint32_t pack(enum packing how, const uint32_t *lengths, size_t count, uint32_t capacity, uint32_t *bins,
              uint32_t *room, uint32_t *order);

#endif
