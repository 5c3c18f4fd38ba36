/* SPDX-License-Identifier: MIT */
#include "profiles/changes.h"

#include <stdio.h>
#include <string.h>

static int twice(const char *what, struct error *err)
{
    return error_set(err, ERROR_INPUT, "techniques: two of them %s", what);
}

static int copy_name(char *out, size_t size, const char *name, struct error *err)
{
    if (strlen(name) >= size)
        return error_set(err, ERROR_INPUT, "techniques: a model's name or path of at most %zu bytes, found \"%.80s\"",
                         size - 1, name);
    snprintf(out, size, "%s", name);
    return 0;
}

static const struct param_spec speculation_params[] = {
    {"draft_model", PARAM_TEXT, "", 0, 0, 0, "a model's name or path; none: tokens are proposed at no cost",
     "llama-3.2-1b", NULL},
    {"draft_tokens", PARAM_INTEGER, "tokens", 4, 1, 64, "proposed before the model checks them", NULL, NULL},
    {"acceptance", PARAM_NUMBER, "", 0.7, 0, 0.999,
     "chance of a proposed token to be accepted, if those before it were", NULL, NULL},
    {"checked_rows", PARAM_INTEGER, "rows", 0, 0, 1024,
     "of a sequence in a pass: a tree's nodes and one; 0: draft_tokens + 1", NULL, NULL},
    {"draft_passes", PARAM_INTEGER, "", 0, 0, 64, "of the draft model in a pass: a tree's depth; 0: draft_tokens", NULL,
     NULL},
    {"tokens_per_pass", PARAM_NUMBER, "tokens", 0, 0, 65, "stated mean yield; 0: by the acceptance", NULL, NULL},
    {"together", PARAM_BOOL, "", 0, 0, 1,
     "all sequences of a batch go on by as many tokens as the one with the fewest accepted", NULL, NULL},
    {0},
};

static int apply_speculation(struct work *w, const struct param_set *p, struct error *err)
{
    if (w->speculation.draft_tokens > 0)
        return twice("propose tokens for the model to check", err);
    w->speculation = (struct speculation){.draft_tokens = param_number(p, "draft_tokens"),
                                          .acceptance = param_number(p, "acceptance"),
                                          .rows = param_number(p, "checked_rows"),
                                          .passes = param_number(p, "draft_passes"),
                                          .tokens = param_number(p, "tokens_per_pass"),
                                          .together = param_number(p, "together") > 0};
    if (w->speculation.tokens > 0 && w->speculation.tokens < 1)
        return error_set(err, ERROR_INPUT, "techniques: tokens_per_pass: expected 0 or at least 1, found %g",
                         w->speculation.tokens);
    return copy_name(w->speculation.draft_model, sizeof w->speculation.draft_model, param_text(p, "draft_model"), err);
}

static const struct param_spec read_params[] = {
    {"share", PARAM_NUMBER, "", 1, 0.0001, 1, "of the KV tokens kept that a decode reads", NULL, NULL},
    {"tokens", PARAM_NUMBER, "tokens", 0, 0, 1e9, "that a sequence's decode reads at most; 0: no limit", NULL, NULL},
    {"select_share", PARAM_NUMBER, "", 0, 0, 1, "of the bytes kept that are moved to find out which", NULL, NULL},
    {0},
};

static int apply_read(struct work *w, const struct param_set *p, struct error *err)
{
    struct attention_work *a = &w->attention[ATTENTION_FULL];
    if (a->read_share > 0)
        return twice("choose the KV that decodes read", err);
    a->read_share = param_number(p, "share");
    a->read_tokens = param_number(p, "tokens");
    a->select_share = param_number(p, "select_share");
    a->changed = true;
    return 0;
}

static const struct param_spec shared_params[] = {
    {"tokens", PARAM_NUMBER, "tokens", 1024, 1, 1e9, "of the prefix that a group has in common", NULL, NULL},
    {"groups", PARAM_NUMBER, "groups", 1, 1, 1e9, "that requests are in, each in one", NULL, NULL},
    {0},
};

static int apply_shared(struct work *w, const struct param_set *p, struct error *err)
{
    struct attention_work *a = &w->attention[ATTENTION_FULL];
    if (a->shared_tokens > 0)
        return twice("read a shared prefix once", err);
    a->shared_tokens = param_number(p, "tokens");
    a->shared_groups = param_number(p, "groups");
    a->changed = true;
    return 0;
}

