/* SPDX-License-Identifier: MIT */
#include "profiles/work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct operation *work_add(struct work *w, const char *name, enum work_kind kind, double times)
{
    struct operation *op = &w->ops[w->count++];
    *op = (struct operation){.kind = kind, .rows = PER_TOKEN, .times = times, .rows_scale = 1, .launches = 1};
    snprintf(op->name, sizeof op->name, "%s", name);
    return op;
}

struct operation *work_find(struct work *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->ops[i].name, name) == 0)
            return &w->ops[i];
    return NULL;
}

double speculation_tokens(const struct speculation *s)
{
    return (1 - pow(s->acceptance, s->draft_tokens + 1)) / (1 - s->acceptance);
}

/* All of n sequences accept a token with a chance of α^n. */
double speculation_tokens_of(const struct speculation *s, double sequences)
{
    struct speculation all = *s;
    if (s->tokens > 0)
        return s->tokens;
    if (s->together)
        all.acceptance = pow(s->acceptance, sequences);
    return speculation_tokens(&all);
}

double work_activation_bytes(const struct work *w, double tokens, double sequences)
{
    const double bytes = 2, logit_bytes = 2 + 4;
    double widest = 0, vocab = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct operation *op = &w->ops[i];
        const struct experts *e = &op->experts;
        double width = op->kind == WORK_GEMM ? op->n + op->k : 0;
        if (op->kind == WORK_EXPERTS)
            width = op->rows_scale * e->top_k / e->expert * (e->hidden + 3 * e->intermediate / e->tensor);
        if (op->rows == PER_TOKEN)
            widest = fmax(widest, width);
        else if (op->kind == WORK_GEMM)
            vocab = op->n;
    }
    return tokens * bytes * (2 * w->hidden + widest) + sequences * (vocab * logit_bytes + w->state_bytes);
}

double experts_awake(const struct experts *e, double rows)
{
    return e->experts / e->expert * -expm1(rows * log1p(-e->top_k / e->experts));
}

double work_expert_bytes(const struct work *w, double tokens)
{
    double bytes = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct operation *op = &w->ops[i];
        const struct experts *e = &op->experts;
        if (op->kind == WORK_EXPERTS)
            bytes += op->times * (experts_awake(e, tokens * op->rows_scale) + e->always) * (e->gated > 0 ? 3 : 2) *
                     e->hidden * e->intermediate / e->tensor * op->weight_bytes;
    }
    return bytes;
}

/* What the parts below have in common. */
struct plan {
    const struct model *m;
    const struct parallel *p;
    struct work *w;
    double tensor, heads, kv_heads; /* heads of one GPU */
    double bytes;                   /* of an activation: 16 bits, however narrow the weights are */
};

static struct operation *gemm(const struct plan *s, const char *name, double times, double n, double k)
{
    struct operation *op = work_add(s->w, name, WORK_GEMM, times);
    op->n = n;
    op->k = k;
    op->dtype = s->m->dtype;
    op->weight_bytes = s->m->bytes_per_weight;
    return op;
}

static struct operation *stream(const struct plan *s, const char *name, double times, double values)
{
    struct operation *op = work_add(s->w, name, WORK_STREAM, times);
    op->bytes_per_row = s->bytes * values;
    return op;
}

static void collective(const struct plan *s, const char *name, double times, double gpus, double rows_scale)
{
    if (gpus < 2 || times <= 0)
        return;
    struct operation *op = work_add(s->w, name, WORK_COLLECTIVE, times);
    op->bytes_per_row = s->bytes * s->m->hidden;
    op->gpus = gpus;
    op->rows_scale = rows_scale;
}

static void add_grouped_attention(const struct plan *s)
{
    const struct model *m = s->m;
    double head_dim = m->head_dim;
    double queries = s->heads * (m->gated_attention ? 2 : 1);
    gemm(s, "qkv_proj", m->attention_layers, (queries + 2 * s->kv_heads) * head_dim, m->hidden);
    gemm(s, "o_proj", m->attention_layers, m->hidden, s->heads * head_dim);
    s->w->kv_projection = s->w->ops[s->w->count - 2];
    s->w->kv_projection.n = 2 * s->kv_heads * head_dim;
    snprintf(s->w->kv_projection.name, WORK_NAME_BYTES, "kv_proj");
    struct attention_work a = {.heads = s->heads,
                               .kv_heads = s->kv_heads,
                               .head_dim = head_dim,
                               .prefill_flops = 4 * s->heads * head_dim,
                               .decode_flops = 4 * s->heads * head_dim,
                               .kv_bytes = 2 * s->kv_heads * head_dim * m->bytes_per_kv,
                               .query_bytes = 2 * s->bytes * s->heads * head_dim,
                               .kv_value_bytes = m->bytes_per_kv};
    s->w->attention[ATTENTION_FULL] = s->w->attention[ATTENTION_WINDOW] = a;
}

