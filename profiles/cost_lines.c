/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"

/* KV tokens that lines are drawn for; no pool holds more. */
static const double most_kv_tokens = 1e13;

static struct decode_line compute_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv);

/* A part of the shorter of both is hidden: of attention up to the KV tokens at which it takes longer than what GEMMs
 * leave idle, of that from then on. */
static void overlap_line(const struct cost_model *cm, uint64_t rows, int64_t gemms, uint64_t kv,
                         struct decode_line *line)
{
    int64_t idle = cost_overlapped(cm, rows, gemms, INT64_MAX), hidden;
    double share = cm->work.overlap.kernels, room = (double)idle / share - (double)line->attention;
    double meet = line->attention_slope > 0 ? floor(room / (double)line->attention_slope) : room < 0 ? -1 : INFINITY;
    if ((double)kv > meet) {
        line->base -= idle;
        return;
    }
    hidden = cost_fine(share * (double)line->attention_slope / (double)ONE_NS);
    line->base -= (int64_t)(share * (double)line->attention);
    line->slope -= hidden;
    if (meet < (double)line->until)
        line->until = (uint64_t)meet;
}

/* Up to the KV tokens at which the GPU has no time left beside the hosts, a replica has its iterations as ever; from
 * then on each waits for the others' kernels. */
static void share_line(const struct cost_model *cm, int64_t host, uint64_t kv, struct decode_line *line)
{
    double replicas = cm->work.gpu_replicas, kernels = (double)(line->base - host);
    double room = (double)host / (replicas - 1) - kernels;
    double meet = line->slope > 0 ? floor(room / (double)line->slope) : room < 0 ? -1 : INFINITY;
    if ((double)kv > meet) {
        line->base = (int64_t)replicas * (line->base - host);
        line->slope *= (int64_t)replicas;
    } else if (meet < (double)line->until) {
        line->until = (uint64_t)meet;
    }
}

/* The line of a piece of decode attention, with everything else that an iteration of these decodes does. */
static struct decode_line line_of(const struct cost_model *cm, uint64_t sequences, uint64_t kv,
                                  const struct attention_piece *p)
{
    struct dense_cost tokens = cost_rows_compute(cm, engine_padded_tokens(&cm->engine, sequences));
    struct dense_cost heads = cost_heads_compute(cm, sequences);
    struct decode_line line = {.until = p->until < most_kv_tokens ? (uint64_t)p->until : (uint64_t)most_kv_tokens,
                               .attention = cost_fine(p->ns),
                               .attention_slope = cost_fine(p->slope),
                               .attention_source = p->source};
    line.base = cm->host + cost_eager(cm, sequences, false) + tokens.total + heads.total + line.attention;
    line.slope = line.attention_slope;
    if (cm->backend.decode_spread) {
        double slope = fmax(p->slope, 0), n = (double)sequences;
        line.spread = cost_fine(slope * cm->backend.decode_spread(cm->backend.self, n, false));
        line.mixed_spread = cost_fine(slope * cm->backend.decode_spread(cm->backend.self, n, true));
    }
    for (int i = 0; i < COST_SOURCES; i++)
        line.by[i] = tokens.by[i] + heads.by[i];
    if (cm->work.overlap.kernels > 0)
        overlap_line(cm, sequences, tokens.total, kv, &line);
    if (cm->work.gpu_replicas > 0)
        share_line(cm, cm->host + cost_fine(cost_waited_each_ns(cm) * (double)sequences), kv, &line);
    return line;
}

uint64_t cost_checked_rows(const struct cost_model *cm, uint64_t sequences)
{
    const struct speculation *s = &cm->work.speculation;
    return sequences * (uint64_t)(s->rows > 0 ? s->rows : s->draft_tokens + 1);
}

/* A pass of speculative decoding, spread over the tokens that it yields on average: drafting one by one, then checking
 * all at once. */
static struct decode_line speculative_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv,
                                           const struct attention_piece *p)
{
    uint64_t rows = cost_checked_rows(cm, sequences);
    const struct speculation *s = &cm->work.speculation;
    double by[COST_SOURCES] = {0}, drafts = s->passes > 0 ? s->passes : s->draft_tokens;
    double each = 1 / speculation_tokens_of(s, (double)sequences);
    struct decode_line draft = {.until = (uint64_t)most_kv_tokens};
    if (cm->draft)
        draft = compute_line(cm->draft, sequences, kv);
    double ns = cm->backend.token_ns(cm->backend.self, (double)engine_padded_tokens(&cm->engine, rows), by) +
                cm->backend.head_ns(cm->backend.self, (double)rows, by) + p->ns;
    ns += cost_waited_ns(cm) + cost_waited_each_ns(cm) * (double)sequences;
    ns += (double)cost_eager(cm, rows, false) / (double)ONE_NS;
    double until = fmin(p->until, most_kv_tokens);
    return (struct decode_line){.until = (uint64_t)until < draft.until ? (uint64_t)until : draft.until,
                                .base = cost_fine(each * ns) + (int64_t)(each * drafts * (double)draft.base),
                                .slope = cost_fine(each * p->slope) + (int64_t)(each * drafts * (double)draft.slope)};
}