static const struct param_spec keep_params[] = {
    {"full_layers", PARAM_NUMBER, "", 0, 0, 1, "share of the layers, the first ones, that run on all prompt tokens",
     NULL, NULL},
    {"share", PARAM_NUMBER, "", 0.5, 0.0001, 1, "of the tokens that the last layer runs on", NULL, NULL},
    {"falls", PARAM_TEXT, "", 0, 0, 0, "from all to that share: in a straight line over the layers, or at once", "line",
     "line|step"},
    {"budget_tokens", PARAM_NUMBER, "tokens", 0, 0, 1e9, "that go on at most; 0: no limit", NULL, NULL},
    {"again", PARAM_BOOL, "", 0, 0, 1, "what is kept runs through all layers once more, and not through the rest", NULL,
     NULL},
    {"keeps_kv", PARAM_BOOL, "", 0, 0, 1, "tokens that do not go on have KV all the same", NULL, NULL},
    {"scorer_model", PARAM_TEXT, "", 0, 0, 0, "a model that reads the whole prompt first to say which; none: the model",
     "none", NULL},
    {0},
};

/* Tokens that go on have KV, the same in every layer on average. */
static double kept_kv(const struct prompt_keep *k)
{
    if (k->again || k->stepped)
        return k->again ? k->last_share : k->full_layers + (1 - k->full_layers) * k->last_share;
    return k->full_layers + (1 - k->full_layers) * (1 + k->last_share) / 2;
}

static int apply_keep(struct work *w, const struct param_set *p, struct error *err)
{
    const char *scorer = param_text(p, "scorer_model");
    if (w->keep.any)
        return twice("choose the prompt tokens that go on", err);
    w->keep = (struct prompt_keep){.any = true,
                                   .full_layers = param_number(p, "full_layers"),
                                   .last_share = param_number(p, "share"),
                                   .budget = param_number(p, "budget_tokens"),
                                   .again = param_number(p, "again") > 0,
                                   .stepped = strcmp(param_text(p, "falls"), "step") == 0};
    if (param_number(p, "keeps_kv") == 0) {
        double kept = kept_kv(&w->keep);
        w->kv_bytes_per_token *= kept;
        for (int i = 0; i < ATTENTION_KINDS; i++) {
            w->attention[i].decode_flops *= kept;
            w->attention[i].kv_bytes *= kept;
            w->attention[i].changed = true;
        }
    }
    return strcmp(scorer, "none") == 0 ? 0 : copy_name(w->keep.scorer, sizeof w->keep.scorer, scorer, err);
}

static const struct param_spec reuse_params[] = {
    {"loaded_share", PARAM_NUMBER, "", 0.85, 0, 0.999,
     "of a prompt's tokens whose KV is loaded; the others are computed", NULL, NULL},
    {"bytes_per_s", PARAM_NUMBER, "bytes/s", 25e9, 1, 1e15, "of the link to where it is, of one GPU", NULL, NULL},
    {"overlap", PARAM_NUMBER, "", 1, 0, 1, "share of the shorter of loading and computing that is hidden", NULL, NULL},
    {0},
};

static int apply_reuse(struct work *w, const struct param_set *p, struct error *err)
{
    if (w->reuse.loaded_share > 0)
        return twice("load prompts' KV", err);
    w->reuse =
        (struct kv_reuse){param_number(p, "loaded_share"), param_number(p, "bytes_per_s"), param_number(p, "overlap")};
    return 0;
}

static const struct param_spec adapter_params[] = {
    {"count", PARAM_INTEGER, "adapters", 100, 1, 1e6, "of which every request has one at random", NULL, NULL},
    {"rank", PARAM_INTEGER, "", 16, 1, 1024, "of each, at the four projections of attention", NULL, NULL},
    {"resident", PARAM_INTEGER, "adapters", 0, 0, 1e6, "that lie in GPU memory, the others' loads hidden; 0: all", NULL,
     NULL},
    {0},
};