/* DeepSeek-V2, equations 9 to 19. Prompts run on expanded keys and values (head_dim + rope_dim and value_dim a head),
 * decodes on the latent vector, with the expansions multiplied into query and output (its section 2.1.2). Both
 * projections to low rank are one GEMM, as vLLM, SGLang and TensorRT-LLM have it. */
static void add_latent_attention(const struct plan *s)
{
    const struct model *m = s->m;
    const struct latent_attention *l = &m->latent;
    double query_dim = (double)m->head_dim + l->rope_dim, latent = (double)l->kv_rank + l->rope_dim;
    if (l->q_rank) {
        gemm(s, "qkv_a_proj", m->attention_layers, l->q_rank + latent, m->hidden);
        gemm(s, "q_b_proj", m->attention_layers, s->heads * query_dim, l->q_rank);
    } else {
        gemm(s, "q_proj", m->attention_layers, s->heads * query_dim, m->hidden);
        gemm(s, "kv_a_proj", m->attention_layers, latent, m->hidden);
    }
    gemm(s, "kv_b_proj", m->attention_layers, s->heads * ((double)m->head_dim + l->value_dim), l->kv_rank);
    gemm(s, "o_proj", m->attention_layers, m->hidden, s->heads * l->value_dim);
    s->w->attention[ATTENTION_FULL] = s->w->attention[ATTENTION_WINDOW] =
        (struct attention_work){.heads = s->heads,
                                .kv_heads = 1,
                                .head_dim = latent,
                                .latent = true,
                                .prefill_flops = 2 * s->heads * (query_dim + l->value_dim),
                                .decode_flops = 2 * s->heads * (latent + l->kv_rank),
                                .kv_bytes = latent * m->bytes_per_kv,
                                .query_bytes = s->bytes * s->heads * (latent + l->kv_rank),
                                .kv_value_bytes = m->bytes_per_kv};
}

/* Layers that keep a state: two projections, and the state of each sequence read and written once an iteration. The
 * scan over a prompt's tokens, a hundredth of the projections' arithmetic, is not costed. */
static void add_state(const struct plan *s)
{
    const struct state_layers *l = &s->m->state;
    if (l->layers == 0)
        return;
    double shard = l->in_width / s->tensor, bytes = l->values * l->bytes_per_value / s->tensor;
    gemm(s, "state_in_proj", l->layers, shard, s->m->hidden);
    gemm(s, "state_out_proj", l->layers, s->m->hidden, l->out_width / s->tensor);
    stream(s, "state_scan", l->layers, 2 * shard);
    struct operation *state = work_add(s->w, "state", WORK_STREAM, l->layers);
    state->rows = PER_SEQUENCE;
    state->bytes_per_row = 2 * bytes;
    s->w->state_bytes = l->layers * bytes;
}

/* Widths of the MLP in `layers` layers; `shared`: the part of expert layers that every token goes through. */
static void add_mlp(const struct plan *s, bool shared, double layers, double width)
{
    double shard = width / s->tensor;
    if (layers <= 0 || width <= 0)
        return;
    gemm(s, shared ? "shared_gate_up" : "gate_up_proj", layers, shard * (s->m->gated_mlp ? 2 : 1), s->m->hidden);
    gemm(s, shared ? "shared_down" : "down_proj", layers, s->m->hidden, shard);
    stream(s, shared ? "shared_act" : "act_fn", layers, 3 * shard);
}

/* Shared experts that can run as routed ones: whole ones, of the same format, where no GPU holds other experts. */
static double fused_experts(const struct plan *s)
{
    const struct expert_layers *e = &s->m->moe;
    bool can = s->m->fused_shared_experts && s->p->expert == 1 && e->shared_intermediate % e->intermediate == 0 &&
               e->bytes_per_weight == s->m->bytes_per_weight;
    return can ? (double)e->shared_intermediate / e->intermediate : 0;
}

static void keep_in_16_bits(struct operation *op)
{
    if (op->weight_bytes < 2) {
        op->dtype = DTYPE_BF16;
        op->weight_bytes = 2;
    }
}

/* Routers are small and precise: no engine has them in 8 bits. */
static void add_router(const struct plan *s, double layers)
{
    keep_in_16_bits(gemm(s, "router", layers, s->m->moe.experts, s->m->hidden));
}

