/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "policies/batching.h"

enum {
    CLIPPED = 4096,     /* more output tokens are not reckoned with for one request */
    RETRACT_STEPS = 20, /* iterations that the ratio after a retraction is to last for */
    DECAY_STEPS = 600   /* decode batches from the first ratio to the smallest */
};

static const double first_ratio = 0.7, least_share = 0.14;

struct sglang {
    uint32_t max_sequences, max_prefill_tokens, chunk; /* chunk 0: prompts are not cut */
    bool mixed;
    double initial, least, decay; /* of the ratio, each decode batch */
    double ratio;                 /* `decays` decode batches ago; fewer than `least` never */
    uint64_t decays, steps;       /* decode steps that have been counted among them */
    uint32_t interval;            /* decode batches between two looks at what has arrived */
    bool looked;                  /* once at least; a server that has been started again has not */
    uint64_t counts_from;         /* decode steps after which they are counted */
    sim_time seen;                /* when the last one arrived who is in the queue */
    bool lacks_room;              /* a prompt that was begun has less room than it has tokens left */
    bool full;                    /* nobody is looked at before a request has left */
    bool prompts;                 /* the batch formed last had some */
    bool looks_again;             /* after which the queue is looked at in any case */
    size_t expected, left;        /* running requests then; those that have left since decodes ran by themselves */
};