/* Two matrices at each projection: rank × inner size, and columns × rank. */
static int apply_adapters(struct work *w, const struct param_set *p, struct error *err)
{
    static const char *const at[] = {"qkv_proj", "o_proj"};
    double width = 0, count = param_number(p, "count"), resident = param_number(p, "resident");
    if (w->adapters.count > 0)
        return twice("give requests adapters", err);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        const struct operation *op = work_find(w, at[i]);
        if (!op)
            return error_set(err, ERROR_INPUT, "techniques: adapters needs a model with grouped attention");
        width += op->n + op->k * (i == 0 ? 3 : 1); /* query, key and value have one each */
    }
    double bytes = 2 * w->layers * param_number(p, "rank") * width;
    w->adapters = (struct adapters){count, bytes, bytes * (resident > 0 && resident < count ? resident : count)};
    w->weight_bytes += w->adapters.resident_bytes;
    return 0;
}

static const struct param_spec shared_gpu_params[] = {
    {"replicas", PARAM_INTEGER, "replicas", 2, 2, 16, "that share a GPU, each with its part of the memory", NULL, NULL},
    {0},
};

static int apply_shared_gpu(struct work *w, const struct param_set *p, struct error *err)
{
    if (w->gpu_replicas > 0)
        return twice("share a GPU", err);
    w->gpu_replicas = param_number(p, "replicas");
    return 0;
}

static const struct param_spec background_params[] = {
    {"tokens", PARAM_INTEGER, "tokens", 512, 1, 8192, "that every batch is filled up to", NULL, NULL},
    {"cost", PARAM_NUMBER, "", 3, 0.1, 100,
     "of one of them over a token's, in token-wise operations: 3 with a backward pass", NULL, NULL},
    {0},
};

static int apply_background(struct work *w, const struct param_set *p, struct error *err)
{
    if (w->filled_tokens > 0)
        return twice("fill batches with background work", err);
    w->filled_tokens = param_number(p, "tokens");
    w->fill_cost = param_number(p, "cost");
    return 0;
}

static const struct param_spec phase_params[] = {
    {"prompts", PARAM_TEXT, "", 0, 0, 0, "a model that prompts run through; same: the scenario's", "same", NULL},
    {"decodes", PARAM_TEXT, "", 0, 0, 0, "a model that decodes run through; same: the scenario's", "same", NULL},
    {"part", PARAM_BOOL, "", 0, 0, 1, "it is a part of the scenario's, whose weights and KV it has", NULL, NULL},
    {0},
};

static int apply_phase(struct work *w, const struct param_set *p, struct error *err)
{
    const char *prompts = param_text(p, "prompts"), *decodes = param_text(p, "decodes");
    bool of_prompts = strcmp(prompts, "same") != 0, of_decodes = strcmp(decodes, "same") != 0;
    if (*w->phases.prompts || *w->phases.decodes)
        return twice("choose a phase's model", err);
    if (of_prompts == of_decodes)
        return error_set(err, ERROR_INPUT,
                         "techniques: phase_model: expected a model for prompts or for decodes, found %s",
                         of_prompts ? "one for each" : "none");
    w->phases.part = param_number(p, "part") > 0;
    return copy_name(of_prompts ? w->phases.prompts : w->phases.decodes, sizeof w->phases.prompts,
                     of_prompts ? prompts : decodes, err);
}

static const struct param_spec overlap_params[] = {
    {"communication", PARAM_NUMBER, "", 0, 0, 1,
     "share of the shorter of collectives and kernels that is hidden, a batch being cut in halves", NULL, NULL},
    {"from_tokens", PARAM_NUMBER, "tokens", 256, 2, 1e9, "of a batch that is cut", NULL, NULL},
    {"kernels", PARAM_NUMBER, "", 0, 0, 1,
     "share of decodes' attention that runs while GEMMs leave memory idle, as far as they do", NULL, NULL},
    {0},
};

static int apply_overlap(struct work *w, const struct param_set *p, struct error *err)
{
    struct overlap o = {param_number(p, "communication"), param_number(p, "from_tokens"), param_number(p, "kernels")};
    if ((o.communication > 0 && w->overlap.communication > 0) || (o.kernels > 0 && w->overlap.kernels > 0))
        return twice("overlap the same", err);
    if (o.communication > 0)
        w->overlap.communication = o.communication, w->overlap.from_tokens = o.from_tokens;
    if (o.kernels > 0)
        w->overlap.kernels = o.kernels;
    return 0;
}

