/* SPDX-License-Identifier: MIT */
#include "sim/min_index.h"

#include <stdlib.h>

int min_index_init(struct min_index *index, size_t slots)
{
    *index = (struct min_index){.leaves = 1};
    while (index->leaves < slots)
        index->leaves *= 2;
    index->nodes = calloc(2 * index->leaves, sizeof *index->nodes);
    if (!index->nodes)
        return -1;
    for (size_t i = 2 * index->leaves; i-- > 1;)
        index->nodes[i] = i >= index->leaves ? (struct min_index_node){.key = MIN_INDEX_NONE, .slot = i - index->leaves}
                                             : index->nodes[2 * i];
    return 0;
}

void min_index_release(struct min_index *index)
{
    free(index->nodes);
    index->nodes = NULL;
}
