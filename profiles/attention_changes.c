/* SPDX-License-Identifier: MIT */
#include "profiles/attention_changes.h"

#include <math.h>

/* Of what is kept, a share, at most so many tokens a sequence. */
static struct attention_line partly_read(const struct attention_rates *r, double sequences, double kv)
{
    const struct attention_work *a = r->work;
    double share = a->read_share > 0 ? a->read_share : 1;
    double most = a->read_tokens > 0 ? a->read_tokens * sequences : INFINITY, meet = most / share;
    bool capped = kv > meet;
    struct attention_line line = roofline_decode(r, sequences, capped ? most : share * kv);
    if (capped) {
        line.ns += line.slope * most;
        line.slope = 0;
        line.until = INFINITY;
    } else {
        line.slope *= share;
        line.until = fmin(line.until / share, meet);
    }
    line.slope += a->select_share * r->kv_token_ns; /* moved to find out which */
    return line;
}

/* Groups that some of n sequences are in, each in one at random. */
static double groups_present(double groups, double sequences)
{
    return groups * -expm1(sequences * log1p(-1 / fmax(groups, 1 + 1e-12)));
}

/* Hydragen (Juravsky et al. 2024, arXiv 2402.05099): the prefix of a group is one matrix product over all its queries,
 * and the rest is attention as ever. */
static struct attention_line with_shared_prefix(const struct attention_rates *r, double sequences, double kv)
{
    const struct attention_work *a = r->work;
    double shared = sequences * a->shared_tokens;
    if (kv <= shared) { /* some have not all of it: as ever */
        struct attention_line line = partly_read(r, sequences, kv);
        line.until = fmin(line.until, shared);
        return line;
    }
    double bytes = groups_present(a->shared_groups, sequences) * a->shared_tokens * r->kv_token_ns;
    double prefix = r->launch_ns + fmax(bytes, shared * r->prefill_score_ns);
    struct attention_line line = partly_read(r, sequences, kv - shared);
    line.ns += prefix - line.slope * shared;
    line.until += shared;
    return line;
}

/* Every rank reads its part, and what they found is put together: a message around all of them. */
static struct attention_line over_ranks(const struct attention_work *a, double sequences, struct attention_line line)
{
    double bytes = sequences * a->query_bytes;
    line.slope /= a->ranks;
    line.ns += a->ring_latency_ns * log2(a->ranks) + 2 * (a->ranks - 1) / a->ranks * bytes / a->ring_bytes_per_s * 1e9;
    return line;
}

struct attention_line changed_decode(const struct attention_rates *r, double sequences, double kv_tokens)
{
    const struct attention_work *a = r->work;
    struct attention_line line = a->shared_tokens > 0 ? with_shared_prefix(r, sequences, kv_tokens)
                                 : a->read_share > 0 || a->read_tokens > 0 || a->select_share > 0
                                     ? partly_read(r, sequences, kv_tokens)
                                     : roofline_decode(r, sequences, kv_tokens);
    return a->ranks > 1 ? over_ranks(a, sequences, line) : line;
}

void ring_prefill(const struct attention_work *a, double new_tokens, double kv_before, struct attention_piece *piece)
{
    double all = piece->ns + piece->slope * kv_before, others = (a->ranks - 1) / a->ranks;
    double bytes = others * (new_tokens + kv_before) * a->kv_bytes;
    double ring = a->prefill_layers * (bytes / a->ring_bytes_per_s * 1e9 + (a->ranks - 1) * a->ring_latency_ns);
    *piece = (struct attention_piece){.until = kv_before, .ns = fmax(all / a->ranks, ring), .source = COST_ESTIMATED};
}