static const struct param_spec source_params[] = {
    {"resident_share", PARAM_NUMBER, "", 0.5, 0, 1, "of the weights that lie in GPU memory", NULL, NULL},
    {"loaded_share", PARAM_NUMBER, "", -1, -1, 1,
     "of the weights that an iteration runs on, which are loaded for it; -1: those that are not resident", NULL, NULL},
    {"experts", PARAM_BOOL, "", 0, 0, 1, "only experts are loaded: those that are awake", NULL, NULL},
    {"bytes_per_s", PARAM_NUMBER, "bytes/s", 25e9, 1, 1e15, "of the link to where they are, of one GPU", NULL, NULL},
    {"overlap", PARAM_NUMBER, "", 0, 0, 1, "share of the shorter of loading and computing that is hidden", NULL, NULL},
    {0},
};

static int apply_source(struct work *w, const struct param_set *p, struct error *err)
{
    double resident = param_number(p, "resident_share"), loaded = param_number(p, "loaded_share");
    double weights = w->weight_bytes - w->adapters.resident_bytes; /* the model's own */
    bool experts = param_number(p, "experts") > 0;
    if (w->source.any)
        return twice("load weights", err);
    if (experts && !work_find(w, "moe"))
        return error_set(err, ERROR_INPUT, "techniques: weights_source: the model has no experts to load");
    w->source = (struct weights_source){.any = true,
                                        .loaded_share = loaded < 0 ? 1 - resident : loaded,
                                        .bytes_per_s = param_number(p, "bytes_per_s"),
                                        .overlap = param_number(p, "overlap"),
                                        .all_bytes = weights,
                                        .experts = experts};
    w->weight_bytes += weights * (resident - 1);
    return 0;
}

static const struct param_spec ranks_params[] = {
    {"ranks", PARAM_INTEGER, "ranks", 2, 2, 1024,
     "each with all weights and a part of every sequence; reports count the GPUs of one", NULL, NULL},
    {"bytes_per_s", PARAM_NUMBER, "bytes/s", 5e10, 1, 1e15, "of the link between two of them, of one GPU", NULL, NULL},
    {"latency_ns", PARAM_NUMBER, "ns", 10000, 0, 1e9, "of a message", NULL, NULL},
    {0},
};

static int apply_ranks(struct work *w, const struct param_set *p, struct error *err)
{
    struct attention_work *a = &w->attention[ATTENTION_FULL];
    if (a->ranks > 1)
        return twice("share sequences over ranks", err);
    if (w->attention[ATTENTION_WINDOW].decode_layers > 0 || a->latent)
        return error_set(err, ERROR_INPUT, "techniques: sequence_ranks needs grouped attention over all tokens");
    a->ranks = param_number(p, "ranks");
    a->ring_bytes_per_s = param_number(p, "bytes_per_s");
    a->ring_latency_ns = param_number(p, "latency_ns");
    a->changed = true;
    w->kv_bytes_per_token /= a->ranks;
    return 0;
}

const struct change_kind change_speculation = {"speculation", "a small model proposes tokens, the model checks them",
                                               speculation_params, apply_speculation};
const struct change_kind change_kv_read = {"kv_read", "decodes read a part of the KV that is kept", read_params,
                                           apply_read};
const struct change_kind change_shared_prefix_attention = {"shared_prefix_attention",
                                                           "decodes read a prefix once for all who have it",
                                                           shared_params, apply_shared};
const struct change_kind change_prompt_keep = {"prompt_keep", "fewer prompt tokens go on from layer to layer",
                                               keep_params, apply_keep};
const struct change_kind change_kv_reuse = {"kv_reuse", "KV of prompt tokens is loaded, wherever they stand",
                                            reuse_params, apply_reuse};
const struct change_kind change_adapters = {"adapters", "every request has a low-rank adapter", adapter_params,
                                            apply_adapters};
const struct change_kind change_shared_gpu = {"shared_gpu", "replicas share a GPU", shared_gpu_params,
                                              apply_shared_gpu};
const struct change_kind change_background = {"background", "batches are filled with background work",
                                              background_params, apply_background};
const struct change_kind change_phase_model = {"phase_model", "prompts or decodes run through another model",
                                               phase_params, apply_phase};
const struct change_kind change_overlap = {"overlap", "communication or memory traffic next to computing",
                                           overlap_params, apply_overlap};
const struct change_kind change_weights_source = {"weights_source", "weights are loaded from below GPU memory",
                                                  source_params, apply_source};
const struct change_kind change_sequence_ranks = {"sequence_ranks", "ranks that each hold a part of every sequence",
                                                  ranks_params, apply_ranks};
