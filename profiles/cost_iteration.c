/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

/* What decodes add to a launch with prompt chunks, as measured. */
static int64_t joined_attention(const struct cost_model *cm, const struct cost_shapes *s, enum cost_source *source)
{
    double tokens = (double)s->prefill_tokens;
    return cost_fine(cm->backend.joined_decode_ns(cm->backend.self, tokens, (double)s->prefill_keys / tokens,
                                                  (double)s->decode_sequences, (double)s->decode_kv, source));
}

/* An iteration with prompts in it, all attention in one launch. */
static void mixed_cost(const struct cost_model *cm, const struct cost_shapes *s, struct iteration_cost *out)
{
    struct dense_cost more_tokens, more_heads;
    const struct dense_cost *tokens = cost_tokens_kept(cm, s, &more_tokens);
    const struct dense_cost *heads = cost_heads(cm, s->heads, &more_heads);
    int64_t total = cm->host + cost_eager(cm, s->tokens, true) + tokens->total + heads->total + s->prefill;
    unsigned launches = s->launches;
    out->growth = (fine_time)s->growth;
    out->steady = s->steady;
    out->decode_alone = out->alone_growth = 0;
    if (!cm->estimated)
        cost_sources_start(tokens, heads, s, out);
    if (s->decode_sequences > 0) {
        struct decode_line scratch;
        const struct decode_line *line = cost_line(cm, s->decode_sequences, s->decode_kv, &scratch);
        enum cost_source source = line->attention_source;
        struct iteration_cost alone;
        cost_decodes(cm, line, s->decode_sequences, s->decode_kv, s->decode_longest, &alone);
        int64_t attention = (int64_t)alone.total - line->base + line->attention; /* what is on the line and not fixed */
        bool joined = cm->backend.joined_decode_ns && s->launches > 0;
        if (joined)
            attention = joined_attention(cm, s, &source) +
                        (int64_t)cost_spread(line->mixed_spread, s->decode_sequences, s->decode_kv, s->decode_longest);
        if (cm->work.overlap.kernels > 0 || cm->work.gpu_replicas > 0)
            attention = line->attention + line->attention_slope * (int64_t)s->decode_kv;
        if (cm->work.overlap.kernels > 0)
            total -= cost_overlapped(cm, s->tokens, tokens->total + s->prefill, attention);
        total += attention;
        launches += !joined;
        out->decode_alone = alone.total;
        out->alone_growth = alone.growth;
        out->growth += alone.growth;
        if (!cm->estimated) {
            out->by[source] += attention > 0 ? (fine_time)attention : 0;
            out->by_growth[source] += alone.growth;
        }
        out->steady = joined ? 1 : out->steady < alone.steady ? out->steady : alone.steady;
    }
    if (launches > 1) {
        fine_time saved = (launches - 1) * (fine_time)cm->launch, *prefill = &out->by[s->source];
        total -= (int64_t)saved;
        if (!cm->estimated)
            *prefill = *prefill > saved ? *prefill - saved : 0;
    }
    if (cm->work.gpu_replicas > 0) {
        int64_t host = cm->host + cost_fine(cost_waited_each_ns(cm) * (double)s->heads);
        total = cost_on_shared_gpu(cm, host, total - host);
    }
    if (cm->scorer)
        total += cost_tokens(cm->scorer, s->tokens - s->decode_sequences, &more_heads)->total;
    bool bent = cm->scorer || cm->work.overlap.kernels > 0 || cm->work.gpu_replicas > 0; /* no straight line */
    if (bent || total < (int64_t)ONE_NS || total > (int64_t)FINE_LONGEST)
        out->steady = 1;
    out->total = total < 0 ? 0 : total > (int64_t)FINE_LONGEST ? FINE_LONGEST : (fine_time)total;
}

/* Ranks that step together compute experts on the tokens of all, not on as many as this one has from each. While all
 * batches run as captured graphs, every rank is padded to the one that has most. */
static void share_experts(const struct cost_model *cm, uint64_t own, const struct batch *batch,
                          struct iteration_cost *out)
{
    uint64_t ranks = cm->parallel.data, mean = (batch->group_tokens + ranks - 1) / ranks;
    size_t sizes = cm->engine.graph_count;
    struct dense_cost scratch[2];
    int64_t more = cost_shared(cm, mean) - cost_shared(cm, own);
    if (sizes > 0 && batch->group_most <= cm->engine.graph_tokens[sizes - 1])
        more = cost_tokens(cm, batch->group_most, &scratch[0])->total - cost_tokens(cm, own, &scratch[1])->total;
    int64_t total = (int64_t)out->total + more;
    out->total = total < 0 ? 0 : (fine_time)total;
    out->growth = 0;
    out->steady = 1;
}

