/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

#include <math.h>

void cost_add_draft_kv(struct work *work, const struct work *draft)
{
    double bytes = draft->kv_bytes_per_token * (draft->kv_layers[ATTENTION_FULL] + draft->kv_layers[ATTENTION_WINDOW]);
    if (work->kv_groups.windowed == 0) {
        work->kv_bytes_per_token += bytes;
        return;
    }
    work->kv_groups.full += (uint32_t)ceil(bytes / work->kv_bytes_per_token);
    work->kv_layers[ATTENTION_FULL] += bytes / work->kv_bytes_per_token;
}

/* Bytes of one GPU that KV may take. */
static double kv_bytes(const struct cost_model *cm, double batch_tokens, double sequences)
{
    const struct device *d = &cm->device;
    const struct engine_memory *m = &cm->engine.memory;
    double weights = cm->work.weight_bytes, total = d->memory_bytes;
    double beside = m->context_bytes + m->graph_bytes + work_activation_bytes(&cm->work, batch_tokens, sequences);
    if (d->kind == DEVICE_LINEAR)
        return total;
    switch (m->rule) {
    case MEMORY_DEVICE:
        break;
    case MEMORY_TOTAL:
        return total * m->utilization - weights - beside;
    case MEMORY_FREE:
        return (total - weights - beside) * m->utilization;
    case MEMORY_STATIC:
        return total * m->utilization - weights;
    }
    return total * d->memory_utilization - d->reserved_bytes - weights;
}

uint64_t cost_model_kv_tokens(const struct cost_model *cm, double batch_tokens, double sequences)
{
    double tokens = kv_bytes(cm, batch_tokens, sequences) / cm->work.kv_bytes_per_token;
    return tokens > 0 ? (uint64_t)tokens : 0;
}
