/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

const char *const cost_source_names[COST_SOURCES] = {"measured", "interpolated", "extrapolated", "estimated"};

void cost_sources_of_line(const struct decode_line *line, fine_time attention, struct iteration_cost *out)
{
    for (int i = 0; i < COST_SOURCES; i++) {
        out->by[i] = (fine_time)line->by[i];
        out->by_growth[i] = 0;
    }
    out->by[line->attention_source] += attention;
}

void cost_sources_start(const struct dense_cost *tokens, const struct dense_cost *heads, const struct cost_shapes *s,
                        struct iteration_cost *out)
{
    for (int i = 0; i < COST_SOURCES; i++) {
        out->by[i] = (fine_time)(tokens->by[i] + heads->by[i] + s->prefill_by[i]);
        out->by_growth[i] = 0;
    }
    out->by_growth[s->source] = (fine_time)s->growth;
}

void cost_sources_cap(struct iteration_cost *out)
{
    fine_time left = out->total;
    for (int i = 0; i < COST_SOURCES; i++) {
        if (out->by[i] > left) {
            out->by[i] = left;
            out->steady = 1;
        }
        left -= out->by[i];
    }
}