static const struct param_spec params[] = {
    {"chunked_prefill_size", PARAM_INTEGER, "tokens", 8192, 0, 1e6,
     "prompt tokens of a batch, the last prompt cut to fit; 0: prompts are not cut", NULL, NULL},
    {"max_prefill_tokens", PARAM_INTEGER, "tokens", 16384, 1, 1e8,
     "prompt tokens at which a batch takes no further request", NULL, NULL},
    {"max_sequences", PARAM_INTEGER, "sequences", 2048, 1, 65536, "most running requests", NULL, NULL},
    {"mixed_chunk", PARAM_BOOL, "", 0, 0, 1, "a batch of prompts takes the decodes with it", NULL, NULL},
    {"schedule_conservativeness", PARAM_NUMBER, "", 1, 0, 100,
     "what the new-token ratio is multiplied by: the share of their remaining output that running requests are taken "
     "to need",
     NULL, NULL},
    {"recv_interval", PARAM_INTEGER, "iterations", 1, 1, 1000,
     "decode batches after which arrivals are looked for (scheduler_recv_interval)", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct sglang *s = calloc(1, sizeof *s);
    *state = s;
    if (!s)
        return error_no_memory(err);
    s->chunk = (uint32_t)param_number(set, "chunked_prefill_size");
    s->max_prefill_tokens = (uint32_t)param_number(set, "max_prefill_tokens");
    s->max_sequences = (uint32_t)param_number(set, "max_sequences");
    s->mixed = s->chunk > 0 && param_number(set, "mixed_chunk") != 0;
    s->initial = fmin(first_ratio * param_number(set, "schedule_conservativeness"), 1);
    s->least = fmin(s->initial * least_share, 1);
    s->decay = (s->initial - s->least) / DECAY_STEPS;
    s->ratio = s->initial;
    s->interval = (uint32_t)param_number(set, "recv_interval");
    return 0;
}

/* Prompts up to a chunk, with decodes among them where they mix; or all decodes. Uncut prompts up to the limit, a
 * longer one alone. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t chunk = (uint64_t)param_number(set, "chunked_prefill_size");
    uint64_t most = (uint64_t)param_number(set, "max_prefill_tokens");
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    uint64_t prompts = chunk > 0 ? chunk : most > longest ? most : longest;
    return (struct batch_limits){.tokens = prompts > sequences ? prompts : sequences,
                                 .sequences = sequences,
                                 .budget = param_number(set, "mixed_chunk") != 0 ? chunk : 0};
}

/* A chunk is whole blocks. */
static const char *unfit(const struct param_set *set, uint32_t block_tokens)
{
    uint32_t chunk = (uint32_t)param_number(set, "chunked_prefill_size");
    return chunk > 0 && chunk < block_tokens ? "chunked_prefill_size to be 0, or a KV block's tokens at least" : NULL;
}

/* Scheduling ahead, the token of the iteration that runs is not known yet. */
static uint32_t outputs(const struct replica_view *view, const struct request *r)
{
    return r->generated - (view->ahead && r->generated > 0 && r->last_token == view->now);
}

static uint32_t clip(uint32_t tokens)
{
    return tokens < CLIPPED ? tokens : CLIPPED;
}

static double ratio_now(const struct sglang *s)
{
    return fmax(s->ratio - s->decay * (double)s->decays, s->least);
}

static void set_ratio(struct sglang *s, double ratio)
{
    s->ratio = ratio;
    s->decays = 0;
}

/* The first one in the queue, in which those are not who have arrived since the last look. Of an order with a state
 * only the first of all is known. */
static struct request *first_seen(const struct sglang *s, const struct replica_view *view)
{
    struct request *r = view->waiting->head;
    if (s->interval == 1)
        return r;
    bool known = !view->ordered || view->waiting->places;
    while (r && r->entered > s->seen)
        r = known ? r->next : NULL;
    return r;
}

/* Looks for arrivals after a batch of prompts, after so many of decodes (scheduler_recv_skipper.py), or when nobody
 * runs. Returns whether the loop went round with nobody in it before that. */
static bool look_for_arrivals(struct sglang *s, const struct replica_view *view)
{
    uint64_t decoded = s->looked ? view->decode_steps - s->counts_from : 0;
    bool due = s->interval == 1 || s->prompts || (decoded > 0 && decoded % s->interval == 0);
    bool empty = view->running->count == 0;
    bool idle = empty && !due && view->waiting->count > 0 && !first_seen(s, view);
    if (s->prompts || empty || !s->looked)
        s->counts_from = view->decode_steps;
    for (const struct request *r = s->interval > 1 && (due || empty) ? view->waiting->head : NULL; r; r = r->next)
        s->seen = r->entered > s->seen ? r->entered : s->seen;
    s->looked = true;
    return idle;
}

/* What has happened since the last batch was formed: decode batches that lower the ratio, and requests that have left.
 * Those of a batch of prompts are noticed at once, others when decodes run by themselves. Until then they count. */
static void look_back(struct sglang *s, const struct replica_view *view)
{
    bool idle = look_for_arrivals(s, view);
    size_t count = view->running->count, left = s->expected > count ? s->expected - count : 0;
    if (!s->prompts && view->decode_steps > s->steps)
        s->decays += view->decode_steps - s->steps;
    bool noticed = s->prompts && !view->ahead;
    s->left += noticed ? 0 : left;
    if ((noticed && left > 0) || (s->prompts && s->looks_again) || count > s->expected)
        s->full = false; /* with more than expected, some have come from elsewhere */
    if (count > 0)
        return;
    idle |= view->waiting->count > 0 && view_waiting_since(view) >= view->now;
    if (idle || (s->full && !view->ahead))
        set_ratio(s, s->initial);
    if (idle || s->full)
        s->left = 0;
    s->full = false;
}

/* Tokens left for prompts of a batch. */
struct budget {
    double spoken_for; /* by running requests, of those that are free */
    int64_t input, chunk;
};

/* With windows, a token takes a place in each group of layers. */
static int64_t tokens_in(const struct replica_view *view, uint64_t blocks)
{
    const struct kv_groups *g = &view->kv.groups;
    return (int64_t)(blocks * view->kv.block_tokens / (g->windowed > 0 ? g->full + g->windowed : 1));
}

static int64_t free_tokens(const struct replica_view *view)
{
    return tokens_in(view, view->kv_free_blocks);
}

static int64_t whole_pages(const struct replica_view *view, uint32_t tokens)
{
    return (int64_t)(kv_layout_full(&view->kv, tokens) * view->kv.block_tokens);
}

static struct budget budget_of(const struct sglang *s, struct replica_view *view, const struct batch *out)
{
    int64_t mixed = s->mixed ? (int64_t)(out->decodes + s->left) : 0;
    struct budget b = {.input = (int64_t)s->max_prefill_tokens - mixed,
                       .chunk = s->chunk > 0 ? (int64_t)s->chunk - mixed : INT64_MAX};
    uint64_t remaining = 0, to_come = 0;
    view_settle(view);
    for (const struct request *r = view->running->head; r; r = r->next)
        if (r->decode.in)
            remaining += clip(r->max_output_tokens - outputs(view, r));
        else if (r->loading)
            to_come += request_uncomputed(r) + clip(r->max_output_tokens - r->generated);
    b.spoken_for = (double)remaining * ratio_now(s) + (double)to_come + (s->mixed ? (double)s->left : 0);
    return b;
}

static void spend(struct budget *b, const struct replica_view *view, uint32_t tokens, uint32_t new_tokens)
{
    int64_t pages = whole_pages(view, tokens);
    b->spoken_for += new_tokens;
    b->input -= pages;
    b->chunk -= b->chunk == INT64_MAX ? 0 : pages;
}

static uint32_t all_new_tokens(const struct replica_view *view, const struct request *r)
{
    return view->decodes_elsewhere ? 0 : clip(r->max_output_tokens);
}

/* Blocks for a chunk of a prompt that was begun. The prompts last begun give way when nobody else could run. */
static bool make_room(struct replica_view *view, struct batch *out, struct request *r, uint32_t tokens)
{
    while (!view_reserve(view, r, r->computed + tokens)) {
        if (!batch_is_empty(out) || view->decoding > 0)
            return false;
        struct request *victim = view_victim(view);
        view_preempt(view, victim);
        if (victim == r)
            return false;
    }
    return true;
}

/* Prompts that were begun come first: the one that was cut, and those whose KV has come from tiers. */
static void go_on(struct sglang *s, struct replica_view *view, struct batch *out, struct budget *b)
{
    for (size_t i = 0; i < view->prefilling_count && b->chunk > 0; i++) {
        struct request *r = view->prefilling[i];
        uint32_t left = request_uncomputed(r);
        double own = (double)r->kv_blocks * view->kv.block_tokens - r->computed; /* reserved, and not computed yet */
        double room = (double)free_tokens(view) + own - b->spoken_for;
        int64_t most = room < (double)b->chunk ? (int64_t)room : b->chunk;
        s->lacks_room = room < (double)left;
        if (most <= 0)
            most = b->chunk;
        uint32_t tokens = (int64_t)left > most ? (uint32_t)most : left;
        if (!make_room(view, out, r, tokens))
            return;
        view_schedule(view, out, r, tokens);
        spend(b, view, tokens, tokens < left ? 0 : all_new_tokens(view, r));
    }
}

/* Found tokens that are free blocks now, and that nobody else could take any more. */
static int64_t found_free(const struct replica_view *view, const struct request *r, uint32_t cached)
{
    if (cached == 0 || !view->finds_prefixes)
        return 0;
    int64_t shared = content_is_shared(r) ? tokens_in(view, view->verbs->shared_blocks(view, r)) : 0;
    return cached > shared ? cached - shared : 0;
}

/* Whether so many tokens are left next to what running requests are taken to need. Nobody who runs needs any, so a
 * request that fits at all comes in then. */
static bool fits(const struct replica_view *view, const struct request *r, double tokens, double left)
{
    uint64_t whole = (uint64_t)r->prompt_tokens + (view->decodes_elsewhere ? r->generated : r->max_output_tokens);
    return tokens < left || (view->running->count == 0 && view_blocks(view, whole) <= view->kv_free_blocks);
}

/* Puts one that waits into the batch. False when it, and so all behind it, must wait. */
static bool admit(struct sglang *s, struct replica_view *view, struct batch *out, struct budget *b, struct request *r)
{
    uint32_t cached = view_cached_tokens(view, r), extend = request_uncomputed(r) - cached;
    uint32_t to_come = view->decodes_elsewhere ? 0 : clip(r->max_output_tokens - r->generated);
    int64_t pages = whole_pages(view, extend), free_now = free_tokens(view) - found_free(view, r, cached);
    if (!fits(view, r, (double)extend + to_come, (double)free_now - b->spoken_for)) {
        s->full = true;
        return false;
    }
    if (pages >= b->input && out->count > 0)
        return false;
    uint32_t tokens = pages <= b->chunk ? extend : (uint32_t)(b->chunk - b->chunk % view->kv.block_tokens);
    if (tokens == 0)
        return false;
    uint32_t reserved = view_admission_tokens(view, r, cached + tokens);
    if (view_blocks_to_admit(view, r, reserved) > view->kv_free_blocks) {
        s->full = true;
        return false;
    }
    if (view_load(view, r, reserved)) {
        b->spoken_for += extend + to_come;
        return true;
    }
    view_reuse(view, r);
    view_reserve(view, r, reserved);
    view_admit(view, r);
    view_schedule(view, out, r, tokens);
    spend(b, view, tokens, tokens < extend ? 0 : all_new_tokens(view, r));
    s->full = (double)free_tokens(view) <= b->spoken_for || view->kv_free_blocks == 0;
    return !s->full && b->input > 0 && b->chunk > 0;
}

static void prefill(struct sglang *s, struct replica_view *view, struct batch *out)
{
    if (view->prefilling_count == 0 && (s->full || !first_seen(s, view)))
        return;
    struct budget b = budget_of(s, view, out);
    go_on(s, view, out, &b);
    bool goes_on = view->evicted == 0;
    for (struct request *r; goes_on && (r = first_seen(s, view)) && !view_is_swapped(view, r);) {
        s->full |= view->running->count + s->left >= s->max_sequences;
        goes_on = !s->full && admit(s, view, out, &b, r);
    }
}

/* Fewest output tokens first, then the longest prompt, then the last admitted. */
static struct request *next_retracted(const struct replica_view *view)
{
    struct request *next = NULL;
    for (struct request *r = view->running->head; r; r = r->next) {
        if (!r->decode.in)
            continue;
        uint32_t mine = outputs(view, r), fewest = next ? outputs(view, next) : 0;
        if (!next || mine < fewest || (mine == fewest && r->prompt_tokens >= next->prompt_tokens))
            next = r;
    }
    return next;
}

/* The ratio that those who stay need for some iterations more. */
static double ratio_after_retraction(const struct replica_view *view)
{
    double generated = 0, most = 0;
    for (const struct request *r = view->running->head; r; r = r->next) {
        if (!r->decode.in)
            continue;
        generated += outputs(view, r) + RETRACT_STEPS;
        most += r->max_output_tokens;
    }
    return fmin(1, generated / (most + 1));
}

/* Decodes by themselves, of whom as many are retracted as it takes for the others to fit. */
static void decode(struct sglang *s, struct replica_view *view, struct batch *out)
{
    uint32_t evicted = view->evicted;
    while (view->decoding > 0 && out->decodes == 0 && !view->verbs->take_decodes(view, out)) {
        view_settle(view);
        view_preempt(view, next_retracted(view));
    }
    s->steps = view->decode_steps;
    if (view->evicted > evicted) {
        view_settle(view);
        set_ratio(s, ratio_after_retraction(view));
        s->steps++; /* this batch lowers it not */
    } else {
        view_swap_in(view, out, s->max_sequences, 0);
    }
    if (s->left > 0 || view->evicted > evicted)
        s->full = false;
    s->left = 0;
}

/* For how long the batch holds: one of decodes while nobody may come in, one with a single prompt while whole chunks of
 * it leave room for nobody. */
static void hold(const struct sglang *s, const struct replica_view *view, struct batch *out)
{
    bool chunk = s->prompts && s->chunk > 0 && out->count == 1 && out->items[0].new_tokens == s->chunk;
    bool goes_on = view->prefilling_count > 0 && !s->prompts; /* a prompt that could not have a place in this batch */
    /* Ahead, a request may still run that leaves with the iteration before this one: that is noticed after this one. */
    bool somebody_leaves = view->ahead && view->running->count > view->decoding + view->prefilling_count;
    if (goes_on || somebody_leaves || (chunk && s->lacks_room))
        return;
    bool closed = s->full || !first_seen(s, view);
    if (chunk ? out->decodes == 0 : !s->prompts && closed)
        view_hold(view, out, chunk || s->full || view->waiting->count > 0);
    if (s->interval == 1 || chunk)
        return;
    out->arrivals_wait = false; /* nobody who comes is seen before the next look, which counts from there */
    uint64_t left = s->interval - (view->decode_steps - s->counts_from) % s->interval;
    if (view->waiting->count > 0 && out->stable_iterations > left)
        out->stable_iterations = left;
}

/* Whether the queue is looked at after this batch, although it was full: a prompt goes on, or its requests are the
 * first that will decode, or all that will. */
static bool looks_again(const struct sglang *s, size_t decoding, const struct batch *out)
{
    bool again = s->mixed || decoding + s->left == 0;
    for (size_t i = 0; i < out->count && !again; i++)
        again = out->items[i].new_tokens < request_uncomputed(out->items[i].req);
    return again;
}

/* Prompts, unless decodes that go with them lack memory: then these come by themselves. */
static void try_prompts(struct sglang *s, struct replica_view *view, struct batch *out)
{
    size_t decoding = view->decoding;
    if (!s->mixed || view->decoding == 0 || out->decodes > 0 || view->verbs->take_decodes(view, out))
        prefill(s, view, out);
    s->prompts = out->count > 0;
    s->looks_again = looks_again(s, decoding, out);
    s->left = s->prompts && s->mixed ? 0 : s->left;
}

/* Prompts first, else decodes. When these have all left or been retracted, prompts are looked at once more. */
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct sglang *s = state;
    look_back(s, view);
    try_prompts(s, view, out);
    if (!s->prompts) {
        decode(s, view, out);
        if (batch_is_empty(out))
            try_prompts(s, view, out);
    }
    s->expected = view->running->count;
    hold(s, view, out);
}

const struct batching_policy policy_sglang = {
    .name = "sglang",
    .summary = "prompts first, in chunks, admitted by what running requests are taken to need; else decodes, retracted "
               "when memory is short",
    .source = "SGLang 0.5 (srt/managers: schedule_policy.py, schedule_batch.py, scheduler.py)",
    .params = params,
    .chunks_follow = true,
    .loads = true,
    .requeues = true,
    .wastes_last = true,
    .create = create,
    .limits = limits,
    .unfit = unfit,
    .form_batch = form_batch,
    .destroy = free,
};
