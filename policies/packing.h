/* SPDX-License-Identifier: MIT */
/* packing.h — how many rows of a given capacity a set of prompts needs. */
#ifndef TANDEM_POLICIES_PACKING_H
#define TANDEM_POLICIES_PACKING_H

#include <stddef.h>
#include <stdint.h>

/* First-fit decreasing: longest first, each into the first bin with room; ties keep their order.
 * `lengths` [count], none above `capacity`; `bins` [count] receives each one's bin, `room` [count] is
 * scratch, `order` [count] is scratch. Returns the number of bins. */
uint32_t pack_first_fit_decreasing(const uint32_t *lengths, size_t count, uint32_t capacity, uint32_t *bins,
                                   uint32_t *room, uint32_t *order);

#endif