static void add_experts(const struct plan *s)
{
    const struct expert_layers *e = &s->m->moe;
    double sparse = s->m->mlp_layers - (double)e->dense_layers, gpus = s->tensor * s->p->data, fused = fused_experts(s);
    add_router(s, sparse);
    struct operation *op = work_add(s->w, "moe", WORK_EXPERTS, sparse);
    op->dtype = e->dtype;
    op->weight_bytes = e->bytes_per_weight;
    op->rows_scale = s->p->data; /* tokens of all ranks come together */
    op->experts = (struct experts){.hidden = s->m->hidden,
                                   .intermediate = e->intermediate,
                                   .experts = e->experts,
                                   .top_k = e->top_k,
                                   .gated = s->m->gated_mlp,
                                   .always = fused,
                                   .expert = s->p->expert,
                                   .tensor = gpus / s->p->expert,
                                   .imbalance = s->p->expert_imbalance};
    add_mlp(s, true, sparse, fused > 0 ? 0 : e->shared_intermediate);
}

/* After attention and after the MLP the shards of a row are summed. Where attention ranks are replicated, tokens are
 * gathered before experts and their outputs scattered after them instead. */
static void add_collectives(const struct plan *s)
{
    const struct expert_layers *e = &s->m->moe;
    double sparse = e->experts ? s->m->mlp_layers - (double)e->dense_layers : 0, dense = s->m->mlp_layers - sparse;
    double mixers = s->m->attention_layers + (double)s->m->state.layers;
    double gpus = s->tensor * s->p->data;
    bool gathers = s->p->data > 1 && sparse > 0;
    collective(s, "all_reduce", mixers + dense + (gathers ? 0 : sparse), s->tensor, 1);
    if (gathers) {
        collective(s, "all_gather", sparse, gpus, s->p->data);
        collective(s, "reduce_scatter", sparse, gpus, s->p->data);
    }
}

static void split_by_window(const struct plan *s)
{
    struct work *w = s->w;
    w->attention[ATTENTION_FULL].prefill_layers = s->m->attention_layers - (double)s->m->windowed_layers;
    w->attention[ATTENTION_WINDOW].prefill_layers = s->m->windowed_layers;
    w->attention[ATTENTION_WINDOW].window = s->m->window;
    for (int i = 0; i < ATTENTION_KINDS; i++)
        w->attention[i].decode_layers = w->attention[i].prefill_layers;
}

/* What one GPU keeps: pages of one size for all groups. */
static void add_kv(const struct plan *s)
{
    struct work *w = s->w;
    uint32_t group, windowed = s->m->uniform_kv ? 0 : s->m->windowed_layers;
    w->kv_groups = model_kv_groups(s->m, &group);
    w->kv_bytes_per_token = w->attention[ATTENTION_FULL].kv_bytes * group;
    w->kv_layers[ATTENTION_FULL] = (s->m->attention_layers - (double)windowed) / group;
    w->kv_layers[ATTENTION_WINDOW] = (double)windowed / group;
}

static int check_sharding(const struct model *m, const struct parallel *p, struct error *err)
{
    uint32_t gpus = p->tensor * p->data;
    if (m->latent.kv_rank == 0 && m->kv_heads % p->tensor != 0 && p->tensor % m->kv_heads != 0)
        return error_set(err, ERROR_INPUT, "tensor_parallel %u does not divide the %u KV heads of %s", p->tensor,
                         m->kv_heads, m->name);
    if (p->tensor > m->heads)
        return error_set(err, ERROR_INPUT, "tensor_parallel %u is more than the %u heads of %s", p->tensor, m->heads,
                         m->name);
    if (m->moe.experts && (gpus % p->expert != 0 || m->moe.experts % p->expert != 0))
        return error_set(err, ERROR_INPUT, "expert_parallel %u does not divide %u GPUs and the %u experts of %s",
                         p->expert, gpus, m->moe.experts, m->name);
    if (!m->moe.experts && p->data > 1)
        return error_set(err, ERROR_INPUT,
                         "data_parallel %u: %s has no experts to share; raise cluster.replicas instead", p->data,
                         m->name);
    if (!m->moe.experts && p->expert > 1)
        return error_set(err, ERROR_INPUT, "expert_parallel %u: %s has no experts", p->expert, m->name);
    return 0;
}

