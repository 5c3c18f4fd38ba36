/* SPDX-License-Identifier: MIT */
/* batch_map.h — what batches were made of: time and tokens by how many sequences decoded in an iteration and how many
 * prompt tokens ran next to them, in cells whose bounds double. */
#ifndef TANDEM_REPORTS_STATS_BATCH_MAP_H
#define TANDEM_REPORTS_STATS_BATCH_MAP_H

#include <stdint.h>

enum { DECODE_CELLS = 18, PROMPT_CELLS = 18 };

struct batch_cell {
    uint64_t iterations, ns;
    uint64_t tokens, padded_tokens; /* computed for requests; computed in all, padding included */
};

struct batch_map {
    struct batch_cell cells[DECODE_CELLS][PROMPT_CELLS];
};

/* Most decodes, and most prompt tokens, that fall into a cell: 0, 1, 2, 4, 8, … and 0, 16, 32, 64, …; the last one also
 * holds what is more. */
uint64_t batch_map_decodes(int cell);
uint64_t batch_map_prompt_tokens(int cell);

static inline struct batch_cell *batch_map_at(struct batch_map *m, uint64_t decodes, uint64_t prompt_tokens)
{
    int d = decodes > 1 ? 65 - __builtin_clzll(decodes - 1) : (int)decodes;
    int p = prompt_tokens > 16 ? 61 - __builtin_clzll(prompt_tokens - 1) : prompt_tokens > 0;
    return &m->cells[d < DECODE_CELLS ? d : DECODE_CELLS - 1][p < PROMPT_CELLS ? p : PROMPT_CELLS - 1];
}

#endif
