/* SPDX-License-Identifier: MIT */
#include "reports/stats/batch_map.h"

uint64_t batch_map_decodes(int cell)
{
    return cell == 0 ? 0 : (uint64_t)1 << (cell - 1);
}

uint64_t batch_map_prompt_tokens(int cell)
{
    return cell == 0 ? 0 : (uint64_t)16 << (cell - 1);
}