/* What the host takes to launch the kernels of a batch; those of decodes, and of what a graph holds, next to nothing.
 */
static int64_t launches_of(const struct cost_model *cm, const struct batch *batch, bool decodes_alone)
{
    bool launches =
        cm->launches > 0 && !decodes_alone && engine_is_eager(&cm->engine, batch_padded_tokens(batch), true);
    return launches ? cm->launches : 0;
}

/* Decodes of an iteration are a pass's, spread over the tokens that it yields: so is the host's work for it. */
static double tokens_a_pass(const struct cost_model *cm, double sequences)
{
    const struct speculation *s = &cm->work.speculation;
    return s->draft_tokens > 0 ? speculation_tokens_of(s, sequences) : 1;
}

/* Scheduling ahead, an iteration takes as long as the host's work for the next one, if that is longer; what is exposed
 * comes on top of either. Kernels are launched while others run, so that no iteration is over before that is done. */
static void wait_for_host(const struct cost_model *cm, const struct batch *batch, bool decodes_alone,
                          struct iteration_cost *out)
{
    double sequences = (double)(batch->count + batch->decodes);
    int64_t host = launches_of(cm, batch, decodes_alone);
    if (cm->engine.schedule_ahead)
        host += cost_fine((cm->device.host_ns + cost_waited_ns(cm) +
                           (cm->device.host_ns_per_sequence + cost_waited_each_ns(cm)) * sequences) /
                          (decodes_alone ? tokens_a_pass(cm, sequences) : 1));
    else if (host > 0)
        host += cm->host;
    if ((int64_t)out->total >= host)
        return;
    out->total = (fine_time)host;
    out->growth = 0;
    out->steady = 1;
}

/* Decodes right after prompts, which have taken the caches: this iteration alone, so that the next one is asked for. */
static void add_cold_caches(const struct cost_model *cm, struct iteration_cost *out)
{
    out->total += (fine_time)cm->cold;
    out->growth = 0;
    out->steady = 1;
    if (!cm->estimated)
        out->by[COST_MEASURED] += (fine_time)cm->cold;
}

static void decodes_cost(const struct cost_model *cm, const struct batch *batch, uint64_t sequences, uint64_t kv,
                         uint64_t longest, struct iteration_cost *out)
{
    struct decode_line scratch;
    cost_decodes(cm, cost_line(cm, sequences, kv, &scratch), sequences, kv, longest, out);
    if (batch->after_prompts && cm->cold > 0)
        add_cold_caches(cm, out);
}

/* Returns whether the batch holds only decodes. */
static bool shaped_cost(const struct cost_model *cm, const struct batch *batch, struct iteration_cost *out)
{
    struct cost_shapes s = {0};
    cost_shapes_of(cm, batch, &s);
    bool decodes_alone = s.launches == 0 && s.decode_sequences > 0;
    if (decodes_alone)
        decodes_cost(cm, batch, s.decode_sequences, s.decode_kv, s.decode_longest, out);
    else if (cost_is_apart(cm))
        cost_apart(cm, &s, out);
    else
        mixed_cost(cm, &s, out);
    return decodes_alone;
}

void cost_model_iteration(const struct cost_model *cm, const struct batch *batch, struct iteration_cost *out)
{
    bool decodes_alone = batch->layout == BATCH_RAGGED && batch->count == 0 && batch->decodes > 0;
    if (decodes_alone) /* there are no shapes to reduce */
        decodes_cost(cm, batch, batch->decodes, batch->decode_kv + batch->decodes,
                     batch->decode_longest + (batch->decode_longest > 0), out);
    else
        decodes_alone = shaped_cost(cm, batch, out);
    if (batch->group_tokens > 0 && cm->shared)
        share_experts(cm, batch_padded_tokens(batch), batch, out);
    if (!cm->estimated)
        cost_sources_cap(out);
    if (cm->engine.schedule_ahead || cm->launches > 0)
        wait_for_host(cm, batch, decodes_alone, out);
    if (out->total < ONE_NS) { /* time moves on, so that no run can stand still */
        out->total = ONE_NS;
        out->steady = 1;
    }
    if (decodes_alone || out->decode_alone > out->total) {
        out->decode_alone = out->total;
        out->alone_growth = out->growth;
        out->steady = decodes_alone ? out->steady : 1;
    }
}
