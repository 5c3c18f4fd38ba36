/* SPDX-License-Identifier: MIT */
#include "reports/stats/run_values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

size_t run_values(const struct run_summary *r, struct run_value *out)
{
    const struct run_value values[] = {
        {"requests_per_s", "1/s", r->requests_per_s},
        {"goodput_per_s", "1/s", r->goodput_per_s},
        {"input_tokens_per_s", "1/s", r->input_tokens_per_s},
        {"output_tokens_per_s", "1/s", r->output_tokens_per_s},
        {"slo_attainment", "", r->slo.asked ? r->slo.attainment[0].value : NAN},
        {"unserved_share", "", (double)r->slo.unserved / (double)r->slo.arrived},
        {"load", "", r->load},
        {"sustainable_requests_per_s", "1/s", r->sustainable_per_s},
        {"busy", "", r->utilization},
        {"utilization", "", r->utilization},
        {"padding_waste", "", r->padding_waste},
        {"batch_sequences", "", r->mean_batch_sequences},
        {"batch_tokens", "", r->mean_batch_tokens},
        {"kv_use_mean", "", r->mean_kv_use},
        {"kv_use_peak", "", r->peak_kv_use},
        {"mfu", "", r->mfu},
        {"bubble_share", "", r->bubble_share},
        {"measured_share", "", r->source_share[COST_MEASURED]},
        {"interpolated_share", "", r->source_share[COST_BETWEEN]},
        {"extrapolated_share", "", r->source_share[COST_BEYOND]},
        {"estimated_share", "", r->source_share[COST_ESTIMATED]},
        {"slo_margin", "", r->slo.margin},
        {"slo_windows_kept", "", r->slo.windows.value},
        {"overloaded", "", r->overloaded},
        {"preemptions", "", (double)r->preemptions},
        {"recomputed_tokens", "tokens", (double)r->recomputed_tokens},
        {"prefix_hit_rate", "", r->prefix_hit_rate},
        {"prefill_rows", "rows", r->prefill_rows},
        {"prompts_per_row", "", r->prompts_per_row},
        {"lost_requests", "requests", (double)r->totals.lost},
        {"replica_failures", "", (double)r->totals.failures},
        {"replica_hours", "h", r->replica_hours},
        {"warmup_requests", "requests", (double)r->warmup.requests},
        {"warmup_s", "s", sim_time_to_s(r->warmup.at)},
        {"makespan_s", "s", sim_time_to_s(r->totals.end)},
    };
    size_t count = sizeof values / sizeof *values;
    _Static_assert(sizeof values / sizeof *values + PART_COUNT <= RUN_VALUES_MAX, "RUN_VALUES_MAX is too small");
    memcpy(out, values, sizeof values);
    for (int i = 0; i < PART_COUNT; i++) {
        if (i == PART_AFTER && r->part_share[i] == 0)
            continue; /* nothing is done after serving */
        if (i == PART_LOAD && r->tier_count == 0)
            continue; /* there is nothing to load from */
        struct run_value *part = &out[count++];
        *part = (struct run_value){.unit = "", .value = r->part_share[i]};
        snprintf(part->name, sizeof part->name, "time_share_%s", time_part_names[i]);
    }
    return count;
}

bool run_value_find(const struct run_summary *r, const char *name, double *out)
{
    struct run_value values[RUN_VALUES_MAX];
    size_t count = run_values(r, values);
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0) {
            *out = values[i].value;
            return true;
        }
    return false;
}
