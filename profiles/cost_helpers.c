/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "profiles/cost_parts.h"

bool cost_is_apart(const struct cost_model *cm)
{
    return cm->work.speculation.draft_tokens > 0 || *cm->work.phases.prompts || *cm->work.phases.decodes;
}

bool cost_reshapes(const struct cost_model *cm)
{
    return cost_keeps(cm) || *cm->work.keep.scorer || cm->work.overlap.kernels > 0 ||
           cm->work.overlap.communication > 0 || cm->work.source.any || cm->work.adapters.count > 0 ||
           cm->work.gpu_replicas > 0 || cm->work.filled_tokens > 0;
}

bool cost_keeps(const struct cost_model *cm)
{
    return cm->work.keep.any || cm->work.reuse.loaded_share > 0 || cm->work.attention[ATTENTION_FULL].ranks > 1;
}

/* The share of the tokens in the middle of a group of layers. */
static double share_of(const struct prompt_keep *k, unsigned group)
{
    double at = (group + 0.5) / KEEP_GROUPS;
    if (!k->any || at < k->full_layers)
        return 1;
    if (k->again)
        return 0;
    return k->stepped ? k->last_share : 1 - (1 - k->last_share) * (at - k->full_layers) / (1 - k->full_layers);
}

uint64_t cost_kept(const struct cost_model *cm, unsigned group, uint64_t tokens)
{
    const struct prompt_keep *k = &cm->work.keep;
    bool once_more = group == KEEP_GROUPS;
    double share = once_more ? (k->any && k->again ? k->last_share : 0) : share_of(k, group);
    double kept = share * (1 - cm->work.reuse.loaded_share) * (double)tokens;
    if (k->budget > 0 && (once_more || share < 1 || (group + 0.5) / KEEP_GROUPS >= k->full_layers))
        kept = fmin(kept, k->budget);
    return (uint64_t)ceil(kept);
}

uint64_t cost_ranked(const struct cost_model *cm, uint64_t tokens)
{
    double ranks = fmax(cm->work.attention[ATTENTION_FULL].ranks, 1);
    return (uint64_t)ceil((double)tokens / ranks);
}

const struct dense_cost *cost_tokens_kept(const struct cost_model *cm, const struct cost_shapes *s,
                                          struct dense_cost *scratch)
{
    if (!cost_keeps(cm))
        return cost_tokens(cm, s->tokens, scratch);
    struct dense_cost more, all = {0};
    for (unsigned g = 0; g < KEEP_GROUPS; g++)
        all.total += cost_tokens(cm, s->decode_sequences + s->kept[g], &more)->total / KEEP_GROUPS;
    all.total += cost_tokens(cm, s->kept[KEEP_GROUPS], &more)->total;
    *scratch = all;
    return scratch;
}

int64_t cost_on_shared_gpu(const struct cost_model *cm, int64_t host, int64_t kernels)
{
    int64_t alone = host + kernels, all = (int64_t)cm->work.gpu_replicas * kernels;
    return alone > all ? alone : all;
}

/* Bytes of the weights that an iteration on so many rows reads, but for the output head's. */
static double bytes_read(const struct work *w, double rows)
{
    double bytes = work_expert_bytes(w, rows);
    for (size_t i = 0; i < w->count; i++) {
        const struct operation *op = &w->ops[i];
        if (op->kind == WORK_GEMM && op->rows == PER_TOKEN)
            bytes += op->times * op->n * op->k * op->weight_bytes;
    }
    return bytes;
}

/* While GEMMs compute for longer than reading their weights takes, memory is idle. */
int64_t cost_overlapped(const struct cost_model *cm, uint64_t rows, int64_t gemms, int64_t attention)
{
    const struct device *d = &cm->device;
    double read = bytes_read(&cm->work, (double)rows) / (d->bandwidth_bytes_per_s * d->bandwidth_efficiency * 1e-9);
    double idle = fmax(0, (double)(gemms - cost_fine(read)));
    return (int64_t)(cm->work.overlap.kernels * fmin(idle, (double)attention));
}

/* A prompt's part of an iteration comes on top of what the decodes in it take for a token each: its rows, its
 * attention, and its way through the draft model. */
static int64_t speculative(const struct cost_model *cm, const struct cost_shapes *s, uint64_t prompts)
{
    struct dense_cost scratch[5];
    uint64_t n = s->decode_sequences, checked = cost_checked_rows(cm, n);
    int64_t total = cost_tokens(cm, prompts + checked, &scratch[0])->total +
                    cost_heads(cm, s->heads - n + checked, &scratch[1])->total;
    if (cm->draft)
        total += cost_tokens(cm->draft, prompts, &scratch[2])->total;
    if (n > 0) {
        total -= cost_tokens(cm, checked, &scratch[3])->total + cost_heads(cm, checked, &scratch[4])->total;
        total -= cost_eager(cm, checked, false); /* the whole iteration is launched in one way */
    }
    return total + cost_eager(cm, prompts + checked, true);
}

/* Prompts by one model, and decodes by the other after them. */
static int64_t by_phase(const struct cost_model *cm, const struct cost_shapes *s, uint64_t prompts)
{
    struct dense_cost scratch[2];
    const struct cost_model *reader = cm->phases[PHASE_PROMPTS] ? cm->phases[PHASE_PROMPTS] : cm;
    return cost_tokens(reader, prompts, &scratch[0])->total +
           cost_heads(cm, s->heads - s->decode_sequences, &scratch[1])->total + cost_eager(cm, prompts, true);
}

void cost_apart(const struct cost_model *cm, const struct cost_shapes *s, struct iteration_cost *out)
{
    struct decode_line more;
    uint64_t n = s->decode_sequences, prompts = s->tokens - n;
    int64_t total = s->prefill;
    *out = (struct iteration_cost){.steady = 1};
    total += cm->work.speculation.draft_tokens > 0 ? speculative(cm, s, prompts) : by_phase(cm, s, prompts);
    if (n > 0)
        cost_decodes(cm, cost_line(cm, n, s->decode_kv, &more), n, s->decode_kv, 0, out);
    else
        total += cm->host;
    total += (int64_t)out->total;
    out->decode_alone = n > 0 ? out->total : 0;
    out->total = total < 0 ? 0 : total > (int64_t)FINE_LONGEST ? FINE_LONGEST : (fine_time)total;
    out->growth = out->alone_growth = 0;
    out->steady = 1;
}