/* Decodes that run through a model of their own, behind this one's host. */
static struct decode_line phase_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv)
{
    struct decode_line line = compute_line(cm->phases[PHASE_DECODES], sequences, kv);
    line.base += cm->host + cost_fine(cost_waited_each_ns(cm) * (double)sequences);
    return line;
}

static struct decode_line compute_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv)
{
    struct attention_piece p = cm->backend.decode_piece(cm->backend.self, (double)sequences, (double)kv);
    bool speculates = cm->work.speculation.draft_tokens > 0;
    struct decode_line line = cm->phases[PHASE_DECODES] ? phase_line(cm, sequences, kv)
                              : speculates              ? speculative_line(cm, sequences, kv, &p)
                                                        : line_of(cm, sequences, kv, &p);
    if (line.slope >= 0 && line.base >= (int64_t)ONE_NS && cm->estimated) {
        double most = ((double)FINE_LONGEST / 2 - (double)line.base) / fmax((double)line.slope, 1);
        line.plain_until = most < 0 ? 0 : most < (double)line.until ? (uint64_t)most : line.until;
    }
    return line;
}

const struct decode_line *cost_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv,
                                    struct decode_line *scratch)
{
    if (sequences > DENSE_SEQUENCES || kv > (uint64_t)most_kv_tokens) {
        *scratch = compute_line(cm, sequences, kv);
        return scratch;
    }
    const struct decode_line *line = &cm->lines[cm->lines_at[sequences]];
    while (kv > line->until)
        line++;
    return line;
}

int cost_compile_lines(struct cost_model *cm, struct error *err)
{
    size_t count = 0, capacity = 0;
    cm->lines_at = calloc(DENSE_SEQUENCES + 2, sizeof *cm->lines_at);
    if (!cm->lines_at)
        return error_no_memory(err);
    for (uint32_t n = 1; n <= DENSE_SEQUENCES; n++) {
        cm->lines_at[n] = (uint32_t)count;
        for (double kv = 0; kv < most_kv_tokens;) {
            struct decode_line *grown = array_grow(cm->lines, &capacity, count + 1, sizeof *grown);
            if (!grown)
                return error_no_memory(err);
            cm->lines = grown;
            cm->lines[count] = compute_line(cm, n, (uint64_t)kv);
            kv = (double)cm->lines[count++].until + 1;
        }
    }
    return 0;
}

double cost_model_decode_attention_ns(const struct cost_model *cm, double sequences, double kv_tokens,
                                      enum cost_source *source)
{
    struct attention_piece p = cm->backend.decode_piece(cm->backend.self, sequences, kv_tokens);
    *source = p.source;
    return p.ns + p.slope * kv_tokens;
}

/* A value on a line, at least 0 and at most FINE_LONGEST. */
static fine_time on_line(int64_t base, int64_t slope, uint64_t kv)
{
    double near = (double)base + (double)slope * (double)kv;
    if (near >= (double)FINE_LONGEST)
        return FINE_LONGEST;
    return near <= 0 ? 0 : (fine_time)(base + slope * (int64_t)kv);
}

static uint64_t steps_on_line(const struct decode_line *line, uint64_t sequences, uint64_t kv)
{
    uint64_t room = line->until - kv;
    return room > sequences << 20 ? 1 << 20 : room / sequences + 1; /* a million is as good as forever */
}

fine_time cost_spread(int64_t spread, uint64_t sequences, uint64_t kv, uint64_t longest)
{
    uint64_t most = sequences * longest;
    return spread > 0 && most > kv ? on_line(0, spread, most - kv) : 0;
}

void cost_decodes(const struct cost_model *cm, const struct decode_line *line, uint64_t sequences, uint64_t kv,
                  uint64_t longest, struct iteration_cost *out)
{
    out->growth = 0;
    out->steady = 1;
    if (kv <= line->plain_until) {
        out->total = (fine_time)line->base + (fine_time)line->slope * kv;
        out->growth = (fine_time)line->slope * sequences;
        out->steady = steps_on_line(line, sequences, kv);
        return;
    }
    fine_time spread = cost_spread(line->spread, sequences, kv, longest);
    out->total = on_line(line->base, line->slope, kv) + spread;
    if (!cm->estimated)
        cost_sources_of_line(line, on_line(line->attention, line->attention_slope, kv) + spread, out);
    if (line->slope < 0 || out->total < ONE_NS || out->total >= FINE_LONGEST)
        return;
    out->growth = (fine_time)line->slope * sequences;
    if (!cm->estimated)
        out->by_growth[line->attention_source] = out->growth;
    out->steady = steps_on_line(line, sequences, kv);
}