/* Weights are sharded evenly: experts over all GPUs, the rest over one rank's. */
static double weights_of_one_gpu(const struct model *m, const struct parallel *p)
{
    double experts = model_expert_parameters(m) * m->moe.bytes_per_weight;
    return (model_weight_bytes(m) - experts) / p->tensor + experts / ((double)p->tensor * p->data);
}

int work_of_model(const struct model *m, const struct parallel *p, struct work *out, struct error *err)
{
    if (check_sharding(m, p, err))
        return -1;
    *out = (struct work){.time_scale = 1,
                         .layers = m->layers,
                         .hidden = m->hidden,
                         .weight_bytes = weights_of_one_gpu(m, p)};
    const struct plan s = {.m = m,
                           .p = p,
                           .w = out,
                           .tensor = p->tensor,
                           .heads = (double)m->heads / p->tensor,
                           .kv_heads = fmax(1, (double)m->kv_heads / p->tensor),
                           .bytes = fmax(dtype_bytes(m->dtype), 2)};
    double dense = m->moe.experts ? m->moe.dense_layers : m->mlp_layers;
    if (m->latent.kv_rank)
        add_latent_attention(&s);
    else
        add_grouped_attention(&s);
    add_state(&s);
    add_mlp(&s, false, dense, m->intermediate);
    if (m->moe.experts)
        add_experts(&s);
    stream(&s, "norm", (double)m->attention_layers + m->state.layers + m->mlp_layers, 4.0 * m->hidden);
    stream(&s, "rotary_emb", m->attention_layers, 4 * s.heads * m->head_dim);
    if (m->qk_norm)
        stream(&s, "qk_norm", m->attention_layers, 2 * (s.heads + s.kv_heads) * m->head_dim);
    stream(&s, "embedding", 1, 2.0 * m->hidden);
    stream(&s, "final_norm", 1, 2.0 * m->hidden);
    struct operation *head = gemm(&s, "lm_head", 1, m->vocab / s.tensor, m->hidden);
    head->rows = PER_SEQUENCE;
    if (m->bytes_per_embedding >= 2)
        keep_in_16_bits(head);
    struct operation *sampler = work_add(out, "sampler", WORK_STREAM, 1);
    sampler->rows = PER_SEQUENCE;
    sampler->bytes_per_row = 4 * m->vocab / s.tensor;
    add_collectives(&s);
    split_by_window(&s);
    add_kv(&s);
    return 0;
}

/* What does not divide evenly goes to the stages before the last, which has the output head (as vLLM does). */
static uint32_t layers_of_stage(uint32_t layers, uint32_t stages, uint32_t stage)
{
    uint32_t rest = layers % stages;
    bool one_more = stage + 1 < stages && stage + 1 + rest >= stages;
    return layers / stages + one_more;
}

static bool only_in(const struct operation *op, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(op->name, *names) == 0)
            return true;
    return false;
}

void work_cut(struct work *w, const struct model *m, uint32_t stages, uint32_t stage)
{
    static const char *const first[] = {"embedding", NULL}, *const last[] = {"final_norm", "lm_head", "sampler", NULL};
    double share = layers_of_stage(m->layers, stages, stage) / (double)m->layers;
    double table = (double)m->hidden * m->vocab * m->bytes_per_embedding, heads = m->tied_head ? 1 : 2;
    double shards = m->vocab / work_find(w, "lm_head")->n; /* of embedding and head */
    double layers = w->weight_bytes - heads * table / shards;
    struct weights_source *source = &w->source;
    double loaded_layers = source->all_bytes - heads * table / shards;
    double resident = source->any ? (w->weight_bytes - w->adapters.resident_bytes) / source->all_bytes : 1;
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct operation op = w->ops[i];
        bool is_first = only_in(&op, first), is_last = only_in(&op, last);
        if (!is_first && !is_last)
            op.times *= share;
        if ((is_first && stage > 0) || (is_last && stage + 1 < stages))
            continue;
        w->ops[kept++] = op;
    }
    w->count = kept;
    for (int i = 0; i < ATTENTION_KINDS; i++) {
        w->attention[i].prefill_layers *= share;
        w->attention[i].decode_layers *= share;
    }
    w->layers *= share;
    w->state_bytes *= share;
    w->kv_bytes_per_token *= share;
    double tables = table / shards * ((stage == 0) + (stage + 1 == stages));
    w->weight_bytes = layers * share + tables;
    w->adapters.bytes *= share;
    w->adapters.resident_bytes *= share;
    if (!source->any)
        return;
    source->all_bytes = loaded_layers * share + tables;
    w->weight_bytes = source->all_bytes * resident + w->adapters.resident_bytes;
}
